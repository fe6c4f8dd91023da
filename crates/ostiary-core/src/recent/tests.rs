use std::{
    pin::pin,
    sync::atomic::AtomicU32,
    task::{Context, Waker},
};

use tokio::sync::oneshot;

use super::*;
use crate::{id::UserId, store::AuthenticationMethod};

const LIFETIME: SignedDuration = SignedDuration::from_millis(500);

fn at(milliseconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_millis(milliseconds)
}

fn session() -> LiveSession {
    LiveSession {
        id: SessionId::new(at(0)),
        user_id: UserId::new(at(0)),
        created_at: at(0),
        methods: vec![AuthenticationMethod::Password],
    }
}

fn account_with(profile: &str) -> SessionAccount {
    let session = session();
    let account = Account {
        id: session.user_id,
        contacts: Vec::new(),
        groups: Vec::new(),
        profile: serde_json::from_str(profile).unwrap(),
        created_at: None,
        updated_at: None,
    };
    (session, Some(account))
}

/// A store that has one session, or none, and counts how often it is asked.
struct Looks {
    recent: RecentSessions,
    stored: LiveSession,
    count: AtomicU32,
}

impl Looks {
    fn new(lifetime: SignedDuration) -> Self {
        Self { recent: RecentSessions::new(lifetime), stored: session(), count: AtomicU32::new(0) }
    }

    /// Asks at a time; says how often the store was asked until then.
    async fn after_asking_at(&self, milliseconds: i64) -> u32 {
        let look = async {
            self.count.fetch_add(1, Ordering::Relaxed);
            Ok(Some(self.stored.clone()))
        };
        let found = self.recent.session(self.stored.id, at(milliseconds), look).await.unwrap();
        assert_eq!(found.as_ref(), Some(&self.stored));
        self.count.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn an_answer_serves_for_a_moment() {
    let looks = Looks::new(LIFETIME);
    for (milliseconds, count) in [(0, 1), (0, 1), (499, 1), (500, 2), (999, 2), (1_000, 3)] {
        assert_eq!(looks.after_asking_at(milliseconds).await, count, "after {milliseconds} ms");
    }
}

#[tokio::test]
async fn an_answer_from_the_future_serves_nobody() {
    let looks = Looks::new(LIFETIME);
    assert_eq!(looks.after_asking_at(1_000).await, 1);
    assert_eq!(looks.after_asking_at(999).await, 2);
}

#[tokio::test]
async fn without_a_lifetime_the_store_is_asked_each_time() {
    let looks = Looks::new(SignedDuration::ZERO);
    assert_eq!(looks.after_asking_at(0).await, 1);
    assert_eq!(looks.after_asking_at(0).await, 2);
}

#[tokio::test]
async fn a_change_ends_all_answers_whatever_comes_of_it() {
    let looks = Looks::new(LIFETIME);
    assert_eq!(looks.after_asking_at(0).await, 1);
    let failed: Result<(), StoreError> =
        looks.recent.after(async { Err(StoreError::Unavailable("gone".into())) }).await;
    assert!(failed.is_err());
    assert_eq!(looks.after_asking_at(0).await, 2);
    assert_eq!(looks.after_asking_at(0).await, 2);
}

#[tokio::test]
async fn a_change_whose_client_has_gone_ends_all_answers() {
    let looks = Looks::new(LIFETIME);
    {
        let mut change = pin!(looks.recent.after(std::future::pending::<()>()));
        assert!(change.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(looks.after_asking_at(0).await, 1);
        assert_eq!(looks.after_asking_at(0).await, 1);
    }
    assert_eq!(looks.after_asking_at(0).await, 2);
}

/// The store said it before the change, and the answer came after it.
#[tokio::test]
async fn an_answer_that_a_change_overtook_serves_only_who_asked_for_it() {
    let looks = Looks::new(LIFETIME);
    let (answer, answered) = oneshot::channel();
    let look = async { Ok(Some(answered.await.unwrap())) };
    let mut asking = pin!(looks.recent.session(looks.stored.id, at(0), look));
    assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    looks.recent.after(async {}).await;
    answer.send(looks.stored.clone()).unwrap();
    assert!(asking.await.unwrap().is_some());
    assert_eq!(looks.after_asking_at(0).await, 1, "it is asked for the first time");
}

#[tokio::test]
async fn neither_an_absence_nor_an_error_is_kept() {
    let looks = Looks::new(LIFETIME);
    let id = looks.stored.id;
    assert_eq!(looks.recent.session(id, at(0), async { Ok(None) }).await.unwrap(), None);
    let failing = async { Err(StoreError::Unavailable("gone".into())) };
    assert!(looks.recent.session(id, at(0), failing).await.is_err());
    assert_eq!(looks.after_asking_at(0).await, 1);
}

#[tokio::test]
async fn a_session_and_its_account_are_kept_apart_from_the_session() {
    let looks = Looks::new(LIFETIME);
    let (session, account) = account_with("null");
    let look = async { Ok(Some((session.clone(), account.clone()))) };
    looks.recent.account(looks.stored.id, at(0), look).await.unwrap();
    assert_eq!(looks.after_asking_at(0).await, 1);
}

#[tokio::test]
async fn large_accounts_take_no_more_than_their_share() {
    let recent = RecentSessions::new(LIFETIME);
    let large = account_with(&format!(r#"{{"about": "{}"}}"#, "x".repeat(16_000)));
    for _ in 0..1_000 {
        let found = large.clone();
        recent.account(SessionId::new(at(0)), at(0), async { Ok(Some(found)) }).await.unwrap();
    }
    assert!(recent.accounts.weight() <= CAPACITY, "{}", recent.accounts.weight());
    assert!((100..300).contains(&recent.accounts.len()), "{}", recent.accounts.len());
}
