//! An account as its user sees it, and its profile.

use jiff::Timestamp;
use ostiary_core::{
    contact::ContactKind,
    id::{SessionId, UserId},
    store::{Account, AccountContact, LiveAt, LiveSession},
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::FromSqlError};
use serde_json::{Map, Value};

use crate::sqlite::{
    columns::{IdColumn, TimeColumn},
    connection::Snapshot,
    sessions,
};

/// The account of an active user.
pub(super) fn find(connection: &Connection, user_id: UserId) -> rusqlite::Result<Option<Account>> {
    let _snapshot = Snapshot::begin(connection)?;
    read(connection, user_id)
}

/// A session that is alive, and its user's account.
pub(in crate::sqlite) fn find_by_session(
    connection: &Connection,
    session_id: SessionId,
    at: LiveAt,
) -> rusqlite::Result<Option<(LiveSession, Option<Account>)>> {
    let Some(session) = sessions::find_live(connection, session_id, at)? else { return Ok(None) };
    let account = read(connection, session.user_id)?;
    Ok(Some((session, account)))
}

fn read(connection: &Connection, user_id: UserId) -> rusqlite::Result<Option<Account>> {
    let sql = "select profile, created_at, updated_at from users where id = ?1 and active = 1";
    let from_row = |row: &Row<'_>| {
        Ok(Account {
            id: user_id,
            contacts: Vec::new(),
            groups: Vec::new(),
            profile: profile_in(row)?,
            created_at: Some(row.get::<_, TimeColumn>(1)?.0),
            updated_at: row.get::<_, Option<TimeColumn>>(2)?.map(|time| time.0),
        })
    };
    let Some(account) =
        connection.prepare_cached(sql)?.query_row([IdColumn(user_id)], from_row).optional()?
    else {
        return Ok(None);
    };
    let contacts = "select kind, value, typed, verified_at is not null from contacts where user_id = ?1
                    order by kind = 'email', kind = 'phone'";
    let contacts = connection
        .prepare_cached(contacts)?
        .query_map([IdColumn(user_id)], contact_from_row)?
        .collect::<Result<_, _>>()?;
    let groups = "select group_name from memberships where user_id = ?1 order by group_name";
    let groups = connection
        .prepare_cached(groups)?
        .query_map([IdColumn(user_id)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(Some(Account { contacts, groups, ..account }))
}

fn contact_from_row(row: &Row<'_>) -> rusqlite::Result<AccountContact> {
    let kind: String = row.get(0)?;
    Ok(AccountContact {
        kind: ContactKind::from_name(&kind).ok_or(FromSqlError::InvalidType)?,
        value: row.get(1)?,
        typed: row.get(2)?,
        is_verified: row.get(3)?,
    })
}

/// Whether there is such an active user, with this profile.
pub(super) fn has_profile(
    connection: &Connection,
    user_id: UserId,
    profile: Option<&Map<String, Value>>,
) -> rusqlite::Result<bool> {
    let sql = "select profile from users where id = ?1 and active = 1";
    let found = connection.prepare_cached(sql)?.query_row([IdColumn(user_id)], profile_in).optional()?;
    Ok(found.is_some_and(|found| found.as_ref() == profile))
}

pub(super) fn set_profile(
    connection: &Connection,
    user_id: UserId,
    profile: Option<&Map<String, Value>>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let sql = "update users set profile = ?2, updated_at = ?3 where id = ?1";
    let parameters = params![IdColumn(user_id), profile.map(text_of), TimeColumn(now)];
    connection.prepare_cached(sql)?.execute(parameters).map(drop)
}

/// The first column of a row.
fn profile_in(row: &Row<'_>) -> rusqlite::Result<Option<Map<String, Value>>> {
    let text: Option<String> = row.get(0)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| FromSqlError::other(error).into()))
        .transpose()
}

/// A profile as it is kept.
pub(super) fn text_of(profile: &Map<String, Value>) -> String {
    serde_json::to_string(profile).expect("an object whose names are texts is JSON")
}
