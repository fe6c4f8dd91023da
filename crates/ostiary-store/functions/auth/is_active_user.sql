-- Whether a user may have sessions. A directory that Ostiary did not make may be unable to say; then its
-- logins alone decide.
create or replace function auth.is_active_user(account_id uuid)
returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (
        select from pg_proc where proname = 'is_active' and pronamespace = to_regnamespace('accounts')
    ) then
        return true;
    end if;
    return coalesce(accounts.is_active(account_id), false);
end
$$;
