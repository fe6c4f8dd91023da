//! What a database amounts to, for an operator.

use std::time::Duration;

use super::{
    PostgresSettings,
    directory::{DIRECTORY_FUNCTIONS, Directory, DirectoryFunction},
    open_error::OpenError,
    schema::{self, ACCOUNTS, AUTH, Part},
    survey::{self, Survey},
    tls::Connector,
};

/// What a database amounts to.
#[derive(Debug)]
pub struct PostgresReport {
    /// The server: `15.13 (Debian 15.13-0+deb12u1)`.
    pub server: String,
    /// The role that connects.
    pub role: String,
    /// Of each part of the schema its name, the last migration that was applied, and the last that this
    /// version knows.
    pub schema: Vec<(&'static str, i32, i32)>,
    /// Whether the schema is to be brought up to date at the next start.
    pub is_behind: bool,
    /// Rights that the role lacks.
    pub missing_rights: Vec<String>,
    /// How many sessions there are, those that have ended among them; none before the first start.
    pub sessions: Option<i64>,
    /// Where somebody else made the directory of accounts: each function, and whether it is there.
    pub directory: Option<Vec<(&'static DirectoryFunction, bool)>>,
}

/// Examines the database of `settings` and changes nothing.
///
/// # Errors
/// If it cannot be reached, or could not be served from.
pub async fn examine(settings: &PostgresSettings) -> Result<PostgresReport, OpenError> {
    let connector = Connector::new(&settings.ssl)?;
    let ((client, _task), server) = super::connect(settings, &connector, Duration::ZERO).await?;
    server.check()?;
    let survey = Survey::of(&client).await?;
    let is_own = schema::is_own(&survey)?;
    let is_behind = !schema::is_up_to_date(&survey)?;
    let directory = schema::directory(&client, &survey).await.map_err(|error| error.of_role(&server.role))?;
    let directory = match directory {
        Directory::Own => None,
        Directory::Foreign(found) => Some(
            DIRECTORY_FUNCTIONS.into_iter().map(|function| (function, found.contains(&function))).collect(),
        ),
    };
    let (mut missing_rights, mut sessions) = (Vec::new(), None);
    if survey.has_history() {
        missing_rights = survey::missing_rights(&client, is_own).await?;
        if missing_rights.is_empty() {
            let rows = client.query_typed("select count(*) from auth.sessions", &[]).await?;
            sessions = rows.first().map(|row| row.get(0));
        }
    }
    let of = |part: Part| (part.name, survey.version(part.name), part.known_version());
    let schema = if is_own { vec![of(AUTH), of(ACCOUNTS)] } else { vec![of(AUTH)] };
    Ok(PostgresReport {
        server: server.version,
        role: server.role,
        schema,
        is_behind,
        missing_rights,
        sessions,
        directory,
    })
}
