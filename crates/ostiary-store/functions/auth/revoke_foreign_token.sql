-- Spends a refresh token of the replaced service, and ends the session that may have taken its place. Says whether
-- either was still good; then there is an audit event.
create or replace function auth.revoke_foreign_token(
    token_hash text, in_its_place uuid, reason text,
    event_id uuid, event_time timestamptz, event_action text, event_actor text, event_address text,
    event_user_agent text
)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    owner         uuid;
    session_owner uuid;
begin
    if exists (
        select from pg_proc where proname = 'consume_refresh_token' and pronamespace = to_regnamespace('auth')
    ) then
        owner := auth.consume_refresh_token(token_hash)::text::uuid;
    end if;
    update auth.sessions as session set revoked_at = event_time, revoked_why = reason
    where session.id = in_its_place and session.revoked_at is null and session.expires_at > event_time
    returning session.user_id into session_owner;
    if found then
        insert into auth.revocations (session_id, revoked_at) values (in_its_place, event_time)
        on conflict do nothing;
    elsif owner is null then
        return false;
    end if;
    insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
    values (
        event_id, event_time, event_action, event_actor, event_address, event_user_agent,
        coalesce(session_owner, owner), case when session_owner is not null then in_its_place end
    );
    return true;
end
$$;
