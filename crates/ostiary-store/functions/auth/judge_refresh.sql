-- What a rotation that spent nothing comes to; a reuse revokes the session, with its audit event.
--
-- Read without a lock: a generation never falls and a revocation stays, so what was so a moment ago is a
-- right answer to a request that was under way then.
create or replace function auth.judge_refresh(
    wanted_id uuid, wanted_secret_hash bytea, spent_generation bigint, repeated_since timestamptz,
    refreshed_after timestamptz, reason text,
    event_id uuid, request_time timestamptz, event_action text, event_actor text, client_address text,
    client_user_agent text
)
returns table (outcome text, session_user_id uuid)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    session auth.sessions;
begin
    select * into session from auth.sessions as kept
    where kept.id = wanted_id and kept.secret_hash = wanted_secret_hash;
    outcome := case
        when session.id is null then 'absent'
        when session.revoked_at is not null then 'revoked'
        when session.expires_at <= request_time or session.refreshed_at <= refreshed_after then 'expired'
        when not auth.is_active_user(session.user_id) then 'user_disabled'
        when session.generation <= spent_generation then 'ahead'
        when session.generation = spent_generation + 1 and session.refreshed_at >= repeated_since then 'repeated'
        else 'reused'
    end;
    session_user_id := session.user_id;
    if outcome = 'reused' then
        update auth.sessions as kept set revoked_at = request_time, revoked_why = reason
        where kept.id = wanted_id and kept.revoked_at is null;
        -- Another request may have been the first to see the reuse.
        if found then
            insert into auth.revocations (session_id, revoked_at) values (wanted_id, request_time)
            on conflict do nothing;
            insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
            values (
                event_id, request_time, event_action, event_actor, client_address, client_user_agent,
                session.user_id, wanted_id
            );
        end if;
    end if;
    return next;
end
$$;
