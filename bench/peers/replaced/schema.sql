-- A directory of accounts, behind the four functions that the replaced service calls.

create schema accounts;
create schema auth;

create table accounts.users (
    id bigint generated always as identity primary key,
    password_hash text,
    profile jsonb,
    is_active boolean not null default true
);
create table accounts.contacts (
    value text primary key,
    kind text not null,
    user_id bigint not null references accounts.users
);
create index on accounts.contacts (user_id);
create table accounts.groups (
    id bigint generated always as identity primary key,
    name text not null unique
);
create table accounts.user_groups (
    user_id bigint not null references accounts.users,
    group_id bigint not null references accounts.groups,
    primary key (user_id, group_id)
);
insert into accounts.groups (name) values ('customer'), ('courier');

create table auth.refresh_tokens (
    token_hash text primary key,
    user_id bigint not null references accounts.users,
    expires_at timestamptz not null,
    used_at timestamptz
);

create function accounts.get_active_user_contact_by_value(login text)
returns table (user_id bigint, password_hash text)
language sql stable as $$
    select users.id, users.password_hash
    from accounts.contacts join accounts.users on users.id = contacts.user_id
    where contacts.value = login and users.is_active
$$;

create function accounts.create_user_with_relations(data jsonb)
returns table (id bigint)
language plpgsql as $$
declare
    new_user bigint;
    contact record;
    wanted text;
begin
    insert into accounts.users (password_hash, profile)
    values (data ->> 'password_hash', nullif(data -> 'profile', 'null'))
    returning users.id into new_user;
    for contact in
        select kind, data ->> kind as value from unnest(array['second_login', 'phone', 'email']) as kind
        where data ->> kind is not null
    loop
        insert into accounts.contacts (value, kind, user_id)
        values (contact.value, contact.kind, new_user)
        on conflict do nothing;
        if not found then
            raise exception '% already exists', contact.kind;
        end if;
    end loop;
    for wanted in select jsonb_array_elements_text(data -> 'group_names') loop
        insert into accounts.user_groups (user_id, group_id)
        select new_user, groups.id from accounts.groups where groups.name = wanted;
        if not found then
            raise exception 'Group % not found', wanted;
        end if;
    end loop;
    return query select new_user;
end
$$;

create function auth.create_refresh_token(owner text, hash text, expiry text)
returns void
language sql as $$
    insert into auth.refresh_tokens (token_hash, user_id, expires_at)
    values (hash, owner::bigint, expiry::timestamptz)
$$;

create function auth.consume_refresh_token(hash text)
returns text
language sql as $$
    update auth.refresh_tokens set used_at = now()
    where token_hash = hash and used_at is null and expires_at > now()
    returning user_id::text
$$;

-- For /me, which the replaced service did not have.
create function accounts.get_user(owner text)
returns jsonb
language sql stable as $$
    select jsonb_build_object(
        'id', users.id::text,
        'contacts', (select jsonb_object_agg(kind, value) from accounts.contacts where user_id = users.id),
        'groups', (
            select jsonb_agg(groups.name)
            from accounts.user_groups join accounts.groups on groups.id = user_groups.group_id
            where user_groups.user_id = users.id
        ),
        'profile', users.profile
    )
    from accounts.users where users.id = owner::bigint and users.is_active
$$;
