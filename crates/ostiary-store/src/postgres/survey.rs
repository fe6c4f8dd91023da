//! What is in a database before anything is done to it.

use std::collections::{HashMap, HashSet};

use tokio_postgres::{
    GenericClient,
    types::{ToSql, Type},
};

use super::open_error::{LEAST_VERSION, OpenError};

/// The server, and who has connected.
#[derive(Debug)]
pub(super) struct Server {
    /// `15.13 (Debian 15.13-0+deb12u1)`.
    pub(super) version: String,
    version_number: i32,
    is_standby: bool,
    is_read_only: bool,
    encoding: String,
    /// The role that statements run as.
    pub(super) role: String,
}

impl Server {
    pub(super) async fn of(client: &impl GenericClient) -> Result<Self, tokio_postgres::Error> {
        let sql = "select current_setting('server_version'), current_setting('server_version_num')::integer,
                       pg_is_in_recovery(), current_setting('transaction_read_only')::boolean,
                       current_setting('server_encoding'), current_user::text";
        let row = client.query_typed_one(sql, &[]).await?;
        Ok(Self {
            version: row.get(0),
            version_number: row.get(1),
            is_standby: row.get(2),
            is_read_only: row.get(3),
            encoding: row.get(4),
            role: row.get(5),
        })
    }

    /// # Errors
    /// If the server cannot be used, whatever is in it.
    pub(super) fn check(&self) -> Result<(), OpenError> {
        if self.version_number < LEAST_VERSION {
            return Err(OpenError::TooOld(self.version.clone()));
        }
        if self.is_standby {
            return Err(OpenError::Standby);
        }
        if self.is_read_only {
            return Err(OpenError::ReadOnly(self.role.clone()));
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

/// The two schemas, and whatever is in them. Names of functions are in full, where one in another schema of the
/// search path could fit the arguments better than PostgreSQL's own.
async fn objects(client: &impl GenericClient) -> Result<HashSet<String>, OpenError> {
    let sql = "
        with schema as (select oid, nspname from pg_catalog.pg_namespace where nspname in ('accounts', 'auth'))
        select nspname::text from schema
        union
        select pg_catalog.format('%s.%s', nspname, relname)
        from pg_catalog.pg_class join schema on schema.oid = relnamespace
        union
        select pg_catalog.format('%s.%s', nspname, proname)
        from pg_catalog.pg_proc join schema on schema.oid = pronamespace
        union
        select pg_catalog.format('%s.%s', nspname, typname)
        from pg_catalog.pg_type join schema on schema.oid = typnamespace
        where typrelid = 0 and typelem = 0";
    Ok(client.query_typed(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// What the role may not do that serving takes: `update on auth.sessions`; nothing, if it may do all.
pub(super) async fn missing_rights(client: &impl GenericClient, own: bool) -> Result<Vec<String>, OpenError> {
    const EVERYWHERE: &[(&str, &str)] = &[
        ("auth.sessions", "select insert update delete"),
        ("auth.revocations", "select insert update delete"),
        ("auth.signing_keys", "select insert update delete"),
        ("auth.service_credentials", "select insert update"),
        ("auth.known_secret", "select insert update"),
        ("auth.audit_events", "select insert update"),
        ("auth.jobs", "select insert update"),
        ("auth.password_locks", "select insert update delete"),
    ];
    const OF_OWN_DIRECTORY: &[(&str, &str)] = &[
        ("accounts.users", "select insert update delete"),
        ("accounts.contacts", "select insert delete"),
        ("accounts.groups", "select insert"),
        ("accounts.memberships", "select insert"),
        ("auth.refresh_tokens", "select update delete"),
    ];
    let tables = if own { [EVERYWHERE, OF_OWN_DIRECTORY].concat() } else { EVERYWHERE.to_vec() };
    let wanted =
        tables.iter().flat_map(|(table, rights)| rights.split(' ').map(move |right| (*table, right)));
    let (tables, rights): (Vec<&str>, Vec<&str>) = wanted.unzip();
    let schemas: &[&str] = if own { &["auth", "accounts"] } else { &["auth"] };
    // Materialized, or all three thousand functions of PostgreSQL may be asked about.
    let sql = "
        with ours as materialized (
            select function.oid from pg_catalog.pg_proc as function
            join pg_catalog.pg_namespace as namespace on namespace.oid = function.pronamespace
            where namespace.nspname = any($3::text[])
        )
        select pg_catalog.format('%s on %s', privilege, name)
        from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted (name, privilege)
        where not pg_catalog.has_table_privilege(name, privilege)
        union
        select pg_catalog.format('execute on %s', oid::pg_catalog.regprocedure)
        from ours where not pg_catalog.has_function_privilege(oid, 'execute')
        order by 1";
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&tables, Type::TEXT_ARRAY), (&rights, Type::TEXT_ARRAY), (&schemas, Type::TEXT_ARRAY)];
    Ok(client.query_typed(sql, &parameters).await?.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            version: "15.13".to_owned(),
            version_number: 150_013,
            is_standby: false,
            is_read_only: false,
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
        let read_only = Server { is_read_only: true, ..server() };
        assert!(read_only.check().unwrap_err().to_string().contains("default_transaction_read_only"));
        let standby = Server { is_standby: true, is_read_only: true, ..server() };
        assert!(standby.check().unwrap_err().to_string().contains("read-only standby"));
        let latin = Server { encoding: "LATIN1".to_owned(), ..server() };
        assert!(latin.check().unwrap_err().to_string().contains("LATIN1"));
    }
}
