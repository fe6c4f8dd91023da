-- Whether there is such a user, and it is not disabled.
create or replace function accounts.is_active(account_id uuid)
returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (select from accounts.users where users.id = account_id and users.active);
end
$$;
