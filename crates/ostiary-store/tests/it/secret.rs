use ostiary_core::secret::ServerSecret;

use crate::support::{TestStore, server_secret, start};

#[tokio::test]
async fn a_store_remembers_the_last_secret_that_it_was_used_with() {
    let test = TestStore::new();
    let store = test.open().await;
    assert_eq!(store.secret_fingerprint().await.unwrap(), None);
    let other = ServerSecret::parse("another secret of at least thirty-two bytes").unwrap();
    for secret in [server_secret(), other] {
        store.remember_secret(secret.fingerprint(), start()).await.unwrap();
        assert_eq!(store.secret_fingerprint().await.unwrap(), Some(secret.fingerprint()));
    }
    drop(store);
    let kept = test.open().await.secret_fingerprint().await.unwrap();
    assert!(kept.is_some_and(|kept| kept != server_secret().fingerprint()));
}
