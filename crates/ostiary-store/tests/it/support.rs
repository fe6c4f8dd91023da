//! What is written into the databases of tests, and the rules on top of them.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
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

mod stores;

pub(crate) use stores::{On, TestStore, open_postgres, postgres_settings};

/// When every test begins.
pub(crate) fn start() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
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

pub(crate) fn session() -> NewSession {
    NewSession {
        id: SessionId::new(start()),
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
        let session = session();
        let opened = Self { user_id: account.id, session_id: session.id, secret_hash: session.secret_hash };
        let outcome = store.register(account, session, event(AuditAction::UserRegistered, start())).await;
        assert_eq!(outcome.unwrap(), RegisterOutcome::Registered(opened.user_id));
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
