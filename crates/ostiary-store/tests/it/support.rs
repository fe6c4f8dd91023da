//! A database for each test, and what is written into it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    Ostiary,
    account::Registration,
    audit::{AuditAction, AuditEvent, Client, UserAgent},
    clock::{Clock, ManualClock},
    contact::{Contact, ContactRules},
    hasher::{Hasher, HasherSettings},
    id::{SessionId, UserId},
    keys::{Keys, SharedSecret, SigningMethod},
    password::{PasswordHash, PasswordScheme},
    policy::{PasswordPolicy, Policy},
    refresh_token::{Generation, RefreshTokenKeys, SessionSecret, SessionSecretHash},
    secret::ServerSecret,
    session::TokenPair,
    store::{AuthenticationMethod, NewAccount, NewSession, RegisterOutcome, Rotation, Store},
};
use ostiary_store::sqlite::SqliteStore;
use tempfile::TempDir;

/// When every test begins.
pub(crate) fn start() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// A database of its own, gone with the test. The place where PostgreSQL joins in.
pub(crate) struct TestStore {
    directory: TempDir,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("ostiary.db")
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let store = Arc::new(SqliteStore::open(&self.path()).unwrap());
        store_with_groups(store).await
    }

    /// Looks into the database beside the store.
    pub(crate) fn query<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        rusqlite::Connection::open(self.path()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Changes the database beside the store.
    pub(crate) fn execute(&self, sql: &str) {
        rusqlite::Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }
}

async fn store_with_groups(store: Arc<dyn Store>) -> Arc<dyn Store> {
    store.ensure_groups(&["customer".to_owned(), "courier".to_owned()], start()).await.unwrap();
    store
}

pub(crate) fn rules() -> ContactRules {
    ContactRules::new("RU".parse().unwrap())
}

pub(crate) fn client() -> Client {
    Client { address: Some("192.0.2.7".parse().unwrap()), user_agent: UserAgent::parse("test/1") }
}

pub(crate) fn event(action: AuditAction, at: Timestamp) -> AuditEvent {
    AuditEvent::new(action, &client(), at)
}

/// A phone number that no other call gives.
fn unused_phone() -> Contact {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    rules().phone(&format!("+7999{:07}", NEXT.fetch_add(1, Ordering::Relaxed))).unwrap()
}

pub(crate) fn account(username: &str) -> NewAccount {
    NewAccount {
        id: UserId::new(start()),
        contacts: vec![
            rules().username(username).unwrap(),
            unused_phone(),
            rules().email(&format!("{username}@example.com")).unwrap(),
        ],
        profile: Some(serde_json::from_str(r#"{"first_name": "Anna", "tags": [1, null, "ü"]}"#).unwrap()),
        groups: vec!["customer".to_owned()],
        password_hash: PasswordHash::from_stored("$argon2id$first".to_owned()),
        created_at: start(),
    }
}

/// A session as a test knows it.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    pub(crate) secret_hash: SessionSecretHash,
}

pub(crate) fn secret_hash() -> SessionSecretHash {
    RefreshTokenKeys::derive(&server_secret()).hash(&SessionSecret::generate())
}

pub(crate) fn server_secret() -> ServerSecret {
    ServerSecret::parse("a secret of at least thirty-two bytes").unwrap()
}

pub(crate) fn session(user_id: UserId) -> NewSession {
    NewSession {
        id: SessionId::new(start()),
        user_id,
        secret_hash: secret_hash(),
        created_at: start(),
        expires_at: start() + SignedDuration::from_hours(24 * 30),
        client: client(),
        methods: vec![AuthenticationMethod::Password],
    }
}

impl Opened {
    pub(crate) async fn registered(store: &dyn Store, username: &str) -> Self {
        let account = account(username);
        let session = session(account.id);
        let opened = Self { user_id: account.id, session_id: session.id, secret_hash: session.secret_hash };
        let outcome = store.register(account, session, event(AuditAction::UserRegistered, start())).await;
        assert_eq!(outcome.unwrap(), RegisterOutcome::Registered);
        opened
    }

    pub(crate) fn rotation(&self, generation: u32, seconds: i64) -> Rotation {
        Rotation {
            session_id: self.session_id,
            secret_hash: self.secret_hash,
            generation: Generation::from_number(generation),
            now: start() + SignedDuration::from_secs(seconds),
            grace: SignedDuration::from_secs(10),
        }
    }
}

/// The rules on a store, by a clock that the test moves.
pub(crate) async fn ostiary(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Ostiary {
    let shared = SharedSecret::parse("a shared secret of at least 32 bytes", false).unwrap();
    let keys =
        Keys::open(&SigningMethod::Hs256(shared), &server_secret(), &*store, clock.now()).await.unwrap();
    Ostiary {
        store,
        clock,
        hasher: Hasher::start(HasherSettings {
            scheme: PasswordScheme::Argon2id,
            threads: 1,
            deadline: std::time::Duration::from_mins(1),
        }),
        keys,
        refresh_tokens: RefreshTokenKeys::derive(&server_secret()),
        contacts: rules(),
        policy: Policy {
            access_token_lifetime: SignedDuration::from_mins(30),
            session_lifetime: SignedDuration::from_hours(24 * 30),
            refresh_grace: SignedDuration::from_secs(10),
            registration_groups: vec!["customer".to_owned()],
            password: PasswordPolicy { min_chars: 8, min_score: 0 },
        },
    }
}

/// Registers `username` through the rules.
pub(crate) async fn register(ostiary: &Ostiary, username: &str) -> TokenPair {
    let password = ostiary.accept_password("correct horse", Vec::new()).await.unwrap().unwrap();
    let registration = Registration {
        contacts: account(username).contacts,
        profile: None,
        groups: vec!["customer".to_owned()],
        password,
    };
    ostiary.register(registration, &client()).await.unwrap()
}
