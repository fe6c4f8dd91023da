//! The directory that all tests of this checkout and user share, from one process to the next.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::OnceLock,
};

use super::{installation::Installation, server::Server};
use crate::{
    leased::{Leased, Lock},
    system::{ServerUser, must},
};

/// For how long it stays without a test: from one run to the next in the same minute.
const LINGER_SECONDS: u32 = 20;

#[derive(Debug)]
pub(super) struct SharedDirectory(Leased);

/// Taken at the first call, and held until this process ends.
pub(super) fn shared_directory() -> &'static SharedDirectory {
    static SHARED: OnceLock<SharedDirectory> = OnceLock::new();
    SHARED.get_or_init(SharedDirectory::take)
}

impl SharedDirectory {
    fn take() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let name = format!("ostiary-{uid}-{:016x}", hash(env!("CARGO_MANIFEST_DIR")));
        let (mut leased, _lock) = Leased::shared(&name, ServerUser::find());
        let data = leased.path().join("data");
        let installation = Installation::find();
        let stop = match &installation {
            Some(installation) => installation.stop_command(&data),
            None => vec!["true".into()],
        };
        let unguarded = leased.guard(LINGER_SECONDS, &stop);
        let directory = Self(leased);
        // Without a guard or a server, what is there is from before the machine stopped, if not new.
        // It was never written durably, and is not to be trusted.
        if unguarded && installation.is_none_or(|it| directory.server(it).running_port().is_none()) {
            remove(&data);
            remove(&directory.pristine());
        }
        directory
    }

    pub(super) fn lock(&self) -> Lock {
        self.0.lock()
    }

    pub(super) fn server(&self, installation: Installation) -> Server {
        Server::new(self.0.path(), self.0.user(), installation)
    }

    /// The port of the server that all share, started unless it runs, with these settings.
    pub(super) fn running_port(&self, settings: &[(&str, &str)]) -> u16 {
        let _lock = self.lock();
        let server = self.server(Installation::required());
        server.running_port().unwrap_or_else(|| {
            remove(&server.data());
            self.make_pristine(&server);
            server.copy(&self.pristine());
            server.configure(settings);
            server.start()
        })
    }

    /// Gives a server of another directory new data.
    pub(super) fn give_data(&self, server: &Server, installation: Installation) {
        let lock = self.lock();
        self.make_pristine(&self.server(installation));
        drop(lock);
        server.copy(&self.pristine());
    }

    /// Data that no server ever ran on, to be copied.
    fn pristine(&self) -> std::path::PathBuf {
        self.0.path().join("pristine")
    }

    fn make_pristine(&self, server: &Server) {
        let pristine = self.pristine();
        if !pristine.exists() {
            // Whoever is killed while making it leaves nothing under the name that counts.
            let half = self.0.path().join("half");
            remove(&half);
            server.initialise(&half);
            must(fs::rename(&half, &pristine), "rename a directory");
        }
    }
}

/// A short name for a text: the same in all processes of one build.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn remove(directory: &Path) {
    if directory.exists() {
        must(fs::remove_dir_all(directory), format!("remove {}", directory.display()));
    }
}
