use ostiary_core::{
    audit::{Actor, AuditAction, AuditEvent, Client},
    id::UserId,
    store::{About, AuditQuery, RecordedEvent},
};
use rstest::rstest;

use crate::support::{On, Opened, TestStore, after, client, event, start};

#[rstest]
#[tokio::test]
async fn an_event_is_read_as_it_was_written(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let failed = AuditEvent::new(AuditAction::UserLoginFailed, Actor::Anyone, &client(), after(1));
    store.record(failed.clone(), About::default()).await.unwrap();
    let refused = AuditEvent::new(AuditAction::PasswordRefused, Actor::User, &Client::default(), after(2));
    let about = About { user_id: Some(opened.user_id), session_id: Some(opened.session_id) };
    store.record(refused.clone(), about).await.unwrap();
    let query = AuditQuery { since: Some(after(1)), limit: 10, ..AuditQuery::default() };
    let expected = [
        RecordedEvent {
            id: failed.id,
            at: after(1),
            action: "user_login_failed".to_owned(),
            actor: "anyone".to_owned(),
            user_id: None,
            session_id: None,
            subject: None,
            address: Some("192.0.2.7".parse().unwrap()),
            user_agent: Some("test/1".to_owned()),
        },
        RecordedEvent {
            id: refused.id,
            at: after(2),
            action: "password_refused".to_owned(),
            actor: "user".to_owned(),
            user_id: about.user_id,
            session_id: about.session_id,
            subject: None,
            address: None,
            user_agent: None,
        },
    ];
    assert_eq!(store.audit_events(&query).await.unwrap(), expected);
}

#[rstest]
#[tokio::test]
async fn the_newest_events_that_are_asked_for_are_given_the_oldest_first(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let (anna, boris) = (UserId::new(start()), UserId::new(start()));
    let mut written = Vec::new();
    for number in 0..20 {
        let action = if number % 2 == 0 { AuditAction::UserLoggedIn } else { AuditAction::UserLoggedOut };
        let user_id = if number % 4 < 2 { anna } else { boris };
        // Two at a time, at the same time.
        let event = event(action, after(number / 2));
        written.push((event.clone(), user_id));
        store.record(event, About { user_id: Some(user_id), session_id: None }).await.unwrap();
    }
    written.sort_by_key(|(event, _)| (event.at, event.id.as_uuid()));
    let ask = async |query: AuditQuery| -> Vec<_> {
        store.audit_events(&query).await.unwrap().into_iter().map(|event| event.id).collect()
    };
    let ids = |is_wanted: &dyn Fn(&AuditEvent, UserId) -> bool| -> Vec<_> {
        let wanted = written.iter().filter(|(event, user_id)| is_wanted(event, *user_id));
        wanted.map(|(event, _)| event.id).collect()
    };
    let every = AuditQuery { limit: 100, ..AuditQuery::default() };
    let all = ids(&|_, _| true);
    assert_eq!(ask(every.clone()).await, all);
    assert_eq!(ask(AuditQuery { limit: 3, ..every.clone() }).await, all[17..]);
    let recent = AuditQuery { since: Some(after(8)), ..every.clone() };
    assert_eq!(ask(recent).await, all[16..], "at that time too");
    let of_anna = AuditQuery { user_id: Some(anna), ..every.clone() };
    assert_eq!(ask(of_anna.clone()).await, ids(&|_, user_id| user_id == anna));
    let logins = AuditQuery { actions: vec!["user_logged_in".to_owned()], ..of_anna };
    let expected = ids(&|event, user_id| user_id == anna && event.action == AuditAction::UserLoggedIn);
    assert_eq!(ask(logins).await, expected);
    let both = vec!["user_logged_in".to_owned(), "user_logged_out".to_owned()];
    assert_eq!(ask(AuditQuery { actions: both, limit: 5, ..every.clone() }).await, all[15..]);
    let unknown = AuditQuery { actions: vec!["nothing".to_owned()], ..every };
    assert!(ask(unknown).await.is_empty());
}
