//! What is written into the databases of tests, and the rules on top of them.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    Ostiary,
    account::Registration,
    audit::{Actor, AuditAction, AuditEvent, Client, UserAgent},
    clock::{Clock, ManualClock},
    contact::{Contact, ContactRules},
    hasher::{Hasher, HasherSettings, Standing},
    id::{NodeId, SessionId, UserId},
    jwt::TokenParties,
    keys::{KeyRules, Keys, SharedSecret, SigningAlgorithm, SigningMethod},
    known_device::DeviceTokenKeys,
    limit::{BudgetKeys, LimitMetrics, LimitPolicy, Rule, Unlimited},
    password::{PasswordHash, PasswordScheme},
    policy::{PasswordPolicy, Policy},
    recent::RecentSessions,
    refresh_token::{
        ForeignToken, Generation, RefreshToken, RefreshTokenKeys, SessionSecret, SessionSecretHash,
    },
    secret::ServerSecret,
    service::ServiceCredentialKeys,
    session::TokenPair,
    store::{
        AuthenticationMethod, Exchange, ExchangeOutcome, LiveAt, LiveSession, NewAccount, NewSession,
        OpenOutcome, Opening, RegisterOutcome, RotateOutcome, Rotation, SessionEvent, Store,
    },
};

mod stores;

pub(crate) use stores::{On, TestStore, open_postgres, postgres_settings, while_held};

/// When every test begins.
pub(crate) fn start() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// So many seconds after [`start`].
pub(crate) fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

/// So many seconds after [`start`], for sessions that need no refresh to stay alive.
pub(crate) fn live_at(seconds: i64) -> LiveAt {
    LiveAt { now: after(seconds), refreshed_after: Timestamp::UNIX_EPOCH }
}

pub(crate) fn rules() -> ContactRules {
    ContactRules::new("RU".parse().unwrap())
}

pub(crate) fn client() -> Client {
    Client { address: Some("192.0.2.7".parse().unwrap()), user_agent: UserAgent::parse("test/1") }
}

