-- Ids are the 16 bytes of a UUID; times are microseconds since 1970, UTC.

create table users (
    id            blob    primary key check (length(id) = 16),
    password_hash text,
    profile       text    check (profile is null or json_valid(profile)),
    active        integer not null default 1 check (active in (0, 1)),
    created_at    integer not null
) strict, without rowid;

-- One namespace of canonical values, whatever their kind.
create table contacts (
    value      text    primary key,
    kind       text    not null check (kind in ('second_login', 'phone', 'email')),
    user_id    blob    not null references users (id) on delete cascade,
    typed      text    not null,
    created_at integer not null,
    unique (user_id, kind)
) strict, without rowid;

create table groups (
    name       text    primary key,
    created_at integer not null
) strict, without rowid;

create table memberships (
    user_id    blob    not null references users (id) on delete cascade,
    group_name text    not null references groups (name),
    created_at integer not null,
    primary key (user_id, group_name)
) strict, without rowid;

-- No index on anything that a refresh changes.
create table sessions (
    id           blob    primary key check (length(id) = 16),
    user_id      blob    not null references users (id) on delete cascade,
    secret_hash  blob    not null check (length(secret_hash) = 32),
    generation   integer not null default 0 check (generation between 0 and 4294967295),
    created_at   integer not null,
    refreshed_at integer not null,
    expires_at   integer not null,
    revoked_at   integer,
    revoked_why  text,
    address      text,
    user_agent   text,
    methods      text    not null,
    check ((revoked_at is null) = (revoked_why is null))
) strict, without rowid;

create index sessions_user_id on sessions (user_id);

create table signing_keys (
    id                 text    primary key,
    algorithm          text    not null,
    public_key         blob    not null,
    sealed_private_key blob    not null,
    state              text    not null check (state in ('next', 'active', 'retired')),
    created_at         integer not null
) strict, without rowid;

create unique index signing_keys_active on signing_keys (algorithm) where state = 'active';

-- Which server's secret the sessions and keys were made under; one row.
create table known_secret (
    id          integer primary key check (id = 1),
    fingerprint blob    not null check (length(fingerprint) = 32),
    since       integer not null
) strict;

-- Without references: an event outlives what it is about.
create table audit_events (
    id         blob    primary key check (length(id) = 16),
    at         integer not null,
    action     text    not null,
    user_id    blob    not null,
    session_id blob,
    address    text,
    user_agent text
) strict, without rowid;

create index audit_events_user_id on audit_events (user_id, id);
