-- Deletes an account and all that hangs on it, but for its audit events: those of before no longer say where they
-- came from. Says whether there was such an account.
create or replace function auth.delete_account(
    account_id uuid, event_session uuid,
    event_id uuid, event_time timestamptz, event_action text, event_actor text, event_address text,
    event_user_agent text
)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if not coalesce(accounts.delete_account(account_id), false) then
        return false;
    end if;
    perform auth.end_sessions(account_id, null, event_time, event_action);
    delete from auth.sessions as session where session.user_id = account_id;
    delete from auth.password_locks as lock where lock.user_id = account_id;
    update auth.audit_events as event set address = null, user_agent = null
    where event.user_id = account_id and (event.address is not null or event.user_agent is not null);
    insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
    values (
        event_id, event_time, event_action, event_actor, event_address, event_user_agent, account_id, event_session
    );
    return true;
end
$$;
