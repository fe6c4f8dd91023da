use ostiary_core::secret::ServerSecret;
use rstest::rstest;

use crate::support::{On, TestStore, server_secret, start};

#[rstest]
#[tokio::test]
async fn a_store_remembers_the_last_secret_that_it_was_used_with(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    assert_eq!(store.secret_fingerprint().await.unwrap(), None);
    let other = ServerSecret::parse("another secret of at least thirty-two bytes").unwrap();
    for secret in [server_secret(), other] {
        let known = store.secret_fingerprint().await.unwrap();
        assert!(store.remember_secret(known, secret.fingerprint(), start()).await.unwrap());
        assert_eq!(store.secret_fingerprint().await.unwrap(), Some(secret.fingerprint()));
        assert!(
            !store.remember_secret(known, secret.fingerprint(), start()).await.unwrap(),
            "another was first"
        );
    }
    drop(store);
    let kept = test.open().await.secret_fingerprint().await.unwrap();
    assert!(kept.is_some_and(|kept| kept != server_secret().fingerprint()));
}
