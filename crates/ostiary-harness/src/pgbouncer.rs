//! `PgBouncer` in front of a server, as those who have many connections run it.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

use crate::{
    leased::Leased,
    postgres::psql,
    system::{ServerUser, find_program, free_port, must},
};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A private `PgBouncer` that pools by transaction, five connections for each database, and believes
/// everyone. Dropped, it is stopped.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    process: Child,
    leased: Option<Leased>,
}

impl PgBouncer {
    /// Starts it before the server at this address, to which it connects as `postgres` without a password.
    #[must_use]
    pub fn before(host: &str, port: u16) -> Self {
        Self::with_settings(host, port, &[])
    }

    /// The same with these settings in the place of the others.
    #[must_use]
    pub fn with_settings(host: &str, port: u16, settings: &[(&str, &str)]) -> Self {
        let program = find_program("pgbouncer", &[PathBuf::from("/usr/sbin")])
            .expect("PgBouncer is not here: install pgbouncer (Debian: apt-get install pgbouncer)");
        let mut leased = Leased::private(ServerUser::find());
        let pid = leased.path().join("pid");
        leased.guard(0, &["sh".into(), "-c".into(), "kill -KILL \"$(cat \"$0\")\"".into(), pid.into()]);
        let own_port = free_port();
        write_configuration(&leased, own_port, host, port, settings);
        let mut process = start(&program, &leased);
        await_readiness(&mut process, own_port, leased.path());
        Self { port: own_port, process, leased: Some(leased) }
    }

    /// The URL of a database of the server, through this.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL in a database, through this.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        psql::sql(&self.url(database), sql)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // The guard kills it. Only then is it waited for, so that the number in `pid` is its own to the end.
        self.leased = None;
        let _ = self.process.wait();
    }
}

fn write_configuration(leased: &Leased, own_port: u16, host: &str, port: u16, settings: &[(&str, &str)]) {
    // https://www.pgbouncer.org/config.html: `any` is `trust` where the user is given for all databases.
    let mut text = format!(
        "[databases]\n\
         * = host={host} port={port} user=postgres\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {own_port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = 5\n\
         max_client_conn = 1000\n"
    );
    // Of two lines for one setting the last counts.
    text.extend(settings.iter().map(|(name, value)| format!("{name} = {value}\n")));
    let path = leased.path().join("pgbouncer.ini");
    must(fs::write(&path, text), "write pgbouncer.ini");
    leased.user().give(&path);
}

fn start(program: &Path, leased: &Leased) -> Child {
    let log = must(fs::File::create(leased.path().join("log")), "make a log");
    // The guard is there first, so it has to find the number of the process.
    let mut command = leased.user().command("sh", leased.path());
    command.args(["-c", "echo $$ >pid && exec \"$0\" pgbouncer.ini"]).arg(program);
    must(command.stderr(log).spawn(), "start PgBouncer")
}

fn await_readiness(process: &mut Child, port: u16, directory: &Path) {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = must(process.try_wait(), "wait for PgBouncer");
        if ended.is_some() || begun.elapsed() > PATIENCE {
            let log = must(fs::read_to_string(directory.join("log")), "read the log");
            panic!("PgBouncer does not start: {log}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
