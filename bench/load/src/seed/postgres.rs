//! PostgreSQL: `copy`, whose lines are values with tabs between; none of ours has anything to be escaped.

use std::{fmt::Write, mem, pin::pin};

use bytes::Bytes;
use futures_util::SinkExt;
use ostiary_harness::postgres::Cluster;
use tokio_postgres::{Client, NoTls};

use super::{ACTOR, ADDRESS, EventRow, GROUP, METHODS, PROFILE, Rows, USER_AGENT};

/// How many bytes are sent at a time.
const CHUNK: usize = 256 * 1024;

pub(super) async fn fill(cluster: &Cluster, rows: &mut Rows) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(&cluster.url("postgres"), NoTls).await?;
    let connected = tokio::spawn(connection);
    // References are right by construction; to look each up takes longer than all the rest.
    client.batch_execute("set session_replication_role = replica").await?;
    fill_accounts(&client, rows).await?;
    fill_sessions(&client, rows).await?;
    // What would otherwise be done while something is measured.
    client.batch_execute("vacuum analyze").await?;
    client.batch_execute("checkpoint").await?;
    drop(client);
    connected.await??;
    Ok(())
}

async fn fill_accounts(client: &Client, rows: &Rows) -> anyhow::Result<()> {
    let at = rows.at;
    let sql = "copy accounts.users (id, password_hash, profile, created_at) from stdin";
    copy(client, sql, rows.users, |number, lines| {
        let (id, hash) = (rows.user(number).id, rows.password_hash.as_str());
        writeln!(lines, "{id}\t{hash}\t{PROFILE}\t{at}")
    })
    .await?;
    let sql = "copy accounts.contacts (value, kind, user_id, typed, created_at) from stdin";
    copy(client, sql, rows.users, |number, lines| {
        let user = rows.user(number);
        user.contacts.iter().try_for_each(|(kind, value)| {
            writeln!(lines, "{value}\t{}\t{}\t{value}\t{at}", kind.as_str(), user.id)
        })
    })
    .await?;
    let sql = "copy accounts.memberships (user_id, group_name, created_at) from stdin";
    copy(client, sql, rows.users, |number, lines| writeln!(lines, "{}\t{GROUP}\t{at}", rows.user(number).id))
        .await
}

async fn fill_sessions(client: &Client, rows: &mut Rows) -> anyhow::Result<()> {
    let (count, at, end) = (rows.sessions(), rows.at, rows.session_end);
    let sql = "copy auth.sessions (id, user_id, secret_hash, created_at, refreshed_at, expires_at, address,
                                   user_agent, methods) from stdin";
    copy(client, sql, count, |number, lines| {
        let session = rows.session(number);
        write!(lines, "{}\t{}\t\\\\x", session.id, session.user_id)?;
        session.secret_hash.iter().try_for_each(|byte| write!(lines, "{byte:02x}"))?;
        writeln!(lines, "\t{at}\t{at}\t{end}\t{ADDRESS}\t{USER_AGENT}\t{METHODS}")
    })
    .await?;
    let sql = "copy auth.audit_events (id, at, action, actor, user_id, session_id, address, user_agent)
               from stdin";
    copy(client, sql, count, |number, lines| {
        let EventRow { id, action, user_id, session_id } = rows.event(number);
        let action = action.as_str();
        writeln!(lines, "{id}\t{at}\t{action}\t{ACTOR}\t{user_id}\t{session_id}\t{ADDRESS}\t{USER_AGENT}")
    })
    .await
}

/// Copies the lines that `write` adds for each number below `count`.
async fn copy(
    client: &Client,
    sql: &str,
    count: usize,
    mut write: impl FnMut(usize, &mut String) -> std::fmt::Result,
) -> anyhow::Result<()> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(sql).await?);
    let mut lines = String::new();
    for number in 0..count {
        write(number, &mut lines)?;
        if lines.len() >= CHUNK {
            sink.send(Bytes::from(mem::take(&mut lines))).await?;
        }
    }
    sink.send(Bytes::from(lines)).await?;
    sink.finish().await?;
    Ok(())
}
