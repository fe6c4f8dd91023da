-- Opens a session for an active user whose password is still the one that was compared, and ends those that are
-- then too many: see `evict_sessions`. Says whether there is such a user. A directory that Ostiary did not make may be
-- unable to say which password hash it has now.
create or replace function auth.open_session(
    owner uuid, seen_hash text, most bigint,
    new_id uuid, new_secret_hash bytea, opened_at timestamptz, session_end timestamptz, session_address text,
    session_user_agent text, session_methods text,
    event_id uuid, event_time timestamptz, event_action text, event_actor text, event_address text,
    event_user_agent text
)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform auth.lock_sessions(owner);
    if not auth.is_active_user(owner) then
        return false;
    end if;
    if exists (
        select from pg_proc where proname = 'get_password_hash' and pronamespace = to_regnamespace('accounts')
    ) then
        -- By itself: a condition that names a function which is not there cannot be read, however it begins.
        if accounts.get_password_hash(owner)::text is distinct from seen_hash then
            return false;
        end if;
    end if;
    insert into auth.sessions (
        id, user_id, secret_hash, created_at, refreshed_at, expires_at, address, user_agent, methods
    )
    values (
        new_id, owner, new_secret_hash, opened_at, opened_at, session_end, session_address, session_user_agent,
        session_methods
    );
    insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
    values (event_id, event_time, event_action, event_actor, event_address, event_user_agent, owner, new_id);
    perform auth.evict_sessions(owner, most, new_id, opened_at);
    return true;
end
$$;
