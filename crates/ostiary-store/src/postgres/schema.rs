//! The schema: migrations that are only ever added to, and functions that are made again when their text
//! changes; applied all or not at all, by one node at a time.
//!
//! One transaction holds the lock and everything that is done under it. So a node that is killed half-way
//! leaves nothing, and it works through a pooler, where a lock of the session would be anybody's.

use std::time::Duration;

use refinery::{Migration, Runner};
use tokio_postgres::{Client, GenericClient, Transaction, types::Type};

use super::{
    directory::{Directory, GET_CONTACT},
    open_error::OpenError,
    survey::Survey,
};

mod auth {
    refinery::embed_migrations!("migrations/postgres/auth");
}
mod accounts {
    refinery::embed_migrations!("migrations/postgres/accounts");
}

/// `ostiary` and a NUL, in ASCII.
const LOCK: i64 = 0x6f73_7469_6172_7900;
const LOCK_POLL: Duration = Duration::from_millis(100);
/// A migration of a large table takes minutes; longer, somebody has to look.
const LOCK_WAIT: Duration = Duration::from_mins(10);

/// A part of the schema, which is there as a whole or not at all.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Its name in the history.
    pub(super) name: &'static str,
    migrations: fn() -> Runner,
    functions: &'static [&'static str],
    /// Counts the changes of the functions' text.
    revision: i32,
    /// What it makes, for a database where something of that name is there before.
    objects: &'static [&'static str],
}

/// What is in every database.
pub(super) const AUTH: Part = Part {
    name: "auth",
    migrations: auth::migrations::runner,
    functions: &[
        include_str!("../../functions/auth/is_active_user.sql"),
        include_str!("../../functions/auth/judge_refresh.sql"),
        include_str!("../../functions/auth/judge_rotation.sql"),
        include_str!("../../functions/auth/exchange_token.sql"),
        include_str!("../../functions/auth/lock_sessions.sql"),
        include_str!("../../functions/auth/evict_sessions.sql"),
        include_str!("../../functions/auth/open_session.sql"),
        include_str!("../../functions/auth/end_sessions.sql"),
        include_str!("../../functions/auth/revoke_foreign_token.sql"),
        include_str!("../../functions/auth/change_password.sql"),
        include_str!("../../functions/auth/delete_account.sql"),
    ],
    revision: 3,
    objects: &[
        "sessions",
        "revocations",
        "signing_keys",
        "service_credentials",
        "known_secret",
        "audit_events",
        "jobs",
        "password_locks",
        "sessions_user_id",
        "sessions_expires_at",
        "revocations_revoked_at",
        "signing_keys_active",
        "signing_keys_generation",
        "audit_events_user_id",
        "audit_events_at",
        "is_active_user",
        "judge_refresh",
        "judge_rotation",
        "exchange_token",
        "lock_sessions",
        "evict_sessions",
        "open_session",
        "end_sessions",
        "revoke_foreign_token",
        "change_password",
        "delete_account",
    ],
};

/// The directory of accounts where there is no other, and what the replaced service keeps in `auth`.
pub(super) const ACCOUNTS: Part = Part {
    name: "accounts",
    migrations: accounts::migrations::runner,
    functions: &[
        include_str!("../../functions/accounts/canonical_contact.sql"),
        include_str!("../../functions/accounts/get_active_user_contact_by_value.sql"),
        include_str!("../../functions/accounts/create_user_with_relations.sql"),
        include_str!("../../functions/accounts/is_active.sql"),
        include_str!("../../functions/accounts/get_account.sql"),
        include_str!("../../functions/accounts/get_password_hash.sql"),
        include_str!("../../functions/accounts/replace_profile.sql"),
        include_str!("../../functions/accounts/replace_password_hash.sql"),
        include_str!("../../functions/accounts/delete_account.sql"),
        include_str!("../../functions/auth/create_refresh_token.sql"),
        include_str!("../../functions/auth/consume_refresh_token.sql"),
        include_str!("../../functions/auth/revoke_refresh_tokens.sql"),
    ],
    revision: 2,
    objects: &[
        "refresh_tokens",
        "refresh_tokens_used_at",
        "refresh_tokens_expires_at",
        "refresh_tokens_user_id",
        "create_refresh_token",
        "consume_refresh_token",
        "revoke_refresh_tokens",
    ],
};

