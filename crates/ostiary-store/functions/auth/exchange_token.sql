-- Spends a refresh token of the replaced service and opens a session in its place. Presented again, the
-- token is judged as a spent generation of that session: see `judge_refresh`.
create or replace function auth.exchange_token(
    token_hash text, repeated_since timestamptz, reason text, event_id uuid, event_action text,
    reuse_event_id uuid, reuse_action text,
    new_id uuid, new_secret_hash bytea, request_time timestamptz, session_end timestamptz, client_address text,
    client_user_agent text, session_methods text
)
returns table (outcome text, session_user_id uuid)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    owner   uuid := auth.consume_refresh_token(token_hash)::text::uuid;
    session auth.sessions;
begin
    if owner is not null and auth.is_active_user(owner) then
        insert into auth.sessions (
            id, user_id, secret_hash, created_at, refreshed_at, expires_at, address, user_agent, methods
        )
        values (
            new_id, owner, new_secret_hash, request_time, request_time, session_end, client_address,
            client_user_agent, session_methods
        )
        on conflict (id) do nothing;
        if found then
            insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
            values (
                event_id, request_time, event_action, 'user', client_address, client_user_agent, owner, new_id
            );
            return query select 'opened', owner;
            return;
        end if;
    end if;

    select * into session from auth.sessions as kept where kept.id = new_id and kept.secret_hash = new_secret_hash;
    if session.generation = 0 and session.created_at >= repeated_since and session.revoked_at is null
        and session.expires_at > request_time and auth.is_active_user(session.user_id) then
        return query select 'repeated', session.user_id;
        return;
    end if;
    -- The token is to its session what a generation before the first one would be.
    return query
    select judged.outcome, judged.session_user_id
    from auth.judge_refresh(
        new_id, new_secret_hash, -2, 'infinity', '-infinity', reason,
        reuse_event_id, request_time, reuse_action, 'anyone', client_address, client_user_agent
    ) as judged;
end
$$;
