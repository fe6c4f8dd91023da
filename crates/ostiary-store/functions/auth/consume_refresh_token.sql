-- Spends a refresh token of the replaced service: the id of its user, or null if it is not good.
create or replace function auth.consume_refresh_token(token_hash text)
returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    owner uuid;
begin
    update auth.refresh_tokens as token set used_at = now()
    where token.token_hash = consume_refresh_token.token_hash
        and token.used_at is null
        and token.expires_at > now()
        and accounts.is_active(token.user_id)
    returning token.user_id into owner;
    return owner;
end
$$;