/// What has been applied, beside what it has made.
const HISTORY: &str = "
    create table if not exists auth.ostiary_migrations (
        part       text        not null,
        version    integer     not null,
        name       text        not null,
        checksum   text        not null,
        applied_at timestamptz not null default now(),
        primary key (part, version)
    );
    create table if not exists auth.ostiary_functions (
        part       text        primary key,
        revision   integer     not null,
        applied_at timestamptz not null default now()
    )";

/// A schema that this version can serve.
pub(super) struct Schema {
    /// Who made the directory of accounts.
    pub(super) directory: Directory,
    /// What was applied now: `auth 1: sessions_keys_and_audit`.
    pub(super) applied: Vec<String>,
}

impl Part {
    fn migrations(&self) -> Vec<Migration> {
        (self.migrations)().get_migrations().clone()
    }

    /// The number of the last migration that this version has.
    pub(super) fn known_version(&self) -> i32 {
        self.migrations().iter().map(Migration::version).max().unwrap_or(0)
    }

    /// The migrations that `survey` has not.
    ///
    /// # Errors
    /// If one that it has is another here.
    pub(super) fn pending(&self, survey: &Survey) -> Result<Vec<Migration>, OpenError> {
        let mut pending = Vec::new();
        for migration in self.migrations() {
            match survey.applied(self.name, migration.version()) {
                Some(checksum) if checksum == migration.checksum().to_string() => {}
                Some(_) => {
                    return Err(OpenError::Migration(format!("migration {} {migration} differs", self.name)));
                }
                None => pending.push(migration),
            }
        }
        pending.sort();
        Ok(pending)
    }

    /// Whether the functions are to be made again. Those of a later revision stay: they serve this version too.
    pub(super) fn functions_are_older(&self, survey: &Survey) -> bool {
        survey.revision(self.name) < self.revision
    }

    async fn apply(&self, transaction: &Transaction<'_>, survey: &Survey) -> Result<Vec<String>, OpenError> {
        let mut applied = Vec::new();
        for migration in self.pending(survey)? {
            let (version, name) = (migration.version(), migration.name());
            change(transaction, migration.sql().unwrap_or_default()).await?;
            let sql =
                "insert into auth.ostiary_migrations (part, version, name, checksum) values ($1, $2, $3, $4)";
            let checksum = migration.checksum().to_string();
            transaction.execute(sql, &[&self.name, &version, &name, &checksum]).await?;
            applied.push(format!("{} {version}: {name}", self.name));
        }
        if self.functions_are_older(survey) {
            for function in self.functions {
                change(transaction, function).await?;
            }
            let sql = "insert into auth.ostiary_functions (part, revision) values ($1, $2)
                       on conflict (part) do update set revision = excluded.revision, applied_at = now()";
            transaction.execute(sql, &[&self.name, &self.revision]).await?;
            applied.push(format!("{} functions, revision {}", self.name, self.revision));
        }
        Ok(applied)
    }
}

/// Whether the directory of accounts is Ostiary's own, or will be.
///
/// A directory that is there before Ostiary is somebody else's, and stays so.
///
/// # Errors
/// If there is something in the place of what would be made.
pub(super) fn is_own(survey: &Survey) -> Result<bool, OpenError> {
    if survey.has_history() {
        return Ok(survey.version(ACCOUNTS.name) > 0);
    }
    let is_own = !survey.has(GET_CONTACT.name());
    let in_accounts = if is_own { survey.any_in("accounts").map(str::to_owned) } else { None };
    let legacy: &[&str] = if is_own { ACCOUNTS.objects } else { &[] };
    let mut in_auth = AUTH.objects.iter().chain(legacy).map(|name| format!("auth.{name}"));
    match in_accounts.or_else(|| in_auth.find(|name| survey.has(name))) {
        Some(object) => Err(OpenError::Occupied(object)),
        None => Ok(is_own),
    }
}

