-- Sessions that were ended before their time, for those who verify access tokens by themselves. An entry outlives
-- its session, whose account may be deleted.
create table auth.revocations (
    session_id uuid        primary key,
    revoked_at timestamptz not null
);

create index revocations_revoked_at on auth.revocations (revoked_at);

insert into auth.revocations (session_id, revoked_at)
select id, revoked_at from auth.sessions where revoked_at is not null;

-- On nothing that a refresh changes.
create index sessions_expires_at on auth.sessions (expires_at);

-- The stages of a key follow from its times, so there is no column that has to change with them. `state` is what
-- the previous release reads when it starts: which key it signs with, and that it is to publish the others.
drop index auth.signing_keys_active;

alter table auth.signing_keys
    alter column state set default 'next',
    add column generation   bigint check (generation between 1 and 4294967295),
    add column activates_at timestamptz,
    add column expires_at   timestamptz,
    add column retired_at   timestamptz;

-- Whoever signs with a key extends its trust at once: a day is enough for tokens of before. The time until the next
-- key begins now: nodes of the previous release, which may serve beside, learn of no other key.
update auth.signing_keys as key set
    generation = numbered.generation, activates_at = case state when 'active' then now() else created_at end, expires_at = now() + interval '1 day'
from (
    select id, row_number() over (partition by algorithm order by created_at, id) as generation
    from auth.signing_keys
) as numbered
where numbered.id = key.id;

alter table auth.signing_keys
    alter column generation set not null,
    alter column activates_at set not null,
    alter column expires_at set not null;

create unique index signing_keys_generation on auth.signing_keys (algorithm, generation);

-- By which services ask about tokens.
create table auth.service_credentials (
    id          uuid        primary key,
    name        text        not null,
    secret_hash bytea       not null check (octet_length(secret_hash) = 32),
    created_at  timestamptz not null,
    revoked_at  timestamptz
);

-- An event may be about nobody who is known, or about a key or a credential.
alter table auth.audit_events
    alter column user_id drop not null,
    add column actor   text not null default 'user',
    add column subject text;

update auth.audit_events set actor = 'anyone' where action = 'refresh_token_reused';

drop index auth.audit_events_user_id;
create index audit_events_user_id on auth.audit_events (user_id, at);
create index audit_events_at on auth.audit_events (at, id);

-- Work that one of several nodes does for all.
create table auth.jobs (
    name         text        primary key,
    node         uuid        not null,
    leased_until timestamptz not null
);
