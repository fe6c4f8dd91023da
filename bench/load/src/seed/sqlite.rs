//! SQLite: one transaction that nobody needs to survive, and then the file as a server leaves it.

use std::{fs::File, path::Path};

use rusqlite::{Connection, params};

use super::{ACTOR, ADDRESS, GROUP, METHODS, PROFILE, Rows, USER_AGENT};

/// Pages that are kept in memory meanwhile, in KiB.
const CACHE: i64 = 256 * 1024;

pub(super) fn fill(file: &Path, rows: &mut Rows) -> anyhow::Result<()> {
    let mut connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "off")?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    // References are right by construction.
    connection.pragma_update(None, "foreign_keys", "off")?;
    let transaction = connection.transaction()?;
    fill_accounts(&transaction, rows)?;
    fill_sessions(&transaction, rows)?;
    transaction.commit()?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(file)?.sync_all()?;
    Ok(())
}

fn fill_accounts(connection: &Connection, rows: &Rows) -> rusqlite::Result<()> {
    let mut users = connection
        .prepare("insert into users (id, password_hash, profile, created_at) values (?1, ?2, ?3, ?4)")?;
    let mut contacts = connection.prepare(
        "insert into contacts (value, kind, user_id, typed, created_at) values (?1, ?2, ?3, ?1, ?4)",
    )?;
    let mut memberships = connection
        .prepare("insert into memberships (user_id, group_name, created_at) values (?1, ?2, ?3)")?;
    let at = rows.at.as_microsecond();
    for number in 0..rows.users {
        let user = rows.user(number);
        let id = user.id.as_bytes();
        users.execute(params![id, rows.password_hash.as_str(), PROFILE, at])?;
        for (kind, value) in &user.contacts {
            contacts.execute(params![value, kind.as_str(), id, at])?;
        }
        memberships.execute(params![id, GROUP, at])?;
    }
    Ok(())
}

fn fill_sessions(connection: &Connection, rows: &mut Rows) -> rusqlite::Result<()> {
    let mut sessions = connection.prepare(
        "insert into sessions (id, user_id, secret_hash, created_at, refreshed_at, expires_at, address,
                               user_agent, methods)
         values (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut events = connection.prepare(
        "insert into audit_events (id, at, action, actor, user_id, session_id, address, user_agent)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let (at, end) = (rows.at.as_microsecond(), rows.session_end.as_microsecond());
    for number in 0..rows.sessions() {
        let session = rows.session(number);
        let (id, user_id) = (session.id.as_bytes(), session.user_id.as_bytes());
        sessions.execute(params![id, user_id, session.secret_hash, at, end, ADDRESS, USER_AGENT, METHODS])?;
        let event = rows.event(number);
        let (event_id, action) = (event.id.as_bytes(), event.action.as_str());
        events.execute(params![event_id, at, action, ACTOR, user_id, id, ADDRESS, USER_AGENT])?;
    }
    Ok(())
}