/// Whether nothing is to be done.
///
/// # Errors
/// If the schema is not what its history says.
pub(super) fn is_up_to_date(survey: &Survey) -> Result<bool, OpenError> {
    let parts = if is_own(survey)? { &[AUTH, ACCOUNTS][..] } else { &[AUTH][..] };
    for part in parts {
        if survey.version(part.name) > part.known_version() {
            tracing::warn!(
                part = part.name,
                "the database was migrated by a newer version of Ostiary, which this one serves beside"
            );
        }
        if !part.pending(survey)?.is_empty() || part.functions_are_older(survey) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Brings the schema up to date, or waits for another node that does. Changes nothing where there is nothing
/// to do, so that a role without the right to may serve.
///
/// # Errors
/// If the database is not as it should be, or the role may not change it. Nothing is changed then.
pub(super) async fn bring_up_to_date(client: &mut Client) -> Result<Schema, OpenError> {
    let survey = Survey::of(client).await?;
    // Before anything is made: functions that cannot be called are a reason to make nothing.
    let directory = directory(client, &survey).await?;
    if is_up_to_date(&survey)? {
        return Ok(Schema { directory, applied: Vec::new() });
    }
    let start = std::time::Instant::now();
    let mut has_said_so = false;
    while start.elapsed() < LOCK_WAIT {
        let transaction = client.transaction().await?;
        let locked =
            transaction.query_typed("select pg_try_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)]).await?;
        if locked.first().is_some_and(|row| row.get(0)) {
            return Ok(Schema { directory, applied: apply(transaction).await? });
        }
        transaction.rollback().await?;
        if !has_said_so {
            tracing::info!("another node is changing the schema of the database: waiting for it");
            has_said_so = true;
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
    Err(OpenError::Locked(LOCK_WAIT))
}

async fn apply(transaction: Transaction<'_>) -> Result<Vec<String>, OpenError> {
    // A migration may take its time, but not while others wait for a table that it waits for.
    transaction.batch_execute("set local statement_timeout = 0; set local lock_timeout = '30s'").await?;
    // Whoever held the lock before may have done it all.
    let survey = Survey::of(&transaction).await?;
    if !survey.has("auth") {
        change(&transaction, "create schema auth").await?;
    }
    if !survey.has_history() {
        change(&transaction, HISTORY).await?;
    }
    let mut applied = AUTH.apply(&transaction, &survey).await?;
    if is_own(&survey)? {
        if !survey.has("accounts") {
            change(&transaction, "create schema accounts").await?;
        }
        applied.extend(ACCOUNTS.apply(&transaction, &survey).await?);
        // Its folding needs ICU, which a server may be built without: better now than at a login.
        transaction.batch_execute("select accounts.canonical_contact('second_login', 'A')").await?;
    }
    transaction.commit().await?;
    Ok(applied)
}

/// Who made the directory, and with which functions.
///
/// # Errors
/// If it is gone, or its functions are not what Ostiary calls.
pub(super) async fn directory(client: &impl GenericClient, survey: &Survey) -> Result<Directory, OpenError> {
    if is_own(survey)? {
        return Ok(Directory::Own);
    }
    if !survey.has(GET_CONTACT.name()) {
        return Err(OpenError::DirectoryGone(GET_CONTACT.signature));
    }
    Directory::foreign(client, survey).await
}

/// Changes the schema, which takes rights that serving does not.
async fn change(transaction: &Transaction<'_>, sql: &str) -> Result<(), OpenError> {
    transaction.batch_execute(sql).await.map_err(|error| {
        OpenError::from(error).advised(
            "Run `ostiary migrate` as a role that may create objects in the database, then start again.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes of two versions would undo each other's functions if a change did not count as one. If this
    /// fails: raise the part's `revision` by one, and put the new checksum here.
    #[test]
    fn functions_change_with_their_revision() {
        let checksum = |part: Part| {
            let text = Migration::unapplied("V1__functions", &part.functions.concat()).unwrap();
            (part.revision, text.checksum())
        };
        assert_eq!(checksum(AUTH), (3, 1_561_144_607_491_808_078));
        assert_eq!(checksum(ACCOUNTS), (2, 8_486_970_100_220_373_358));
    }
}
