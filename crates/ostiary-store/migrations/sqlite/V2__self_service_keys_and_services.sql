-- What a user changes, and what is shown to them.
alter table users add column updated_at integer;
alter table contacts add column verified_at integer;

-- Sessions that were ended before their time, for those who verify access tokens by themselves. An entry outlives
-- its session, whose account may be deleted.
create table revocations (
    session_id blob    primary key check (length(session_id) = 16),
    revoked_at integer not null
) strict, without rowid;

create index revocations_revoked_at on revocations (revoked_at);

insert into revocations (session_id, revoked_at) select id, revoked_at from sessions where revoked_at is not null;

create index sessions_expires_at on sessions (expires_at);

-- The stages of a key follow from its times, so there is no column that has to change with them.
drop index signing_keys_active;
alter table signing_keys rename to former_signing_keys;

create table signing_keys (
    id                 text    primary key,
    algorithm          text    not null,
    generation         integer not null check (generation > 0),
    public_key         blob    not null,
    sealed_private_key blob    not null,
    created_at         integer not null,
    activates_at       integer not null,
    expires_at         integer not null,
    retired_at         integer,
    unique (algorithm, generation)
) strict, without rowid;

-- Whoever signs with a key extends its trust at once: a day is enough for tokens of before. The time until the next
-- key begins now.
insert into signing_keys
    (id, algorithm, generation, public_key, sealed_private_key, created_at, activates_at, expires_at)
select id, algorithm, row_number() over (partition by algorithm order by created_at, id), public_key,
    sealed_private_key, created_at, case state when 'active' then unixepoch() * 1000000 else created_at end,
    (unixepoch() + 86400) * 1000000
from former_signing_keys;

drop table former_signing_keys;

-- By which services ask about tokens.
create table service_credentials (
    id          blob    primary key check (length(id) = 16),
    name        text    not null,
    secret_hash blob    not null check (length(secret_hash) = 32),
    created_at  integer not null,
    revoked_at  integer
) strict, without rowid;

-- An event may be about nobody who is known, or about a key or a credential.
drop index audit_events_user_id;
alter table audit_events rename to former_audit_events;

create table audit_events (
    id         blob    primary key check (length(id) = 16),
    at         integer not null,
    action     text    not null,
    actor      text    not null,
    user_id    blob,
    session_id blob,
    subject    text,
    address    text,
    user_agent text
) strict, without rowid;

insert into audit_events (id, at, action, actor, user_id, session_id, address, user_agent)
select id, at, action, case action when 'refresh_token_reused' then 'anyone' else 'user' end, user_id, session_id,
    address, user_agent
from former_audit_events;

drop table former_audit_events;

create index audit_events_user_id on audit_events (user_id, at);
create index audit_events_at on audit_events (at, id);

-- Work that one of several nodes does for all.
create table jobs (
    name         text    primary key,
    node         blob    not null check (length(node) = 16),
    leased_until integer not null
) strict, without rowid;
