//! What benchmarks are made of, on the binary and on databases of a small size.

#![expect(clippy::unwrap_used, reason = "a test ends where it meets what it did not expect")]

mod limit;
mod seed;
mod work;

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ostiary_bench::{
    database::Database,
    seed::{Seeded, fill},
};
use ostiary_core::password::PasswordScheme;

/// Long enough for some requests on a busy machine.
const SHORT: Duration = Duration::from_millis(300);
const USERS: usize = 200;
const CONNECTIONS: usize = 4;

/// The server's binary, which every build and test of the workspace makes.
fn server() -> PathBuf {
    let this = env::current_exe().unwrap();
    let binary = this.parent().and_then(Path::parent).unwrap().join("ostiary");
    assert!(binary.exists(), "{} is not there: `cargo build --workspace` makes it", binary.display());
    binary
}

/// A database with users in it.
async fn seeded(postgres: bool) -> (Arc<Database>, Seeded) {
    let database = Arc::new(Database::new(postgres).unwrap());
    let seeded = fill(&database, &server(), USERS, PasswordScheme::Argon2id).await.unwrap();
    (database, seeded)
}

/// A credential of a service.
fn credential(database: &Arc<Database>) -> String {
    database.run(&server(), &["service", "create", "bench"]).unwrap().trim().to_owned()
}
