-- Puts `new_hash` in the place of a user's password hash if that is still `old_hash`; says whether it was.
create or replace function accounts.replace_password_hash(account_id uuid, old_hash text, new_hash text)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update accounts.users set password_hash = new_hash
    where users.id = account_id and users.password_hash = old_hash;
    return found;
end
$$;
