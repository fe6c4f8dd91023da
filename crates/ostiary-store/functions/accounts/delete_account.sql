-- Deletes an account with its contacts, memberships and refresh tokens; says whether there was one.
create or replace function accounts.delete_account(account_id uuid)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from accounts.users where users.id = account_id;
    if not found then
        return false;
    end if;
    delete from accounts.contacts where contacts.user_id = account_id;
    delete from auth.refresh_tokens where refresh_tokens.user_id = account_id;
    return true;
end
$$;
