//! SQL through psql, so that looking into a database needs no client library and no runtime.

use std::{path::PathBuf, process::Command};

use super::installation::Installation;
use crate::system::{find_program, run};

/// What the statements give, columns divided by `|`; or psql's message, with the SQLSTATE in it.
///
/// Several statements are one transaction.
pub(super) fn try_sql(url: &str, sql: &str) -> Result<String, String> {
    let mut command = Command::new(psql());
    command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-d", url, "-c", sql]);
    let output = run(command.stdin(std::process::Stdio::null()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[track_caller]
pub(crate) fn sql(url: &str, sql: &str) -> String {
    try_sql(url, sql).unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
}

/// That of the installation first: the one that Debian puts into the path is a script that starts it,
/// and takes several times as long.
fn psql() -> PathBuf {
    let installed = Installation::find().map(|installation| installation.program("psql"));
    installed
        .filter(|program| program.is_file())
        .or_else(|| find_program("psql", &[]))
        .expect("psql is not here: install postgresql-client (Debian: apt-get install postgresql-client)")
}
