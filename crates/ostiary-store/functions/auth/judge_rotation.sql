-- `judge_refresh` as the previous release calls it, which knows of no session that ends for want of a refresh.
create or replace function auth.judge_rotation(
    wanted_id uuid, wanted_secret_hash bytea, spent_generation bigint, repeated_since timestamptz, reason text,
    event_id uuid, request_time timestamptz, event_action text, client_address text, client_user_agent text
)
returns table (outcome text, session_user_id uuid)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select judged.outcome, judged.session_user_id
    from auth.judge_refresh(
        wanted_id, wanted_secret_hash, spent_generation, repeated_since, '-infinity', reason,
        event_id, request_time, event_action, 'anyone', client_address, client_user_agent
    ) as judged;
end
$$;
