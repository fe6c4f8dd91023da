-- The hash of an active user's password; null if there is none, or no such user.
create or replace function accounts.get_password_hash(account_id uuid)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select account.password_hash from accounts.users as account
        where account.id = account_id and account.active
    );
end
$$;
