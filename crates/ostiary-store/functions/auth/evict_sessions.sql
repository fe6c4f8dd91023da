-- Of a user's open sessions, ends all but `kept` and the last refreshed, `most` in all; each with its audit event.
-- Says how many.
create or replace function auth.evict_sessions(owner uuid, most bigint, kept uuid, evicted_at timestamptz)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    evicted_count bigint;
begin
    if most is null then
        return 0;
    end if;
    perform auth.lock_sessions(owner);
    with evicted as (
        update auth.sessions as session set revoked_at = evicted_at, revoked_why = 'evicted'
        where session.revoked_at is null and session.id in (
            select other.id from auth.sessions as other
            where other.user_id = owner and other.id <> kept
                and other.revoked_at is null and other.expires_at > evicted_at
            order by other.refreshed_at desc, other.id desc
            offset greatest(most - 1, 0)
        )
        returning session.id
    ), listed as (
        insert into auth.revocations (session_id, revoked_at) select evicted.id, evicted_at from evicted
        on conflict do nothing
    ), recorded as (
        insert into auth.audit_events (id, at, action, actor, user_id, session_id)
        select gen_random_uuid(), evicted_at, 'session_evicted', 'ostiary', owner, evicted.id from evicted
    )
    select count(*) into evicted_count from evicted;
    return evicted_count;
end
$$;
