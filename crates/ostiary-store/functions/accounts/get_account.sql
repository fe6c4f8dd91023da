-- An active user's account, as its user sees it; null if there is none.
create or replace function accounts.get_account(account_id uuid)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
begin
    return (
        select jsonb_build_object(
            'contacts', (
                select coalesce(jsonb_agg(
                    jsonb_build_object(
                        'kind', contact.kind, 'value', contact.value, 'typed', contact.typed,
                        'verified', contact.verified_at is not null
                    )
                    order by array_position(array['second_login', 'phone', 'email'], contact.kind)
                ), '[]')
                from accounts.contacts as contact where contact.user_id = account.id
            ),
            'groups', (
                select coalesce(jsonb_agg(membership.group_name order by membership.group_name collate "C"), '[]')
                from accounts.memberships as membership where membership.user_id = account.id
            ),
            'profile', account.profile,
            'created_at', account.created_at,
            'updated_at', account.updated_at
        )
        from accounts.users as account where account.id = account_id and account.active
    );
end
$$;
