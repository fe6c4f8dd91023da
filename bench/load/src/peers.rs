//! What a user would pick instead of Ostiary, in turns with it, on the same work, store and hash.
//!
//! What each peer is, and how it is set up, is in `bench/peers/`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

mod api;
mod better_auth;
mod comparison;
mod fastapi_users;
mod figure;
mod ostiary;
mod pocketbase;
mod process;
mod service;

pub use figure::{PeerFigure, PeerReport};

use self::{
    api::Api,
    comparison::{FULL, QUICK, Scope, compare},
};

/// What is compared, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Options {
    /// The binary of Ostiary.
    pub server: PathBuf,
    /// The same with the feature `argon2-simd`, for logins next to those peers that hash by the crate of it.
    pub simd_server: Option<PathBuf>,
    /// Fewer and shorter turns, for a first look.
    pub quick: bool,
    /// The one peer to compare with, by the name of its folder; all if there is none.
    pub only: Option<String>,
}

/// Something to pick instead.
struct Peer {
    /// The folder of its start script in `bench/peers/`.
    folder: &'static str,
    name: &'static str,
    /// In PostgreSQL; in a file of its own otherwise.
    on_postgres: bool,
    /// What hashes passwords: `PASSWORD_SCHEME` of Ostiary.
    scheme: &'static str,
    /// Whether it hashes by the crate that Ostiary has by the feature `argon2-simd`.
    has_simd: bool,
    /// Whether it signs JWTs with a shared secret (HS256); then Ostiary does, too.
    signs_with_secret: bool,
    /// What its refresh is.
    refresh: &'static str,
    /// The least that Ostiary's refreshes are to be to its own.
    refresh_goal: f64,
    api: &'static Api,
}

/// What Ostiary's rates are to be to those of all peers, at least: ahead of them.
const AHEAD: f64 = 1.0;
/// What its refreshes are to be to those of a peer that rotates.
const FAR_AHEAD: f64 = 8.0;

const PEERS: [Peer; 4] = [
    Peer {
        folder: "better-auth",
        name: "Better Auth",
        on_postgres: true,
        scheme: "argon2id",
        has_simd: true,
        signs_with_secret: false,
        refresh: "Its refresh moves a session's expiry; the cookie stays the same.",
        refresh_goal: AHEAD,
        api: &better_auth::API,
    },
    Peer {
        folder: "fastapi-users",
        name: "FastAPI Users",
        on_postgres: true,
        scheme: "argon2id",
        has_simd: false,
        signs_with_secret: false,
        refresh: "It has no refresh.",
        refresh_goal: AHEAD,
        api: &fastapi_users::API,
    },
    Peer {
        folder: "pocketbase",
        name: "PocketBase",
        on_postgres: false,
        scheme: "bcrypt",
        has_simd: false,
        signs_with_secret: true,
        refresh: "Its refresh signs another JWT, writes nothing, and leaves the old one good.",
        refresh_goal: AHEAD,
        api: &pocketbase::API,
    },
    Peer {
        folder: "replaced",
        name: "the replaced stack",
        on_postgres: true,
        scheme: "bcrypt",
        has_simd: false,
        signs_with_secret: true,
        refresh: "Its refresh rotates, in one transaction.",
        refresh_goal: FAR_AHEAD,
        api: &ostiary::REPLACED,
    },
];

/// Compares Ostiary with each peer. One that cannot be installed or started is reported, and the others go on.
///
/// # Errors
/// If there is no such peer, or no binary.
pub async fn run(options: &Options) -> anyhow::Result<Vec<PeerReport>> {
    let server = binary(&options.server)?;
    let simd_server = options.simd_server.as_deref().map(binary).transpose()?;
    let chosen = |peer: &&Peer| options.only.as_ref().is_none_or(|only| only == peer.folder);
    let peers: Vec<_> = PEERS.iter().filter(chosen).collect();
    ensure!(!peers.is_empty(), "the peers are {}", PEERS.map(|peer| peer.folder).join(", "));
    let plan = if options.quick { &QUICK } else { &FULL };
    let mut reports = Vec::new();
    for peer in peers {
        let mut compared = compare(peer, &server, plan, Scope::All).await;
        if let (Ok(figures), true, Some(server)) = (&mut compared, peer.has_simd, &simd_server) {
            match compare(peer, server, plan, Scope::SimdLogins).await {
                Ok(of_logins) => figures.extend(of_logins),
                Err(error) => compared = Err(error),
            }
        }
        reports.push(peer.report(compared));
    }
    Ok(reports)
}

/// The whole path of a binary: it runs in a directory of its own.
fn binary(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| format!("no binary at {}", path.display()))
}

impl Peer {
    fn script(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers").join(self.folder).join("start.sh")
    }

    fn report(&self, compared: anyhow::Result<Vec<PeerFigure>>) -> PeerReport {
        let store = if self.on_postgres { "PostgreSQL" } else { "SQLite" };
        let hash = if self.scheme == "bcrypt" { "bcrypt of cost 12" } else { "Argon2id (19 MiB, 2 passes)" };
        let tokens = if self.signs_with_secret { ", JWTs by HS256" } else { "" };
        let version = Command::new(self.script()).arg("version").output();
        let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let (figures, failure) = match compared {
            Ok(figures) => (figures, None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        PeerReport {
            name: self.name,
            setting: format!("{store}, {hash}{tokens}"),
            version: version.unwrap_or_default(),
            refresh: self.refresh,
            figures,
            failure,
        }
    }
}
