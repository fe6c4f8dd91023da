-- Makes an account with its contacts and memberships, or raises `... already exists` or `... not found`.
--
-- The replaced service gives contacts as they were typed. Ostiary gives them canonical, what was typed in
-- `typed`, and the id and time that it has chosen.
create or replace function accounts.create_user_with_relations(payload jsonb)
returns table (id uuid)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    is_canonical constant boolean     := payload ? 'typed';
    typed        constant jsonb       := case when is_canonical then payload -> 'typed' else payload end;
    new_id       constant uuid        := coalesce((payload ->> 'id')::uuid, gen_random_uuid());
    made_at      constant timestamptz := coalesce((payload ->> 'created_at')::timestamptz, now());
    contact_kind text;
    canonical    text;
    absent       text;
begin
    insert into accounts.users (id, password_hash, profile, created_at)
    values (new_id, payload ->> 'password_hash', nullif(payload -> 'profile', 'null'), made_at);

    -- Always in this order, so that two registrations never wait for each other in a circle.
    foreach contact_kind in array array['second_login', 'phone', 'email'] loop
        canonical := payload ->> contact_kind;
        continue when canonical is null;
        if not is_canonical then
            canonical := accounts.canonical_contact(contact_kind, canonical);
        end if;
        insert into accounts.contacts (value, kind, user_id, typed, created_at)
        values (canonical, contact_kind, new_id, typed ->> contact_kind, made_at)
        on conflict (value) do nothing;
        if not found then
            raise exception using
                errcode = 'unique_violation',
                message = contact_kind || ' already exists',
                schema = 'accounts', table = 'contacts', column = contact_kind;
        end if;
    end loop;

    select wanted.name into absent
    from jsonb_array_elements_text(payload -> 'group_names') with ordinality as wanted (name, place)
    where not exists (select from accounts.groups where groups.name = wanted.name)
    order by wanted.place
    limit 1;
    if found then
        raise exception using
            errcode = 'foreign_key_violation',
            message = 'Group ' || absent || ' not found',
            schema = 'accounts', table = 'groups', detail = absent;
    end if;
    insert into accounts.memberships (user_id, group_name, created_at)
    select distinct new_id, wanted.name, made_at
    from jsonb_array_elements_text(payload -> 'group_names') as wanted (name);

    return query select new_id;
end
$$;
