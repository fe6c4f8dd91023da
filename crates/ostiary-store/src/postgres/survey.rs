//! What is in a database before anything is done to it.

use std::collections::{HashMap, HashSet};

use tokio_postgres::{GenericClient, types::Type};

use super::open_error::{LEAST_VERSION, OpenError};

/// The server, and who has connected.
#[derive(Debug)]
pub(super) struct Server {
    /// `15.13 (Debian 15.13-0+deb12u1)`.
    pub(super) version: String,
    version_number: i32,
    takes_no_writes: bool,
    encoding: String,
    /// The role that statements run as.
    pub(super) role: String,
}

impl Server {
    pub(super) async fn of(client: &impl GenericClient) -> Result<Self, OpenError> {
        let sql = "select current_setting('server_version'), current_setting('server_version_num')::integer,
                       pg_is_in_recovery() or current_setting('transaction_read_only')::boolean,
                       current_setting('server_encoding'), current_user::text";
        let rows = client.query_typed(sql, &[]).await?;
        let row = rows.first().ok_or_else(|| OpenError::Failed("it answered with nothing".to_owned()))?;
        Ok(Self {
            version: row.get(0),
            version_number: row.get(1),
            takes_no_writes: row.get(2),
            encoding: row.get(3),
            role: row.get(4),
        })
    }

    /// # Errors
    /// If the server cannot be used, whatever is in it.
    pub(super) fn check(&self) -> Result<(), OpenError> {
        if self.version_number < LEAST_VERSION {
            return Err(OpenError::TooOld(self.version.clone()));
        }
        if self.takes_no_writes {
            return Err(OpenError::Standby);
        }
        if self.encoding != "UTF8" {
            return Err(OpenError::Encoding(self.encoding.clone()));
        }
        Ok(())
    }
}

/// What of Ostiary's schema is there, and what else is in its place.
#[derive(Debug)]
pub(super) struct Survey {
    /// Those of the schemas `accounts` and `auth` that are there, and the tables and functions in them: `auth`,
    /// `auth.sessions`.
    objects: HashSet<String>,
    /// Checksums of the migrations that were applied, by part and version.
    applied: HashMap<(String, i32), String>,
    /// The revision of each part's functions.
    revisions: HashMap<String, i32>,
}

impl Survey {
    pub(super) async fn of(client: &impl GenericClient) -> Result<Self, OpenError> {
        let mut survey =
            Self { objects: objects(client).await?, applied: HashMap::new(), revisions: HashMap::new() };
        if survey.has_history() {
            let applied = "select part, version, checksum from auth.ostiary_migrations";
            for row in client.query_typed(applied, &[]).await? {
                survey.applied.insert((row.get(0), row.get(1)), row.get(2));
            }
            for row in client.query_typed("select part, revision from auth.ostiary_functions", &[]).await? {
                survey.revisions.insert(row.get(0), row.get(1));
            }
        }
        Ok(survey)
    }

    /// Whether there is a schema of this name, or a table or function of a name such as `auth.sessions`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.objects.contains(name)
    }

    /// A table or function in `schema`, if there is one.
    pub(super) fn any_in(&self, schema: &str) -> Option<&str> {
        let is_in = |object: &&String| object.split_once('.').is_some_and(|(of, _)| of == schema);
        self.objects.iter().find(is_in).map(String::as_str)
    }

    /// Whether Ostiary has been here before.
    pub(super) fn has_history(&self) -> bool {
        self.has("auth.ostiary_migrations")
    }

    /// The checksum of a migration that was applied.
    pub(super) fn applied(&self, part: &str, version: i32) -> Option<&str> {
        self.applied.get(&(part.to_owned(), version)).map(String::as_str)
    }

    /// The number of the last migration of a part that was applied; 0 if there is none.
    pub(super) fn version(&self, part: &str) -> i32 {
        self.applied.keys().filter(|(of, _)| of == part).map(|(_, version)| *version).max().unwrap_or(0)
    }

    /// The revision of a part's functions; 0 if there are none.
    pub(super) fn revision(&self, part: &str) -> i32 {
        self.revisions.get(part).copied().unwrap_or(0)
    }
}

async fn objects(client: &impl GenericClient) -> Result<HashSet<String>, OpenError> {
    let sql = "
        with schema as (select oid, nspname from pg_catalog.pg_namespace where nspname in ('accounts', 'auth'))
        select nspname::text from schema
        union
        select nspname || '.' || relname from pg_catalog.pg_class join schema on schema.oid = relnamespace
        where relkind in ('r', 'p', 'v', 'm', 'f')
        union
        select nspname || '.' || proname from pg_catalog.pg_proc join schema on schema.oid = pronamespace";
    Ok(client.query_typed(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// What the role may not do that serving takes: `update on auth.sessions`; nothing, if it may do all.
pub(super) async fn missing_rights(client: &impl GenericClient, own: bool) -> Result<Vec<String>, OpenError> {
    let mut tables = vec!["auth.sessions", "auth.signing_keys", "auth.known_secret", "auth.audit_events"];
    if own {
        tables.extend([
            "accounts.users",
            "accounts.contacts",
            "accounts.groups",
            "accounts.memberships",
            "auth.refresh_tokens",
        ]);
    }
    let sql = "select privilege || ' on ' || name
               from unnest($1) as name, unnest(array['select', 'insert', 'update', 'delete']) as privilege
               where not has_table_privilege(name, privilege)
               order by 1";
    let rows = client.query_typed(sql, &[(&tables, Type::TEXT_ARRAY)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            version: "15.13".to_owned(),
            version_number: 150_013,
            takes_no_writes: false,
            encoding: "UTF8".to_owned(),
            role: "ostiary".to_owned(),
        }
    }

    #[test]
    fn a_server_that_cannot_be_used_is_said_by_name() {
        server().check().unwrap();
        let old = Server { version: "12.22".to_owned(), version_number: 120_022, ..server() };
        assert!(
            old.check().unwrap_err().to_string().contains("PostgreSQL 12.22, and Ostiary needs 13 or later")
        );
        let standby = Server { takes_no_writes: true, ..server() };
        assert!(standby.check().unwrap_err().to_string().contains("read-only standby"));
        let latin = Server { encoding: "LATIN1".to_owned(), ..server() };
        assert!(latin.check().unwrap_err().to_string().contains("LATIN1"));
    }
}
