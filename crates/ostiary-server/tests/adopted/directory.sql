-- A database that is somebody else's: a shop's, with tables and keys of its own. Two functions of `accounts` and
-- two of `auth` are what the replaced service called here; Ostiary takes its place without a change to any of it.

create schema shop;

create table shop.people (
    person_no bigint  generated always as identity primary key,
    public_id uuid    not null unique default gen_random_uuid(),
    nickname  text    unique,
    mobile    text    unique,
    mail      text    unique,
    secret    text,
    about     jsonb,
    blocked   boolean not null default false
);

create table shop.circles (
    circle_no bigint generated always as identity primary key,
    title     text   not null unique
);

create table shop.people_in_circles (
    person_no bigint not null references shop.people,
    circle_no bigint not null references shop.circles,
    primary key (person_no, circle_no)
);

insert into shop.circles (title) values ('customer'), ('courier');

create schema accounts;

create function accounts.get_active_user_contact_by_value(contact text)
returns table (contact_id bigint, user_id uuid, password_hash text)
language plpgsql stable
as $$
begin
    return query
    select people.person_no, people.public_id, people.secret
    from shop.people
    where not people.blocked and contact in (people.nickname, people.mobile, people.mail);
end
$$;

create function accounts.create_user_with_relations(data jsonb)
returns table (id uuid, nickname text)
language plpgsql
as $$
declare
    person    shop.people;
    circle    text;
    circle_no bigint;
    violated  text;
begin
    insert into shop.people (nickname, mobile, mail, secret, about)
    values (
        data ->> 'second_login', data ->> 'phone', data ->> 'email', data ->> 'password_hash', data -> 'profile'
    )
    returning * into person;
    for circle in select jsonb_array_elements_text(data -> 'group_names') loop
        select circles.circle_no into circle_no from shop.circles where title = circle;
        if not found then
            raise exception 'Group % not found', circle;
        end if;
        insert into shop.people_in_circles values (person.person_no, circle_no);
    end loop;
    return query select person.public_id, person.nickname;
exception
    when unique_violation then
        get stacked diagnostics violated = constraint_name;
        raise exception '% already exists',
            case violated
                when 'people_nickname_key' then 'second_login'
                when 'people_mobile_key' then 'phone'
                when 'people_mail_key' then 'email'
                else violated
            end;
end
$$;

create schema auth;

create table auth.refresh_tokens (
    token_no bigint      generated always as identity primary key,
    owner    uuid        not null,
    digest   text        not null unique,
    good_to  timestamptz not null,
    spent    boolean     not null default false
);

create function auth.create_refresh_token(p_user_id text, p_token_hash text, p_expires_at text)
returns void
language plpgsql
as $$
begin
    insert into auth.refresh_tokens (owner, digest, good_to)
    values (p_user_id::uuid, p_token_hash, p_expires_at::timestamptz);
end
$$;

create function auth.consume_refresh_token(p_token_hash text)
returns text
language plpgsql
as $$
declare
    person text;
begin
    update auth.refresh_tokens set spent = true
    where digest = p_token_hash and not spent and good_to > now()
    returning owner::text into person;
    return person;
end
$$;
