//! `ostiary doctor`

use std::process::ExitCode;

use ostiary_store::sqlite;

use super::{
    paint::{self, Paint},
    serve,
};
use crate::{
    config::{Settings, server_secret},
    startup,
};

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
    vec![
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
                "{:?}, {} threads, at least {} characters, zxcvbn score at least {}",
                settings.hasher().scheme,
                settings.hasher().threads,
                policy.password.min_chars,
                policy.password.min_score
            )),
        ),
        ("phones", Ok(format!("without a country code: {}", settings.default_region))),
        ("database", database(settings)),
    ]
}

fn tokens(settings: &Settings) -> Result<String, String> {
    settings.signing_method().map(|method| match method {
        ostiary_core::keys::SigningMethod::Hs256(_) => "HS256, with JWT_SECRET_KEY (set)".to_owned(),
        ostiary_core::keys::SigningMethod::EdDsa => "EdDSA, with a key in the database".to_owned(),
    })
}

fn secret(settings: &Settings) -> Result<String, String> {
    match server_secret::find(settings) {
        Ok(Some((_, source))) => Ok(serve::describe(&source)),
        Ok(None) => Ok("none yet: made on the first start".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn database(settings: &Settings) -> Result<String, String> {
    let path = startup::database_path(settings);
    if !path.exists() {
        return Ok(format!("{}: none yet, made on the first start", path.display()));
    }
    let report = sqlite::examine(&path).map_err(|error| error.to_string())?;
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
