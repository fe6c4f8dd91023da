-- The directory of accounts, made only where there is no other. It is reached through the functions in
-- `functions/accounts`, so that another one can take its place.

create table accounts.users (
    id            uuid        primary key,
    password_hash text,
    profile       jsonb       check (jsonb_typeof(profile) = 'object'),
    active        boolean     not null default true,
    created_at    timestamptz not null
);

-- One namespace of canonical values, whatever their kind. A contact lives by its value, so there is no
-- reference to its user: `create_user_with_relations` writes both or neither.
create table accounts.contacts (
    value      text        collate "C" primary key,
    kind       text        not null check (kind in ('second_login', 'phone', 'email')),
    user_id    uuid        not null,
    typed      text        not null,
    created_at timestamptz not null
);

create index contacts_user_id on accounts.contacts (user_id);

create table accounts.groups (
    name       text        primary key,
    created_at timestamptz not null
);

create table accounts.memberships (
    user_id    uuid        not null references accounts.users (id) on delete cascade,
    group_name text        not null references accounts.groups (name),
    created_at timestamptz not null,
    primary key (user_id, group_name)
);

-- Refresh tokens of the replaced service, which may run beside; Ostiary's own are sessions.
create table auth.refresh_tokens (
    token_hash text        primary key,
    user_id    uuid        not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    used_at    timestamptz
);
