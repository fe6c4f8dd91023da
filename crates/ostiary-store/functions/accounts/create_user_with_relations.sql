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
    contact      record;
    taken        text[]               := '{}';
    taken_kind   text;
    absent       text;
begin
    insert into accounts.users (id, password_hash, profile, created_at)
    values (new_id, payload ->> 'password_hash', nullif(payload -> 'profile', 'null'), made_at);

    -- In the order of the values, so that two registrations never wait for each other in a circle.
    for contact in
        select given.kind, given.value
        from (
            select kind,
                case when is_canonical then payload ->> kind
                    else accounts.canonical_contact(kind, payload ->> kind)
                end
            from unnest(array['second_login', 'phone', 'email']) as kinds (kind)
        ) as given (kind, value)
        where given.value <> ''
        order by given.value collate "C"
    loop
        insert into accounts.contacts (value, kind, user_id, typed, created_at)
        values (contact.value, contact.kind, new_id, typed ->> contact.kind, made_at)
        on conflict (value) do nothing;
        if not found then
            taken := taken || contact.kind;
        end if;
    end loop;
    foreach taken_kind in array array['second_login', 'phone', 'email'] loop
        if taken_kind = any (taken) then
            raise exception using
                errcode = 'unique_violation',
                message = taken_kind || ' already exists',
                schema = 'accounts', table = 'contacts', column = taken_kind;
        end if;
    end loop;

    select wanted.name into absent
    from jsonb_array_elements_text(nullif(payload -> 'group_names', 'null')) with ordinality as wanted (name, place)
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
    from jsonb_array_elements_text(nullif(payload -> 'group_names', 'null')) as wanted (name);

    return query select new_id;
end
$$;
