//! Programs, the user whom they run as, and ports.

use std::{
    collections::hash_map::RandomState,
    ffi::OsStr,
    fmt::Display,
    fs,
    hash::{BuildHasher, Hasher},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// The value, or a panic that says what could not be done.
#[track_caller]
pub(crate) fn must<T, E: Display>(result: Result<T, E>, what: impl Display) -> T {
    result.unwrap_or_else(|error| panic!("cannot {what}: {error}"))
}

/// Whom servers run as: PostgreSQL and `PgBouncer` refuse to be root, and Redis need not be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerUser {
    /// The user and group, where they are not our own.
    other: Option<(u32, u32)>,
}

impl ServerUser {
    /// Ourselves; `postgres`, else `nobody`, where we are root.
    pub(crate) fn find() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self { other: None };
        }
        let users = must(fs::read_to_string("/etc/passwd"), "read /etc/passwd");
        let ids = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        let other = ids("postgres").or_else(|| ids("nobody"));
        assert!(other.is_some(), "servers refuse to run as root, and there is no user postgres or nobody");
        Self { other }
    }

    pub(crate) fn uid(self) -> u32 {
        self.other.map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid)
    }

    /// Makes a file or directory of ours this user's.
    pub(crate) fn give(self, path: &Path) {
        if let Some((uid, gid)) = self.other {
            must(chown(path, Some(uid), Some(gid)), format!("give {} away", path.display()));
        }
    }

    /// A program run as this user, with nothing of our terminal or pipes: what it leaves running must
    /// hold none of them open.
    pub(crate) fn command(self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = self.other {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    must(
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).output(),
        format!("run {}", command.get_program().display()),
    )
}

/// Runs a command to its end, which must be a good one; gives what it wrote.
#[track_caller]
pub(crate) fn run_well(command: &mut Command) -> String {
    let output = run(command);
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{} failed: {out}{err}", command.get_program().display());
    out
}

/// Finds a program in the path, or in one of `more` directories.
pub(crate) fn find_program(name: &str, more: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(more.iter().cloned());
    directories.map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// A number that no other call gives, in any process.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A port of 127.0.0.1 that nobody listens on.
///
/// It is below those that the system gives to outgoing connections (from 32768 on Linux), so that no
/// connection of another test takes it while its server restarts.
pub(crate) fn free_port() -> u16 {
    let candidates =
        std::iter::repeat_with(|| 10_000 + u16::try_from(random() % 20_000).expect("below 20000"));
    candidates
        .take(100)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("of a hundred ports one is free")
}
