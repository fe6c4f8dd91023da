//! `ostiary doctor`

use std::{path::Path, process::ExitCode, time::Duration};

use ostiary_core::{
    keys::SigningMethod,
    password::{PasswordScheme, argon2},
};
use ostiary_store::{
    postgres::{self, PostgresReport, PostgresSettings},
    sqlite,
};

use super::{
    paint::{self, Paint},
    serve,
};
use crate::config::{Settings, database::DatabaseSettings, server_secret};

/// A finding: what was looked at, what is there, and whether that is well.
type Finding = (&'static str, Result<String, String>);

pub(super) fn run(settings: &Settings, no_color: bool) -> ExitCode {
    let paint = Paint::for_stdout(no_color);
    let findings = examine(settings);
    for (name, finding) in &findings {
        let (mark, text) = match finding {
            Ok(text) => (paint.good("ok "), text),
            Err(text) => (paint.bad("BAD"), text),
        };
        paint::line(&format!("{mark} {} {text}", paint.bold(&format!("{name:<10}"))));
    }
    if findings.iter().all(|(_, finding)| finding.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn examine(settings: &Settings) -> Vec<Finding> {
    let policy = settings.policy();
    let database = database(settings);
    let is_adopted = database.iter().any(|(name, _)| *name == "function");
    let hasher = settings.hasher(if is_adopted { PasswordScheme::Bcrypt } else { PasswordScheme::Argon2id });
    let mut findings = vec![
        ("listen", Ok(format!("{}:{}", settings.host, settings.port))),
        ("tokens", tokens(settings)),
        ("secret", secret(settings)),
        (
            "lifetimes",
            Ok(format!(
                "access token {} min, session {} days, grace {} s",
                settings.access_token_expire_minutes,
                settings.refresh_token_expire_days,
                settings.refresh_grace_seconds
            )),
        ),
        ("groups", Ok(format!("open to registration: {}", policy.registration_groups.join(", ")))),
        (
            "passwords",
            Ok(format!(
                "{:?}, {} threads{}, at least {} characters, zxcvbn score at least {}",
                hasher.scheme,
                hasher.threads,
                argon2::simd_instructions().map(|name| format!(" (argon2-simd: {name})")).unwrap_or_default(),
                policy.password.min_chars,
                policy.password.min_score
            )),
        ),
        ("phones", Ok(format!("without a country code: {}", settings.default_region))),
    ];
    findings.extend(database);
    findings.push(("limits", limits(settings)));
    findings
}

fn tokens(settings: &Settings) -> Result<String, String> {
    settings.signing_method().map(|method| match method {
        SigningMethod::Shared(algorithm, _) => format!("{algorithm}, with JWT_SECRET_KEY (set)"),
        SigningMethod::KeyPair { algorithm, before: None } => {
            format!("{algorithm}, with a key in the database")
        }
        SigningMethod::KeyPair { algorithm, before: Some(_) } => {
            format!(
                "{algorithm}, with a key in the database; tokens signed with JWT_SECRET_KEY (set) verify too"
            )
        }
    })
}

fn secret(settings: &Settings) -> Result<String, String> {
    match server_secret::find(settings) {
        Ok(Some((_, source))) => Ok(serve::describe(&source)),
        Ok(None) => Ok("none yet: made on the first start".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Where guesses are counted, and whether that place answers.
fn limits(settings: &Settings) -> Result<String, String> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let counted = serve::limits(settings);
    let Some(redis) = settings.redis.settings()?.filter(|_| settings.limits.rate_limits) else {
        return Ok(counted);
    };
    let ask = async {
        let mut connection = redis.client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<()>(&mut connection).await
    };
    let asked = super::block_on(async { tokio::time::timeout(PATIENCE, ask).await });
    match asked.map_err(|error| error.to_string())? {
        Ok(Ok(())) => Ok(counted),
        Ok(Err(error)) => {
            Err(format!("{counted}, which fails: {error}; until it is back each node counts its own"))
        }
        Err(_) => Err(format!("{counted}, which does not answer; until it is back each node counts its own")),
    }
}

/// The database, and what of its directory of accounts is there.
fn database(settings: &Settings) -> Vec<Finding> {
    match settings.database() {
        Ok(DatabaseSettings::Sqlite(path)) => vec![("database", sqlite_database(&path))],
        Ok(DatabaseSettings::Postgres(database)) => {
            match super::block_on(async { Ok(postgres::examine(&database).await?) }).flatten() {
                Ok(report) => postgres_database(&database, &report),
                Err(error) => vec![("database", Err(format!("{error:#}")))],
            }
        }
        Err(problem) => vec![("database", Err(problem))],
    }
}

fn sqlite_database(path: &Path) -> Result<String, String> {
    if !path.exists() {
        return Ok(format!("{}: none yet, made on the first start", path.display()));
    }
    let report = sqlite::examine(path).map_err(|error| error.to_string())?;
    let facts = format!(
        "{} (SQLite {}, schema {} of {}, {} users, {} sessions)",
        path.display(),
        report.library,
        report.schema_version,
        report.known_schema,
        report.users,
        report.sessions
    );
    if !report.damage.is_empty() {
        return Err(format!("{facts} is damaged: {}; restore a copy", report.damage.join("; ")));
    }
    if report.schema_version > report.known_schema {
        return Err(format!("{facts} was made by a newer version of Ostiary: start that version"));
    }
    Ok(facts)
}

fn postgres_database(settings: &PostgresSettings, report: &PostgresReport) -> Vec<Finding> {
    let schema: Vec<_> =
        report.schema.iter().map(|(part, applied, known)| format!("{part} {applied} of {known}")).collect();
    let sessions = report.sessions.map_or_else(|| "none yet".to_owned(), |count| count.to_string());
    let facts = format!(
        "{} as {} (PostgreSQL {}, schema {}, sessions {sessions})",
        settings.describe(),
        report.role,
        report.server,
        schema.join(", ")
    );
    let mut findings = vec![("database", Ok(facts))];
    if report.is_behind {
        let text = "to be brought up to date by the next start, or by `ostiary migrate`, as a role that may create objects";
        findings.push(("schema", Ok(text.to_owned())));
    }
    if !report.missing_rights.is_empty() {
        let missing = report.missing_rights.join(", ");
        findings.push(("rights", Err(format!("the role {} lacks: {missing}", report.role))));
    }
    match &report.directory {
        None => findings.push(("accounts", Ok("Ostiary's own".to_owned()))),
        Some(functions) => {
            findings.push((
                "accounts",
                Ok("adopted: reached through functions that Ostiary did not make".to_owned()),
            ));
            findings.extend(functions.iter().map(|(function, is_there)| {
                let state = if *is_there { "found  " } else { "missing" };
                ("function", Ok(format!("{state} {} ({})", function.signature, function.gives)))
            }));
        }
    }
    findings
}
