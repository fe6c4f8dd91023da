-- Puts `new_profile` in the place of an active user's profile if that is still `seen_profile`, either of which may
-- be null; says whether it was.
create or replace function accounts.replace_profile(
    account_id uuid, seen_profile jsonb, new_profile jsonb, changed_at timestamptz default now()
)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update accounts.users set profile = new_profile, updated_at = changed_at
    where users.id = account_id and users.active and users.profile is not distinct from seen_profile;
    return found;
end
$$;
