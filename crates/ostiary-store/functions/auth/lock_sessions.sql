-- Whoever opens or ends sessions of a user waits here for those who did so before, until the end of the transaction,
-- and then sees what they did: a session that is opened while all are ended is among them, or is not opened.
--
-- A transaction that changes the directory does so before it comes here, so that no two wait for each other.
create or replace function auth.lock_sessions(owner uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('ostiary sessions of ' || owner, 0));
end
$$;
