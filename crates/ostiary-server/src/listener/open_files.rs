//! As many connections as the system's limit on open files has room for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ConnectionLimits;

/// Files that are open beside connections of clients and of the store: the database and its log, listeners,
/// timers, entropy, and those that are opened for a moment. Some 30 were counted; the rest is for what comes.
const OTHER_FILES: usize = 108;

/// Raises the limit on open files as far as the system allows without asking, and lowers that on connections
/// to what has room in it beside `store_connections`; says so in the log if it has to.
#[must_use]
pub fn fit(limits: ConnectionLimits, store_connections: usize) -> ConnectionLimits {
    let open_files = raise();
    let max_connections = room(open_files, OTHER_FILES + store_connections).min(limits.max_connections);
    if max_connections < limits.max_connections {
        tracing::warn!(
            open_files,
            wanted = limits.max_connections,
            served = max_connections,
            "fewer connections than MAX_CONNECTIONS are served at once, because the system limits open files: \
             raise its limit (ulimit -Hn, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or lower \
             MAX_CONNECTIONS"
        );
    }
    ConnectionLimits { max_connections, ..limits }
}

/// Raises the soft limit to the hard one, and gives what is in force then.
fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let open_files = if setrlimit(Resource::Nofile, raised).is_ok() { maximum } else { current };
    open_files.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// How many connections have room in `open_files` beside `others`; where that is little, half of it.
fn room(open_files: usize, others: usize) -> usize {
    open_files.saturating_sub(others).max(open_files / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::room;

    #[test]
    fn connections_have_what_others_leave_and_never_less_than_half() {
        for (open_files, expected) in [
            (usize::MAX, usize::MAX - 128),
            (4_224, 4_096),
            (1_024, 896),
            (256, 128),
            (64, 32),
            (1, 1),
            (0, 1),
        ] {
            assert_eq!(room(open_files, 128), expected, "{open_files}");
        }
    }
}
