//! Whether there is a pooler in between that hands out sessions by the transaction (PgBouncer's transaction
//! mode). What is prepared in a session is then somebody else's a moment later, and a statement of another
//! node may have its name.

use tokio_postgres::Client;

use super::{
    connect_once,
    open_error::OpenError,
    settings::{PostgresSettings, PreparedStatements},
    tls::Connector,
};

/// How often two connections are asked for their sessions.
const ROUNDS: usize = 3;

/// Whether statements can be prepared: as the settings say, or as it turns out.
pub(super) async fn allows_preparing(
    settings: &PostgresSettings,
    connector: &Connector,
    first: &Client,
) -> Result<bool, OpenError> {
    match settings.prepared {
        PreparedStatements::On => return Ok(true),
        PreparedStatements::Off => return Ok(false),
        PreparedStatements::Auto => {}
    }
    let second = connect_once(connector, &settings.config).await?;
    let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_first.push(session(first).await?);
        of_second.push(session(&second).await?);
    }
    // A pooler gives a transaction the session that became free last, which is the other connection's; or
    // another one, in turn.
    let is_one = |sessions: &[i32]| sessions.iter().all(|session| *session == sessions[0]);
    let are_their_own = is_one(&of_first) && is_one(&of_second) && of_first[0] != of_second[0];
    if !are_their_own {
        tracing::info!("a pooler hands out sessions by the transaction: statements are not prepared");
    }
    Ok(are_their_own)
}

/// The process that serves a connection.
async fn session(client: &Client) -> Result<i32, OpenError> {
    let rows = client.query_typed("select pg_backend_pid()", &[]).await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}