pub(crate) fn event(action: AuditAction, at: Timestamp) -> AuditEvent {
    let actor = if action == AuditAction::RefreshTokenReused { Actor::Anyone } else { Actor::User };
    AuditEvent::new(action, actor, &client(), at)
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
        password_hash: password_hash(),
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

/// The hash that [`account`] has.
pub(crate) fn password_hash() -> PasswordHash {
    PasswordHash::from_stored("$argon2id$first".to_owned())
}

/// A session for a user whose password is that of [`account`].
pub(crate) fn opening(user_id: UserId, session: NewSession, most: Option<u32>) -> Opening {
    Opening { user_id, session, seen: Some(password_hash()), most, others_follow: false }
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

    /// Another session of the user, opened so many seconds after [`start`].
    pub(crate) async fn log_in(&self, store: &dyn Store, seconds: i64, most: Option<u32>) -> Self {
        let session = NewSession { created_at: after(seconds), ..session() };
        let opened = Self { session_id: session.id, secret_hash: session.secret_hash, ..self.clone() };
        let event = event(AuditAction::UserLoggedIn, after(seconds));
        let outcome = store.open_session(opening(self.user_id, session, most), event).await;
        assert_eq!(outcome.unwrap(), OpenOutcome::Opened);
        opened
    }

    /// What the tokens of a session tell that was opened at [`start`].
    pub(crate) fn live(&self) -> LiveSession {
        LiveSession {
            id: self.session_id,
            user_id: self.user_id,
            created_at: start(),
            methods: vec![AuthenticationMethod::Password],
        }
    }

    /// `action`, done in this session.
    pub(crate) fn event(&self, action: AuditAction, seconds: i64) -> SessionEvent {
        SessionEvent { event: event(action, after(seconds)), session_id: self.session_id }
    }

    pub(crate) fn rotation(&self, generation: u32, seconds: i64) -> Rotation {
        Rotation {
            session_id: self.session_id,
            secret_hash: self.secret_hash,
            generation: Generation::from_number(generation),
            at: live_at(seconds),
            grace: SignedDuration::from_secs(10),
        }
    }
}

pub(crate) async fn rotate(store: &dyn Store, rotation: Rotation) -> RotateOutcome {
    let on_reuse = event(AuditAction::RefreshTokenReused, rotation.at.now);
    store.rotate_session(rotation, on_reuse).await.unwrap()
}

/// A refresh token of the form of the replaced service's.
pub(crate) fn foreign_token(seed: char) -> ForeignToken {
    ForeignToken::parse(&(seed.to_string().repeat(85) + "A")).unwrap()
}

pub(crate) fn in_its_place(token: &ForeignToken) -> RefreshToken {
    RefreshTokenKeys::derive(&server_secret()).in_place_of(token)
}

/// Exchanges a refresh token of the replaced service, so many seconds after [`start`].
pub(crate) async fn exchange(
    store: &dyn Store,
    token: &ForeignToken,
    seconds: i64,
    most: Option<u32>,
) -> ExchangeOutcome {
    let in_its_place = in_its_place(token);
    let session = NewSession {
        id: in_its_place.session_id,
        secret_hash: RefreshTokenKeys::derive(&server_secret()).hash(&in_its_place.secret),
        created_at: after(seconds),
        ..session()
    };
    let grace = SignedDuration::from_secs(10);
    let exchange = Exchange { token_hash: token.hash(), session, grace, most };
    let exchanged = event(AuditAction::RefreshTokenExchanged, after(seconds));
    let reused = event(AuditAction::RefreshTokenReused, after(seconds));
    store.exchange_token(exchange, exchanged, reused).await.unwrap()
}

pub(crate) const KEY_RULES: KeyRules = KeyRules {
    token_lifetime: SignedDuration::from_mins(30),
    jwks_max_age: SignedDuration::from_mins(5),
    rotate_after: None,
};

/// How long a session lasts without being refreshed.
pub(crate) const SESSION_IDLE: SignedDuration = SignedDuration::from_hours(24 * 20);

/// The rules on a store, by a clock that the test moves.
pub(crate) async fn ostiary(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Ostiary {
    let algorithm = SigningAlgorithm::Hs256;
    let shared = SharedSecret::parse("a shared secret of at least 32 bytes", algorithm, false).unwrap();
    let method = SigningMethod::Shared(algorithm, shared);
    let keys = Keys::open(&method, &server_secret(), &*store, KEY_RULES, false, clock.now()).await.unwrap();
    let rate = Rule::Rate { burst: 1, interval: SignedDuration::from_secs(1) };
    Ostiary {
        store,
        clock,
        hasher: Hasher::start(HasherSettings {
            scheme: PasswordScheme::Argon2id,
            threads: 1,
            threads_in_flood: 1,
            deadline: std::time::Duration::from_mins(1),
        }),
        keys,
        recent: RecentSessions::new(SignedDuration::ZERO),
        limiter: Arc::new(Unlimited),
        budget_keys: BudgetKeys::derive(&server_secret()),
        limit_metrics: LimitMetrics::default(),
        device_tokens: DeviceTokenKeys::derive(&server_secret()),
        refresh_tokens: RefreshTokenKeys::derive(&server_secret()),
        service_credentials: ServiceCredentialKeys::derive(&server_secret()),
        node: NodeId::new(start()),
        contacts: rules(),
        policy: Policy {
            access_token_lifetime: SignedDuration::from_mins(30),
            session_lifetime: SignedDuration::from_hours(24 * 30),
            session_idle: Some(SESSION_IDLE),
            max_sessions: None,
            session_cache: SignedDuration::ZERO,
            refresh_grace: SignedDuration::from_secs(10),
            token_parties: TokenParties { issuer: None, audience: None },
            token_groups: false,
            registration_groups: vec!["customer".to_owned()],
            password: PasswordPolicy { min_chars: 8, min_score: 0 },
            limits: LimitPolicy { consecutive: rate, address: rate, total: rate, lock_after: 100 },
            known_device_lifetime: SignedDuration::from_hours(24),
        },
    }
}

/// Registers `username` through the rules.
pub(crate) async fn register(ostiary: &Ostiary, username: &str) -> TokenPair {
    let password =
        ostiary.accept_password("correct horse", Vec::new(), Standing::Unknown).await.unwrap().unwrap();
    let registration = Registration {
        contacts: account(username).contacts,
        profile: None,
        groups: vec!["customer".to_owned()],
        password,
    };
    ostiary.register(registration, &client()).await.unwrap().tokens
}
