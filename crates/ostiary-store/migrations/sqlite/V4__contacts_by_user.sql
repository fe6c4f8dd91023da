-- A user's contacts lie together, since most requests read them all. A login finds the user in the index of values.
alter table contacts rename to former_contacts;

create table contacts (
    user_id     blob    not null references users (id) on delete cascade,
    kind        text    not null check (kind in ('second_login', 'phone', 'email')),
    -- One namespace of canonical values, whatever their kind.
    value       text    not null unique,
    typed       text    not null,
    created_at  integer not null,
    verified_at integer,
    primary key (user_id, kind)
) strict, without rowid;

insert into contacts (user_id, kind, value, typed, created_at, verified_at)
select user_id, kind, value, typed, created_at, verified_at from former_contacts order by user_id, kind;

drop table former_contacts;
