-- Passwords that were shut after too many failures, and when they were opened again.
create table password_locks (
    user_id     blob    primary key references users (id) on delete cascade,
    locked_at   integer,
    unlocked_at integer
) strict, without rowid;
