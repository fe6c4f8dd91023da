-- Passwords that were shut after too many failures, and when they were opened again. Whose they are, another
-- directory may know.
create table auth.password_locks (
    user_id     uuid        primary key,
    locked_at   timestamptz,
    unlocked_at timestamptz
);
