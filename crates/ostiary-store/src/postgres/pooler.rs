//! Whether there is a pooler in between that hands out sessions by the transaction (PgBouncer's transaction
//! mode). What is prepared in a session is then somebody else's a moment later, and a statement of another
//! node may have its name.

use std::time::Duration;

use tokio_postgres::Client;

use super::{
    open_error::OpenError,
    settings::{PostgresSettings, PreparedStatements},
    tls::{Connected, Connector},
};

/// How often two connections are asked for their sessions.
const ROUNDS: usize = 4;

/// Whether statements can be prepared: as the settings say, or as it turns out. Gives back the connections that
/// were made on the way.
pub(super) async fn look(
    settings: &PostgresSettings,
    connector: &Connector,
    first: Connected,
    wait: Duration,
) -> Result<(bool, Vec<Connected>), OpenError> {
    match settings.prepared {
        PreparedStatements::On => return Ok((true, vec![first])),
        PreparedStatements::Off => return Ok((false, vec![first])),
        PreparedStatements::Auto => {}
    }
    let (second, _) = super::connect(settings, connector, wait).await?;
    let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
    // A pooler gives a transaction the session that became free last, which is the other connection's; or each
    // in turn, and then two questions on one connection reach two.
    for _ in 0..ROUNDS {
        for _ in 0..2 {
            of_first.push(session(&first.0).await?);
        }
        for _ in 0..2 {
            of_second.push(session(&second.0).await?);
        }
    }
    let is_one = |sessions: &[i32]| sessions.iter().all(|session| *session == sessions[0]);
    let are_their_own = is_one(&of_first) && is_one(&of_second) && of_first[0] != of_second[0];
    if !are_their_own {
        tracing::info!("a pooler hands out sessions by the transaction: statements are not prepared");
    }
    Ok((are_their_own, vec![first, second]))
}

/// The process that serves a connection.
async fn session(client: &Client) -> Result<i32, OpenError> {
    let rows = client.query_typed("select pg_backend_pid()", &[]).await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}
