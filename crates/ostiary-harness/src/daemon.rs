//! A server that is one process with one file of settings, and is stopped by killing it.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    leased::Leased,
    system::{ServerUser, find_program, free_port, must},
};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on a port of 127.0.0.1. Dropped, it is stopped.
#[derive(Debug)]
pub(crate) struct Daemon {
    port: u16,
    process: Child,
    leased: Option<Leased>,
}

impl Daemon {
    /// Starts a program with the settings that are right for a port, and waits until it listens there.
    ///
    /// The program takes its file of settings as its argument, and stays in the foreground.
    pub(crate) fn start(program: &str, settings: impl FnOnce(u16) -> String) -> Self {
        let path = find_program(program, &[PathBuf::from("/usr/sbin")]).unwrap_or_else(|| {
            panic!("{program} is not here: install it (Debian: apt-get install {program})")
        });
        let mut leased = Leased::private(ServerUser::find());
        let pid = leased.path().join("pid");
        leased.guard(0, &["sh".into(), "-c".into(), "kill -KILL \"$(cat \"$0\")\"".into(), pid.into()]);
        let port = free_port();
        write_settings(&leased, &settings(port));
        let mut process = spawn(&path, &leased);
        await_readiness(program, &mut process, port, leased.path());
        Self { port, process, leased: Some(leased) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let directory = self.leased.as_ref().expect("only its end takes it away").path();
        let number = must(fs::read_to_string(directory.join("pid")), "read the number of a process");
        let number = must(number.trim().parse(), "read the number of a process");
        let process = Pid::from_raw(number).expect("a process has a number above 0");
        must(kill_process(process, signal), "send a signal");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The guard kills it. Only then is it waited for, so that the number in `pid` is its own to the end.
        self.leased = None;
        let _ = self.process.wait();
    }
}

fn write_settings(leased: &Leased, settings: &str) {
    let path = leased.path().join("settings");
    must(fs::write(&path, settings), "write settings");
    leased.user().give(&path);
}

fn spawn(program: &Path, leased: &Leased) -> Child {
    let log = must(fs::File::create(leased.path().join("log")), "make a log");
    let copy = must(log.try_clone(), "copy a file's handle");
    // The guard is there first, so it has to find the number of the process.
    let mut command = leased.user().command("sh", leased.path());
    command.args(["-c", "echo $$ >pid && exec \"$0\" settings"]).arg(program);
    must(command.stdout(log).stderr(copy).spawn(), format!("start {}", program.display()))
}

fn await_readiness(program: &str, process: &mut Child, port: u16, directory: &Path) {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = must(process.try_wait(), format!("wait for {program}"));
        if ended.is_some() || begun.elapsed() > PATIENCE {
            let log = must(fs::read_to_string(directory.join("log")), "read the log");
            panic!("{program} does not start: {log}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
