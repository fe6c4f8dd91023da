//! A server with its data, log and socket in one directory.

use std::{
    fmt::Write,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use super::installation::Installation;
use crate::system::{ServerUser, free_port, must, run, run_well};

/// Longer than this, the path of a socket in it does not fit into the system's address of one (108 bytes
/// on Linux, 104 elsewhere).
const LONGEST_DIRECTORY: usize = 80;

#[derive(Debug)]
pub(super) struct Server {
    directory: PathBuf,
    user: ServerUser,
    installation: Installation,
}

impl Server {
    pub(super) fn new(directory: &Path, user: ServerUser, installation: Installation) -> Self {
        let length = directory.as_os_str().len();
        assert!(length <= LONGEST_DIRECTORY, "{} is too long: set TMPDIR", directory.display());
        Self { directory: directory.to_owned(), user, installation }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.installation.program(name)
    }

    /// Makes the data of a server that is everyone's on this machine: its directory, and so its socket,
    /// is ours alone, and what it holds is for tests.
    pub(super) fn initialise(&self, data: &Path) {
        let mut command = self.user.command(self.installation.program("initdb"), &self.directory);
        command.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
        run_well(command.arg(data));
    }

    /// Takes the data from where it was made already, which takes a tenth of the time.
    pub(super) fn copy(&self, made: &Path) {
        run_well(self.user.command("cp", &self.directory).args(["-a", "--"]).arg(made).arg(self.data()));
    }

    pub(super) fn configure(&self, settings: &[(&str, &str)]) {
        let directory = self.directory.to_str().expect("the directory for temporary files has a plain name");
        let ours = [("listen_addresses", "127.0.0.1"), ("unix_socket_directories", directory)];
        let mut lines = String::new();
        for (name, value) in ours.iter().chain(settings) {
            must(writeln!(lines, "{name} = '{}'", value.replace('\'', "''")), "write to a string");
        }
        let file = OpenOptions::new().append(true).open(self.data().join("postgresql.conf"));
        must(file.and_then(|mut file| file.write_all(lines.as_bytes())), "write postgresql.conf");
    }

    /// Starts at a free port, and gives it.
    pub(super) fn start(&self) -> u16 {
        // Another may take the port before the server does.
        let port = (0..3).map(|_| free_port()).find(|port| self.try_start(*port));
        port.unwrap_or_else(|| panic!("PostgreSQL does not start: {}", self.log()))
    }

    pub(super) fn start_at(&self, port: u16) {
        assert!(self.try_start(port), "PostgreSQL does not start: {}", self.log());
    }

    fn try_start(&self, port: u16) -> bool {
        run(self.pg_ctl("start").arg("-o").arg(format!("-p {port}"))).status.success()
    }

    pub(super) fn restart(&self, mode: &str) {
        run_well(self.pg_ctl("restart").args(["-m", mode]));
    }

    pub(super) fn stop(&self, mode: &str) {
        run_well(self.pg_ctl("stop").args(["-m", mode]));
    }

    pub(super) fn reload(&self) {
        run_well(&mut self.pg_ctl("reload"));
    }

    fn pg_ctl(&self, action: &str) -> std::process::Command {
        let mut command = self.user.command(self.installation.program("pg_ctl"), &self.directory);
        command.args([action, "-D"]).arg(self.data());
        if action != "reload" {
            command.arg("-w");
        }
        if ["start", "restart"].contains(&action) {
            command.arg("-l").arg(self.directory.join("log"));
        }
        command
    }

    /// The port of the server, if it runs and answers.
    pub(super) fn running_port(&self) -> Option<u16> {
        // https://www.postgresql.org/docs/current/storage-file-layout.html tells the lines of this file.
        let state = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let lines: Vec<&str> = state.lines().collect();
        let port: u16 = lines.get(3)?.parse().ok()?;
        let ready = lines.get(7)?.trim() == "ready";
        // The file may be older than the last start of the machine; a socket that answers is not.
        let answers = UnixStream::connect(self.directory.join(format!(".s.PGSQL.{port}"))).is_ok();
        (ready && answers).then_some(port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_else(|error| format!("no log: {error}"))
    }
}

pub(super) fn url(port: u16, database: &str) -> String {
    format!("postgresql://postgres@127.0.0.1:{port}/{database}")
}
