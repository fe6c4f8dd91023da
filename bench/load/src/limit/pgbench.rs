//! `pgbench`, with the update that a refresh comes to: of one session each, prepared, as durable as the server
//! has it. It counts sessions out and cannot remember their secrets and generations, so it has no condition on
//! these.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, bail};
use ostiary_harness::postgres::Cluster;
use tempfile::TempDir;

use crate::{
    hashing::threads,
    seed::{FIRST_NUMBER, FOLLOWED_ONE_IN},
};

/// Sessions that no client follows: one in ten, and one of the nine after it.
const SCRIPT: &str = "\\set followed random(0, :tens - 1)
\\set after random(1, :ten - 1)
\\set number :first + :ten * :followed + :after
update auth.sessions as session set generation = generation + 1, refreshed_at = now()
where id = (:prefix::text || :number)::uuid and revoked_at is null and expires_at > now()
    and refreshed_at > '1970-01-01'
    and exists (select from accounts.users where users.id = session.user_id and users.active)
returning id, user_id, created_at, methods;
";

/// Updates a second on a database that was filled with so many sessions; `duration` in whole seconds, rounded up.
///
/// # Errors
/// If `pgbench` cannot run, or an update fails.
pub fn updates(
    cluster: &Cluster,
    sessions: usize,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<f64> {
    let directory = TempDir::new()?;
    let script = directory.path().join("update.sql");
    fs::write(&script, SCRIPT)?;
    let prefix =
        format!("select left(id::text, 24) from auth.sessions where id::text like '%-{FIRST_NUMBER}'");
    let prefix = cluster.sql("postgres", &prefix);
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    let mut command = Command::new(cluster.program("pgbench"));
    command.args(["--no-vacuum", "--protocol=prepared"]).arg("--file").arg(&script);
    command.arg(format!("--client={connections}")).arg(format!("--jobs={}", threads().min(connections)));
    command.arg(format!("--time={}", seconds.max(1)));
    command.arg(format!("--define=prefix={prefix}")).arg(format!("--define=first={FIRST_NUMBER}"));
    command.arg(format!("--define=ten={FOLLOWED_ONE_IN}"));
    command.arg(format!("--define=tens={}", sessions / FOLLOWED_ONE_IN));
    command.args(["--host", "127.0.0.1", "--username", "postgres"]);
    command.arg(format!("--port={}", cluster.port())).arg("postgres");
    let output = command.output().context("pgbench does not start")?;
    let report = String::from_utf8_lossy(&output.stdout);
    let has_failed = !report.contains("number of failed transactions: 0 ");
    if !output.status.success() || has_failed {
        bail!("pgbench: {report}{}", String::from_utf8_lossy(&output.stderr));
    }
    let rate = report.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    Ok(rate.with_context(|| format!("no rate in {report}"))?.parse()?)
}
