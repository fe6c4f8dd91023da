use ostiary_core::{
    audit::AuditAction,
    id::{SessionId, UserId},
    store::{
        AuditQuery, RecordedEvent, Refusal, Revocation, RevokeOutcome, RevokedSession, RotateOutcome, Store,
    },
};
use rstest::rstest;

use crate::support::{On, Opened, TestStore, after, event, start};

async fn revoke(
    store: &dyn Store,
    opened: &Opened,
    owner: Option<UserId>,
    why: Revocation,
    seconds: i64,
) -> RevokeOutcome {
    let event = event(AuditAction::SessionRevoked, after(seconds));
    store.revoke_session(opened.session_id, owner, why, event).await.unwrap()
}

/// The newest events of these actions.
async fn events(store: &dyn Store, actions: &[&str]) -> Vec<RecordedEvent> {
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    store.audit_events(&AuditQuery { actions, limit: 100, ..AuditQuery::default() }).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_session_is_ended_by_whoever_owns_it(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let anna = Opened::registered(&*store, "anna").await;
    let boris = Opened::registered(&*store, "boris").await;
    let by_boris = revoke(&*store, &anna, Some(boris.user_id), Revocation::EndedByUser, 1).await;
    assert_eq!(by_boris, RevokeOutcome::NotOpen);
    assert!(store.revocations(start()).await.unwrap().is_empty());
    assert!(events(&*store, &["session_revoked"]).await.is_empty());
    let by_anna = revoke(&*store, &anna, Some(anna.user_id), Revocation::EndedByUser, 2).await;
    assert_eq!(by_anna, RevokeOutcome::Revoked);
    assert_eq!(
        test.query::<String>("select revoked_why from sessions where revoked_at is not null"),
        "ended_by_user"
    );
    let [event] = &events(&*store, &["session_revoked"]).await[..] else { panic!("one event") };
    assert_eq!((event.user_id, event.session_id), (Some(anna.user_id), Some(anna.session_id)));
}

#[rstest]
#[tokio::test]
async fn revoked_sessions_are_listed_the_first_first_and_each_once(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = Opened::registered(&*store, "anna").await;
    let second = first.log_in(&*store, 1, None).await;
    let third = first.log_in(&*store, 2, None).await;
    revoke(&*store, &third, None, Revocation::LoggedOut, 10).await;
    // The second by a token that is used again, which is noticed twice.
    for (generation, seconds) in [(0, 11), (1, 12), (0, 20), (0, 21)] {
        let reuse = event(AuditAction::RefreshTokenReused, after(seconds));
        store.rotate_session(second.rotation(generation, seconds), reuse).await.unwrap();
    }
    revoke(&*store, &first, None, Revocation::LoggedOut, 30).await;
    revoke(&*store, &first, None, Revocation::LoggedOut, 31).await;
    let listed =
        |opened: &Opened, seconds| RevokedSession { id: opened.session_id, revoked_at: after(seconds) };
    let all = [listed(&third, 10), listed(&second, 20), listed(&first, 30)];
    assert_eq!(store.revocations(start()).await.unwrap(), all);
    assert_eq!(store.revocations(after(10)).await.unwrap(), all[1..], "after, not at");
    assert!(store.revocations(after(30)).await.unwrap().is_empty());
    let [reuse] = &events(&*store, &["refresh_token_reused"]).await[..] else { panic!("one event") };
    assert_eq!(reuse.actor, "anyone");
}

#[rstest]
#[tokio::test]
async fn all_sessions_of_a_user_end_and_nobody_elses(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let anna = Opened::registered(&*store, "anna").await;
    let mut others = Vec::new();
    for seconds in 1..4 {
        others.push(anna.log_in(&*store, seconds, None).await);
    }
    revoke(&*store, &others[0], None, Revocation::LoggedOut, 10).await;
    let boris = Opened::registered(&*store, "boris").await;
    let log_out = async |seconds| {
        let event = anna.event(AuditAction::UserLoggedOutEverywhere, seconds);
        store.revoke_sessions_of(anna.user_id, Revocation::LoggedOut, event).await.unwrap()
    };
    assert_eq!(log_out(11).await, 3);
    let mut ended: Vec<_> = store.revocations(after(10)).await.unwrap();
    ended.sort_by_key(|session| session.id.as_uuid());
    let mut expected = [&anna, &others[1], &others[2]].map(|opened| opened.session_id);
    expected.sort_by_key(SessionId::as_uuid);
    assert_eq!(ended.iter().map(|session| session.id).collect::<Vec<_>>(), expected);
    let reuse = event(AuditAction::RefreshTokenReused, after(12));
    let refused = store.rotate_session(others[1].rotation(0, 12), reuse.clone()).await.unwrap();
    assert_eq!(refused, RotateOutcome::Refused(Refusal::Revoked));
    let rotated = store.rotate_session(boris.rotation(0, 12), reuse).await.unwrap();
    assert_eq!(rotated, RotateOutcome::Rotated(boris.live()));
    let [event] = &events(&*store, &["user_logged_out_everywhere"]).await[..] else { panic!("one event") };
    assert_eq!((event.user_id, event.session_id), (Some(anna.user_id), Some(anna.session_id)));
    assert_eq!(log_out(13).await, 0);
}
