-- The active user whose contact this is. The value is looked up as it is, and then folded as a name or an
-- address, so that the replaced service finds a user however the name is typed.
create or replace function accounts.get_active_user_contact_by_value(login text)
returns table (user_id uuid, password_hash text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    owner uuid;
begin
    select contact.user_id into owner from accounts.contacts as contact where contact.value = login;
    if not found then
        select contact.user_id into owner
        from accounts.contacts as contact
        where contact.value
            = accounts.canonical_contact(case when login like '%@%' then 'email' else 'second_login' end, login);
    end if;
    return query
    select users.id, users.password_hash from accounts.users as users where users.id = owner and users.active;
end
$$;
