//! A server of any make, with all of its processes: one group, which ends with whoever started it.

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};

/// How long an end may take before it is forced.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program and all that it starts. Dropped, all of it is ended.
#[derive(Debug)]
pub(super) struct Process {
    leader: Child,
}

impl Process {
    /// Starts a command as the leader of a group.
    ///
    /// # Errors
    /// If it does not start.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let leader = command.process_group(0).spawn().context("setpriv does not start")?;
        Ok(Self { leader })
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// If nobody can say.
    pub(super) fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.leader.try_wait()?.is_some())
    }

    /// The resident memory of the whole group in MiB. What its processes share with each other, or with others,
    /// counts once in all (`Pss` of proc(5)).
    ///
    /// # Errors
    /// If nothing is known of it.
    #[expect(clippy::cast_precision_loss, reason = "a size is far below 2^52")]
    pub(super) fn mebibytes(&self) -> anyhow::Result<f64> {
        let group = self.leader.id();
        let mut kibibytes = 0;
        for entry in fs::read_dir("/proc")? {
            let directory = entry?.path();
            // A process may end while it is looked at; whatever is not a process has no such files.
            let Ok(stat) = fs::read_to_string(directory.join("stat")) else { continue };
            if group_of(&stat) == Some(group)
                && let Ok(memory) = fs::read_to_string(directory.join("smaps_rollup"))
            {
                kibibytes += proportional_share(&memory).context("no figure of a process's memory")?;
            }
        }
        Ok(kibibytes as f64 / 1024.0)
    }

    fn signal(&self, signal: Signal) {
        // It may have ended.
        let _ = kill_process_group(Pid::from_child(&self.leader), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while matches!(self.leader.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        // Whatever it has left behind, too.
        self.signal(Signal::KILL);
        let _ = self.leader.wait();
    }
}

/// The process group in a `/proc/PID/stat`: the third field after the name, which may contain anything.
fn group_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

/// The proportional set size in a `/proc/PID/smaps_rollup`, in KiB.
fn proportional_share(memory: &str) -> Option<u64> {
    let line = memory.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_behind_any_name() {
        assert_eq!(group_of("4242 (a (strange) name) S 1 4240 4240 0 -1"), Some(4240));
        assert_eq!(group_of("nonsense"), None);
    }

    #[test]
    fn all_of_a_group_is_counted_and_all_of_it_ended() {
        let directory = tempfile::tempdir().expect("a directory");
        let number = directory.path().join("number");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo $! >\"$0.new\"; mv \"$0.new\" \"$0\"; wait"]).arg(&number);
        let process = Process::start(&mut command).expect("a shell");
        while !number.exists() {
            thread::sleep(Duration::from_millis(1));
        }
        let child = fs::read_to_string(&number).expect("it is there");
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.trim())).expect("it runs");
        assert_eq!(group_of(&stat), Some(process.leader.id()));
        assert!(process.mebibytes().expect("a figure") > 0.0);
        drop(process);
        // A signal takes a moment; and the process that took it over may not have waited for it yet.
        let stat = || fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        let begun = Instant::now();
        while !stat().is_empty() && !stat().contains(") Z ") {
            assert!(begun.elapsed() < PATIENCE, "{}", stat());
            thread::sleep(Duration::from_millis(1));
        }
    }
}
