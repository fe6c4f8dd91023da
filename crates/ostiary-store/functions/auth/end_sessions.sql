-- Ends a user's open sessions but `kept`, and makes void what the replaced service has issued to them, if the
-- directory of accounts can. Says how many sessions were ended.
create or replace function auth.end_sessions(owner uuid, kept uuid, ended_at timestamptz, reason text)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    ended_count bigint;
begin
    -- Before the sessions: a token that is being exchanged for one is waited for here.
    if exists (
        select from pg_proc where proname = 'revoke_refresh_tokens' and pronamespace = to_regnamespace('auth')
    ) then
        perform auth.revoke_refresh_tokens(owner);
    end if;
    perform auth.lock_sessions(owner);
    with ended as (
        update auth.sessions as session set revoked_at = ended_at, revoked_why = reason
        where session.user_id = owner and session.id is distinct from kept
            and session.revoked_at is null and session.expires_at > ended_at
        returning session.id
    ), listed as (
        insert into auth.revocations (session_id, revoked_at) select ended.id, ended_at from ended
        on conflict do nothing
    )
    select count(*) into ended_count from ended;
    return ended_count;
end
$$;
