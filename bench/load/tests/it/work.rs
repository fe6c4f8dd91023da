//! What is asked of a server.

use std::net::SocketAddr;

use ostiary_bench::{
    client::Client,
    server::Server,
    users::Users,
    work::{access_tokens, introspect, log_in, me, refresh},
};

use crate::{CONNECTIONS, SHORT, credential, seeded, server};

async fn assert_all_is_answered(postgres: bool) {
    let (database, mut seeded) = seeded(postgres).await;
    let credential = credential(&database);
    let running = Server::start_on(&database, &server(), &[]).unwrap();
    let (address, tokens) = (running.address, &mut seeded.refresh_tokens);
    let before = tokens.len();
    for _ in 0..2 {
        assert!(refresh(address, tokens, CONNECTIONS, SHORT).await.unwrap() > 0.0);
    }
    assert_eq!(tokens.len(), before);
    let access_tokens = access_tokens(address, tokens, 10).await.unwrap();
    assert_eq!(access_tokens.len(), 10);
    assert!(me(address, &access_tokens, CONNECTIONS, SHORT).await.unwrap() > 0.0);
    assert!(introspect(address, &credential, &access_tokens, CONNECTIONS, SHORT).await.unwrap() > 0.0);
    let users = Users::register(Client::http1(address), 0..CONNECTIONS).await.unwrap();
    // Hashes are computed in the time that other tests leave.
    assert!(log_in(users.server(), users.logins(), CONNECTIONS, SHORT * 10).await.unwrap() > 0.0);
    let error = log_in(address, users.logins(), CONNECTIONS + 1, SHORT).await.unwrap_err().to_string();
    assert_eq!(error, "fewer requests than connections");
    // Every successor is there, and good.
    access_tokens_of_all(address, tokens).await;

    let error = me(address, &["no.access.token".to_owned()], 1, SHORT).await.unwrap_err().to_string();
    assert!(error.starts_with("answered with HTTP/1.1 401"), "{error}");
}

async fn access_tokens_of_all(address: SocketAddr, tokens: &mut [String]) {
    let count = tokens.len();
    assert_eq!(access_tokens(address, tokens, count).await.unwrap().len(), count);
}

#[tokio::test]
async fn all_that_is_asked_of_a_server_is_answered_on_sqlite() {
    assert_all_is_answered(false).await;
}

#[tokio::test]
async fn all_that_is_asked_of_a_server_is_answered_on_postgres() {
    assert_all_is_answered(true).await;
}
