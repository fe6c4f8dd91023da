//! A model of sessions, and random sequences of what can happen to them: refreshes with any token ever
//! issued, revocations, time, restarts. The store must do as the model does.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    Ostiary,
    audit::AuditAction,
    clock::{Clock, ManualClock},
    id::SessionId,
    session::RefreshError,
    store::{Revocation, RevokeOutcome},
};
use proptest::{prelude::*, test_runner::TestRunner};
use rstest::rstest;

use crate::support::{On, SESSION_IDLE, TestStore, client, event, ostiary, register, start};

#[derive(Debug, Clone)]
enum Step {
    /// Refresh with a token of a session; 0 is the newest, 1 its parent, and so on.
    Refresh {
        session: usize,
        age: usize,
    },
    Revoke {
        session: usize,
    },
    /// Time passes.
    Wait {
        milliseconds: i64,
    },
    /// The server is stopped and started again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS;
    prop_oneof![
        10 => (session.clone(), prop_oneof![5 => Just(0_usize), 4 => Just(1), 1 => 2..5_usize])
            .prop_map(|(session, age)| Step::Refresh { session, age }),
        1 => session.prop_map(|session| Step::Revoke { session }),
        5 => prop_oneof![
            Just(1), Just(9_999), Just(10_000), Just(10_001), 1..20_000_i64,
            Just(DAY), Just(20 * DAY - 1), Just(20 * DAY), Just(29 * DAY),
        ].prop_map(|milliseconds| Step::Wait { milliseconds }),
        1 => Just(Step::Restart),
    ]
}

const SESSIONS: usize = 2;
const DAY: i64 = 24 * 3600 * 1000;

/// What a session is, in few words.
struct Model {
    id: SessionId,
    /// Every token that was issued; its place is its generation.
    tokens: Vec<String>,
    refreshed_at: Timestamp,
    expires_at: Timestamp,
    revoked: bool,
}

#[derive(Debug, PartialEq)]
enum Expected {
    NewToken,
    SameToken,
    Refused,
}

impl Model {
    fn refresh(&mut self, generation: usize, now: Timestamp) -> Expected {
        let newest = self.tokens.len() - 1;
        let idle = now.duration_since(self.refreshed_at);
        if self.revoked || now >= self.expires_at || idle >= SESSION_IDLE {
            Expected::Refused
        } else if generation == newest {
            self.refreshed_at = now;
            Expected::NewToken
        } else if generation + 1 == newest && idle <= SignedDuration::from_secs(10) {
            Expected::SameToken
        } else {
            self.revoked = true;
            Expected::Refused
        }
    }
}

struct World<'a> {
    test: &'a TestStore,
    clock: Arc<ManualClock>,
    ostiary: Option<Ostiary>,
    models: Vec<Model>,
}

impl<'a> World<'a> {
    async fn new(test: &'a TestStore) -> Self {
        static NEXT_USER: AtomicU32 = AtomicU32::new(0);
        let clock = Arc::new(ManualClock::starting_at(start()));
        let mut world = Self { test, clock, ostiary: None, models: Vec::new() };
        world.restart().await;
        for _ in 0..SESSIONS {
            let name = format!("user{}", NEXT_USER.fetch_add(1, Ordering::Relaxed));
            let pair = register(world.ostiary(), &name).await;
            let id = world.ostiary().refresh_tokens.read(&pair.refresh_token).unwrap().session_id;
            world.models.push(Model {
                id,
                tokens: vec![pair.refresh_token],
                refreshed_at: start(),
                expires_at: start() + SignedDuration::from_hours(24 * 30),
                revoked: false,
            });
        }
        world
    }

    fn ostiary(&self) -> &Ostiary {
        self.ostiary.as_ref().unwrap()
    }

    async fn restart(&mut self) {
        self.ostiary = None;
        self.ostiary = Some(ostiary(self.test.open().await, self.clock.clone()).await);
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Refresh { session, age } => self.refresh(session, age).await,
            Step::Revoke { session } => self.revoke(session).await,
            Step::Wait { milliseconds } => self.clock.advance(SignedDuration::from_millis(milliseconds)),
            Step::Restart => self.restart().await,
        }
    }

    async fn refresh(&mut self, session: usize, age: usize) {
        let now = self.clock.now();
        let generation = self.models[session].tokens.len().saturating_sub(age + 1);
        let token = self.models[session].tokens[generation].clone();
        let answer = self.ostiary().refresh(&token, &client()).await;
        let model = &mut self.models[session];
        match (model.refresh(generation, now), answer) {
            (Expected::NewToken, Ok(pair)) => {
                assert!(!model.tokens.contains(&pair.refresh_token), "a new token is new");
                model.tokens.push(pair.refresh_token);
            }
            (Expected::SameToken, Ok(pair)) => assert_eq!(pair.refresh_token, model.tokens[generation + 1]),
            (Expected::Refused, Err(RefreshError::Refused)) => {}
            (expected, answer) => panic!("expected {expected:?}, got {answer:?}"),
        }
    }

    async fn revoke(&mut self, session: usize) {
        let model = &self.models[session];
        let open = !model.revoked && self.clock.now() < model.expires_at;
        let event = event(AuditAction::SessionRevoked, self.clock.now());
        let store = &self.ostiary().store;
        let outcome = store.revoke_session(model.id, None, Revocation::LoggedOut, event).await;
        assert_eq!(outcome.unwrap(), if open { RevokeOutcome::Revoked } else { RevokeOutcome::NotOpen });
        self.models[session].revoked |= open;
    }

    /// What the database says at the end, beside the store.
    fn agrees(&self) {
        let expected = self.models.iter().map(|model| {
            let generation = model.tokens.len() - 1;
            let fate = if model.revoked { "revoked, listed, 1 event" } else { "open, not listed, 0 events" };
            format!("{generation} {fate}")
        });
        let found = self.models.iter().map(|model| {
            let id = self.test.id_literal(model.id.as_uuid());
            format!(
                "(select generation || case when revoked_at is null then ' open, ' else ' revoked, ' end
                  from sessions where id = {id})
                 || (select case when count(*) = 1 then 'listed, ' else 'not listed, ' end
                     from revocations where session_id = {id})
                 || (select count(*) || case when count(*) = 1 then ' event' else ' events' end
                     from audit_events where session_id = {id}
                     and action in ('refresh_token_reused', 'session_revoked'))"
            )
        });
        let sql = format!("select {}", found.collect::<Vec<_>>().join(" || '; ' || "));
        assert_eq!(self.test.query::<String>(&sql), expected.collect::<Vec<_>>().join("; "));
    }
}

#[rstest]
fn sessions_do_as_the_model_does(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&proptest::collection::vec(step(), 1..40), |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = Box::pin(World::new(&test)).await;
            for step in &steps {
                world.take(step).await;
            }
            world.agrees();
        });
        Ok(())
    });
    outcome.unwrap();
}
