-- What is Ostiary's own in every database, whoever made the directory of accounts. No reference leads from
-- here into that directory, and none to a row of another entity: a session lives by its id.

-- No index on anything that a refresh changes, and room on each page: so a refresh is one heap-only update.
create table auth.sessions (
    id           uuid        primary key,
    user_id      uuid        not null,
    secret_hash  bytea       not null check (octet_length(secret_hash) = 32),
    generation   bigint      not null default 0 check (generation between 0 and 4294967295),
    created_at   timestamptz not null,
    refreshed_at timestamptz not null,
    expires_at   timestamptz not null,
    revoked_at   timestamptz,
    revoked_why  text,
    address      text,
    user_agent   text,
    methods      text        not null,
    check ((revoked_at is null) = (revoked_why is null))
) with (fillfactor = 70);

create index sessions_user_id on auth.sessions (user_id);

create table auth.signing_keys (
    id                 text        primary key,
    algorithm          text        not null,
    public_key         bytea       not null,
    sealed_private_key bytea       not null,
    state              text        not null check (state in ('next', 'active', 'retired')),
    created_at         timestamptz not null
);

create unique index signing_keys_active on auth.signing_keys (algorithm) where state = 'active';

-- Which server's secret the sessions and keys were made under; one row.
create table auth.known_secret (
    id          integer     primary key check (id = 1),
    fingerprint bytea       not null check (octet_length(fingerprint) = 32),
    since       timestamptz not null
);

-- Without references: an event outlives what it is about.
create table auth.audit_events (
    id         uuid        primary key,
    at         timestamptz not null,
    action     text        not null,
    user_id    uuid        not null,
    session_id uuid,
    address    text,
    user_agent text
);

create index audit_events_user_id on auth.audit_events (user_id, id);
