-- Makes void what the replaced service has issued to a user.
create or replace function auth.revoke_refresh_tokens(owner uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update auth.refresh_tokens as token set used_at = now() where token.user_id = owner and token.used_at is null;
end
$$;
