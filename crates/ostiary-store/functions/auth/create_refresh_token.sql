-- Keeps a refresh token of the replaced service, by the hexadecimal SHA-256 of its text. An expiry without an
-- offset is in UTC.
create or replace function auth.create_refresh_token(user_id uuid, token_hash text, expires_at text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
begin
    insert into auth.refresh_tokens (token_hash, user_id, expires_at)
    values (token_hash, user_id, expires_at::timestamptz);
end
$$;
