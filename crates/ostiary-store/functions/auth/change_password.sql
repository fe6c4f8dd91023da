-- Puts `new_hash` in the place of a user's password hash if that is still `seen_hash`, and ends the user's other
-- sessions than `kept`. Failures with the former password no longer count. Says whether it was.
create or replace function auth.change_password(
    account_id uuid, seen_hash text, new_hash text, kept uuid, reason text,
    event_id uuid, event_time timestamptz, event_action text, event_actor text, event_address text,
    event_user_agent text
)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if not coalesce(accounts.replace_password_hash(account_id, seen_hash, new_hash), false) then
        return false;
    end if;
    perform auth.end_sessions(account_id, kept, event_time, reason);
    insert into auth.password_locks (user_id, unlocked_at) values (account_id, event_time)
    on conflict (user_id) do update set locked_at = null, unlocked_at = excluded.unlocked_at;
    insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
    values (event_id, event_time, event_action, event_actor, event_address, event_user_agent, account_id, kept);
    return true;
end
$$;
