//! Directories that processes hold, and that a guard clears away once nobody does.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::ErrorKind,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Child,
};

use crate::system::{ServerUser, must};

/// A directory for a server, held by this process until it drops this or ends.
#[derive(Debug)]
pub(crate) struct Leased {
    path: PathBuf,
    user: ServerUser,
    /// Locked in shared mode, for as long as this is open.
    lease: Option<File>,
    guard: Option<Child>,
}

/// The exclusive right to change what is in a shared directory.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "it is locked while it is open")] File);

impl Leased {
    /// A directory for this process alone.
    pub(crate) fn private(user: ServerUser) -> Self {
        let mut builder = tempfile::Builder::new();
        let ours_alone = builder.prefix("ostiary-").permissions(Permissions::from_mode(0o700));
        let directory = must(ours_alone.tempdir(), "make a directory");
        let (leased, _lock) =
            Self::take(&directory.keep(), user).expect("nobody else knows the directory to remove it");
        leased
    }

    /// The directory of this name that all processes of this user share, locked.
    pub(crate) fn shared(name: &str, user: ServerUser) -> (Self, Lock) {
        let path = std::env::temp_dir().join(name);
        loop {
            if let Some(taken) = Self::take(&path, user) {
                return taken;
            }
        }
    }

    /// Makes the directory if need be, and takes lock and lease. `None` if it was removed meanwhile.
    fn take(path: &Path, user: ServerUser) -> Option<(Self, Lock)> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                panic!("cannot make {}: {error}", path.display())
            }
            _ => (),
        }
        must_be_ours(path, user)?;
        let lock = lock(path)?;
        user.give(path);
        let lease = open(&path.join("lease")).expect("a directory is removed under its lock only");
        for name in ["lock", "lease"] {
            user.give(&path.join(name));
        }
        must(lease.lock_shared(), "take the lease");
        Some((Self { path: path.to_owned(), user, lease: Some(lease), guard: None }, lock))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn user(&self) -> ServerUser {
        self.user
    }

    pub(crate) fn lock(&self) -> Lock {
        let error = || panic!("{} was removed while a test had it", self.path.display());
        lock(&self.path).unwrap_or_else(error)
    }

    /// Starts a guard if there is none, and says whether it did: with `stop` it stops the server, and
    /// it removes the directory, once nobody has held the lease for so many seconds.
    pub(crate) fn guard(&mut self, linger_seconds: u32, stop: &[OsString]) -> bool {
        let looked_after = open(&self.path.join("guard")).expect("the directory is there while it is leased");
        match looked_after.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return false,
            Err(TryLockError::Error(error)) => panic!("cannot lock a file: {error}"),
        }
        let mut command = self.user.command("sh", Path::new("/"));
        command
            .args(["-c", include_str!("guard.sh"), "ostiary-harness-guard"])
            .args([self.path.as_os_str(), OsStr::new(&linger_seconds.to_string())])
            .args(stop)
            // The lock goes with the open file, so the guard has it for as long as it lives.
            .stdin(looked_after)
            // It outlives a test that is interrupted or killed together with its process group.
            .process_group(0);
        self.guard = Some(must(command.spawn(), "start sh"));
        true
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.lease = None;
        if let Some(mut guard) = self.guard.take() {
            // It can only fail if the guard was waited for already.
            let _ = guard.wait();
        }
    }
}

/// Panics if another user made the directory: it would be theirs to change. `None` if there is none.
fn must_be_ours(path: &Path, user: ServerUser) -> Option<()> {
    let found = fs::symlink_metadata(path).ok()?;
    let ours = [rustix::process::geteuid().as_raw(), user.uid()].contains(&found.uid());
    assert!(found.is_dir() && ours, "{} is there and not ours: remove it", path.display());
    Some(())
}

/// Waits for the lock of a directory. `None` if that was removed meanwhile.
fn lock(directory: &Path) -> Option<Lock> {
    let path = directory.join("lock");
    let file = open(&path)?;
    must(file.lock(), format!("lock {}", path.display()));
    let locked = must(file.metadata(), "look at a file");
    let found = fs::metadata(&path).ok()?;
    ((locked.dev(), locked.ino()) == (found.dev(), found.ino())).then_some(Lock(file))
}

/// Opens a file, made if need be. `None` if its directory is not there.
fn open(path: &Path) -> Option<File> {
    match OpenOptions::new().read(true).append(true).create(true).open(path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("cannot open {}: {error}", path.display()),
    }
}
