//! What a run was taken on: a figure without its machine and versions says little.

use std::{fs, path::Path, process::Command};

use crate::hashing;

/// Pairs of what it is and what there is of it, in the order in which they are shown.
#[must_use]
pub fn describe(server: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("processor", field("/proc/cpuinfo", "model name")),
        ("cores", hashing::threads().to_string()),
        ("memory", memory()),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        // With 1, a flood of logins slows PostgreSQL: docs/postgresql.md.
        ("kernel.sched_autogroup_enabled", read("/proc/sys/kernel/sched_autogroup_enabled")),
        ("server", output(server, &["--version"])),
        ("commit", commit()),
        ("compiler", output("rustc", &["--version"])),
        ("PostgreSQL", output("psql", &["--version"])),
        ("Redis", output("redis-server", &["--version"])),
        ("SQLite", format!("in libsqlite3-sys {}", locked("libsqlite3-sys"))),
        ("argon2, bcrypt", format!("{}, {}", locked("argon2"), locked("bcrypt"))),
        ("axum, jsonwebtoken", format!("{}, {}", locked("axum"), locked("jsonwebtoken"))),
    ]
}

/// The commit, short, and whether the files are as it has them; what to say where there is none.
#[must_use]
pub fn commit() -> String {
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    if commit.is_empty() {
        return "no-commit".to_owned();
    }
    let changes = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    if changes.is_empty() { commit } else { format!("{commit}-changed") }
}

fn memory() -> String {
    let kibibytes = field("/proc/meminfo", "MemTotal");
    let number = kibibytes.split_whitespace().next().and_then(|number| number.parse::<f64>().ok());
    number.map_or(kibibytes, |number| format!("{:.1} GiB", number / f64::from(1 << 20)))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The value of the first line `name : value` of a file.
fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    value.map_or_else(|| "unknown".to_owned(), |value| value.trim().to_owned())
}

/// The version of a crate, if the run is in the repository.
fn locked(name: &str) -> String {
    let lock = read("Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = "));
    version.map_or_else(|| "unknown".to_owned(), |version| version.trim_matches('"').to_owned())
}

/// What a program says of itself; what it says of its errors does not matter here.
fn output(program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let output = Command::new(program.as_ref()).args(arguments).output();
    output.map_or_else(
        |_| "not here".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
