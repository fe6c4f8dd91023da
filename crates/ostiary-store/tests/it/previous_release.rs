//! The previous release beside this one, on a database that this one has migrated: its data is kept, and what it asks
//! of the database is answered as before.

use ostiary_core::{
    audit::AuditAction,
    store::{AuditQuery, Refusal, RevokedSession, RotateOutcome},
};
use ostiary_harness::postgres::shared;

use crate::support::{On, Opened, TestStore, after, event, start};

#[test]
fn what_the_previous_release_has_written_is_kept() {
    let database = shared().database();
    database.sql("create schema auth; create schema accounts");
    database.sql(include_str!("../../migrations/postgres/auth/V1__sessions_keys_and_audit.sql"));
    database.sql(include_str!("../../migrations/postgres/accounts/V1__directory.sql"));
    database.sql(
        "insert into auth.sessions
             (id, user_id, secret_hash, created_at, refreshed_at, expires_at, revoked_at, revoked_why, methods)
         select gen_random_uuid(), gen_random_uuid(), decode(repeat('00', 32), 'hex'), now(), now(), now(),
             revoked_at::timestamptz, case when revoked_at is not null then 'token_reused' end, 'pwd'
         from (values ('2026-11-22 12:00 UTC'), (null)) as given (revoked_at);
         insert into auth.signing_keys (id, algorithm, public_key, sealed_private_key, state, created_at)
         select name, 'EdDSA', '', '', state, created_at::timestamptz
         from (values ('new', 'active', '2026-11-22 UTC'), ('old', 'retired', '2026-11-21 UTC'))
             as given (name, state, created_at);
         insert into auth.audit_events (id, at, action, user_id)
         select gen_random_uuid(), now(), action, gen_random_uuid()
         from (values ('user_logged_in'), ('refresh_token_reused')) as given (action)",
    );
    database.sql(include_str!("../../migrations/postgres/auth/V2__revocations_keys_and_services.sql"));
    database.sql(include_str!("../../migrations/postgres/accounts/V2__self_service.sql"));
    let listed = "select revoked_at = '2026-11-22 12:00 UTC' from auth.revocations";
    assert_eq!(database.sql(listed), "t");
    let keys =
        "select id, generation, (activates_at > created_at) = (state = 'active'), expires_at > now() + interval '23 hours', state
                from auth.signing_keys order by id";
    assert_eq!(database.sql(keys), "new|2|t|t|active\nold|1|t|t|retired");
    let actors = "select action, actor from auth.audit_events order by action";
    assert_eq!(database.sql(actors), "refresh_token_reused|anyone\nuser_logged_in|user");
}

/// Each statement as that release makes it, but for its parameters.
#[tokio::test]
async fn what_the_previous_release_asks_is_answered() {
    let test = TestStore::new(On::Postgres);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let session_id = opened.session_id;
    test.execute(&format!(
        "with opened as (
             insert into auth.sessions (
                 id, user_id, secret_hash, created_at, refreshed_at, expires_at, address, user_agent, methods
             )
             select gen_random_uuid(), user_id, secret_hash, created_at, refreshed_at, expires_at, null, null, 'pwd'
             from auth.sessions where auth.is_active_user('{}')
             returning id, user_id
         ), recorded as (
             insert into auth.audit_events (id, at, action, user_id, session_id, address, user_agent)
             select gen_random_uuid(), now(), 'user_logged_in', opened.user_id, opened.id, null, null from opened
         )
         select from opened",
        opened.user_id
    ));
    test.execute(&format!(
        "update auth.sessions as session set generation = 2, refreshed_at = '{}'
         where id = '{session_id}' and generation = 0 and revoked_at is null and expires_at > '{0}'
             and exists (select from accounts.users where users.id = session.user_id and users.active)
         returning user_id",
        after(1)
    ));
    let judged = test.query::<String>(&format!(
        "select outcome from auth.judge_rotation('{session_id}', (select secret_hash from auth.sessions
             where id = '{session_id}'), 0, '{}', 'token_reused', gen_random_uuid(), '{}',
             'refresh_token_reused', null, null)",
        after(0),
        after(2)
    ));
    assert_eq!(judged, "reused");
    let listed = RevokedSession { id: session_id, revoked_at: after(2) };
    assert_eq!(store.revocations(start()).await.unwrap(), [listed]);
    let events = store.audit_events(&AuditQuery { limit: 9, ..AuditQuery::default() }).await.unwrap();
    let mut told: Vec<_> = events.iter().map(|event| (event.action.as_str(), event.actor.as_str())).collect();
    told.sort_unstable();
    let expected =
        [("refresh_token_reused", "anyone"), ("user_logged_in", "user"), ("user_registered", "user")];
    assert_eq!(told, expected);
    let reuse = event(AuditAction::RefreshTokenReused, after(3));
    let refused = store.rotate_session(opened.rotation(2, 3), reuse).await.unwrap();
    assert_eq!(refused, RotateOutcome::Refused(Refusal::Revoked));

    test.execute(&format!("select create_refresh_token('{}', 'token', '2099-01-01')", opened.user_id));
    let exchanged = test.query::<String>(
        "select outcome from auth.exchange_token('token', now(), 'token_reused', gen_random_uuid(),
             'refresh_token_exchanged', gen_random_uuid(), 'refresh_token_reused', gen_random_uuid(),
             decode(repeat('00', 32), 'hex'), now(), now() + interval '1 day', null, null, 'pwd')",
    );
    assert_eq!(exchanged, "opened");
    test.execute(
        "select id, algorithm, public_key, sealed_private_key, state, created_at from auth.signing_keys
         order by created_at, id",
    );
}
