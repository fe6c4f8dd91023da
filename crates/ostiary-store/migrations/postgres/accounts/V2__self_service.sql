-- What a user changes, and what is shown to them.
alter table accounts.users add column updated_at timestamptz;
alter table accounts.contacts add column verified_at timestamptz;

-- For the tokens that are of no more use.
create index refresh_tokens_used_at on auth.refresh_tokens (used_at) where used_at is not null;
create index refresh_tokens_expires_at on auth.refresh_tokens (expires_at);
create index refresh_tokens_user_id on auth.refresh_tokens (user_id);
