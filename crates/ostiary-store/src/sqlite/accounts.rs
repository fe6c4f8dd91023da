//! Accounts.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    audit::AuditEvent,
    contact::Contact,
    id::{SessionId, UserId},
    password::PasswordHash,
    store::{
        Account, Accounts, Change, Credentials, LiveAt, LiveSession, NewAccount, NewSession, PasswordChange,
        PasswordLock, RegisterOutcome, Revocation, SessionEvent, StoreError,
    },
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};

use super::{
    SqliteStore,
    audit::{self, Subject},
    columns::{IdColumn, TimeColumn},
    sessions,
};

pub(super) mod account;

#[async_trait]
impl Accounts for SqliteStore {
    async fn register(
        &self,
        account: NewAccount,
        session: NewSession,
        event: AuditEvent,
    ) -> Result<RegisterOutcome, StoreError> {
        self.writer
            .step("register", move |connection| {
                // The writer holds the lock, so what is free here is free until the commit.
                if let Some(taken) = first_taken(connection, &account.contacts)? {
                    return Ok(RegisterOutcome::ContactTaken(taken.canonical().kind()));
                }
                if let Some(absent) = first_absent(connection, &account.groups)? {
                    return Ok(RegisterOutcome::GroupNotFound(absent.clone()));
                }
                insert_account(connection, &account)?;
                sessions::insert(connection, account.id, &session)?;
                audit::record(connection, &event, Subject::session(account.id, session.id))?;
                Ok(RegisterOutcome::Registered(account.id))
            })
            .await
    }

    async fn find_credentials(&self, contact: &Contact) -> Result<Option<Credentials>, StoreError> {
        let sql = "select users.password_hash, lock.locked_at, lock.unlocked_at, users.id
                   from contacts join users on users.id = contacts.user_id
                   left join password_locks as lock on lock.user_id = users.id
                   where contacts.value = ?1 and contacts.kind = ?2 and users.active = 1";
        let contact = contact.canonical();
        self.readers.read("find_credentials", |connection| {
            connection
                .prepare_cached(sql)?
                .query_row(params![contact.value(), contact.kind().as_str()], |row| {
                    credentials_in(row, row.get::<_, IdColumn<_>>(3)?.0)
                })
                .optional()
        })
    }

    async fn credentials_of(&self, user_id: UserId) -> Result<Option<Credentials>, StoreError> {
        let sql = "select users.password_hash, lock.locked_at, lock.unlocked_at
                   from users left join password_locks as lock on lock.user_id = users.id
                   where users.id = ?1 and users.active = 1";
        self.readers.read("credentials_of", |connection| {
            connection
                .prepare_cached(sql)?
                .query_row([IdColumn(user_id)], |row| credentials_in(row, user_id))
                .optional()
        })
    }

    async fn find_account(&self, user_id: UserId) -> Result<Option<Account>, StoreError> {
        self.readers.read("find_account", |connection| account::find(connection, user_id))
    }

    async fn find_session_account(
        &self,
        session_id: SessionId,
        at: LiveAt,
    ) -> Result<Option<(LiveSession, Option<Account>)>, StoreError> {
        self.session_accounts.ask((session_id, at)).await
    }

    async fn replace_profile(
        &self,
        user_id: UserId,
        seen: Option<Map<String, Value>>,
        new: Option<Map<String, Value>>,
        SessionEvent { event, session_id }: SessionEvent,
    ) -> Result<Change, StoreError> {
        self.writer
            .step("replace_profile", move |connection| {
                if !account::has_profile(connection, user_id, seen.as_ref())? {
                    return Ok(Change::Stale);
                }
                account::set_profile(connection, user_id, new.as_ref(), event.at)?;
                audit::record(connection, &event, Subject::session(user_id, session_id))?;
                Ok(Change::Made)
            })
            .await
    }

    async fn change_password(
        &self,
        change: PasswordChange,
        SessionEvent { event, session_id }: SessionEvent,
    ) -> Result<Change, StoreError> {
        let PasswordChange { user_id, seen, new } = change;
        self.writer
            .step("change_password", move |connection| {
                if !replace_hash(connection, user_id, &seen, &new)? {
                    return Ok(Change::Stale);
                }
                let why = Revocation::PasswordChanged;
                sessions::revoke_all(connection, user_id, Some(session_id), why, event.at)?;
                unlock(connection, user_id, event.at)?;
                audit::record(connection, &event, Subject::session(user_id, session_id))?;
                Ok(Change::Made)
            })
            .await
    }

    async fn delete_account(
        &self,
        user_id: UserId,
        SessionEvent { event, session_id }: SessionEvent,
    ) -> Result<bool, StoreError> {
        self.writer
            .step("delete_account", move |connection| {
                sessions::revoke_all(connection, user_id, None, Revocation::EndedByUser, event.at)?;
                // With its contacts, memberships and sessions.
                let sql = "delete from users where id = ?1";
                if connection.prepare_cached(sql)?.execute([IdColumn(user_id)])? == 0 {
                    return Ok(false);
                }
                audit::forget_clients(connection, user_id)?;
                audit::record(connection, &event, Subject::session(user_id, session_id))?;
                Ok(true)
            })
            .await
    }

    async fn replace_password_hash(
        &self,
        user_id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let (old, new) = (old.clone(), new.clone());
        self.writer
            .step("replace_password_hash", move |connection| replace_hash(connection, user_id, &old, &new))
            .await
    }

    async fn lock_password(&self, user_id: UserId, event: AuditEvent) -> Result<bool, StoreError> {
        self.writer
            .step("lock_password", move |connection| {
                let sql = "insert into password_locks (user_id, locked_at)
                           select id, ?2 from users where id = ?1 and active = 1
                           on conflict (user_id) do update set locked_at = excluded.locked_at
                           where password_locks.locked_at is null";
                let is_locked = connection
                    .prepare_cached(sql)?
                    .execute(params![IdColumn(user_id), TimeColumn(event.at)])?
                    == 1;
                if is_locked {
                    audit::record(connection, &event, Subject::user(user_id))?;
                }
                Ok(is_locked)
            })
            .await
    }

    async fn unlock_password(&self, user_id: UserId, event: AuditEvent) -> Result<bool, StoreError> {
        self.writer
            .step("unlock_password", move |connection| {
                let sql = "select 1 from password_locks where user_id = ?1 and locked_at is not null";
                let was_locked = connection.prepare_cached(sql)?.exists([IdColumn(user_id)])?;
                unlock(connection, user_id, event.at)?;
                audit::record(connection, &event, Subject::user(user_id))?;
                Ok(was_locked)
            })
            .await
    }

    async fn ensure_groups(&self, names: &[String], now: Timestamp) -> Result<(), StoreError> {
        let names = names.to_vec();
        let sql = "insert into groups (name, created_at) values (?1, ?2) on conflict do nothing";
        self.writer
            .step("ensure_groups", move |connection| {
                let mut statement = connection.prepare_cached(sql)?;
                names.iter().try_for_each(|name| statement.execute(params![name, TimeColumn(now)]).map(drop))
            })
            .await
    }
}

/// The password hash and its lock in the first columns of a row.
fn credentials_in(row: &Row<'_>, user_id: UserId) -> rusqlite::Result<Credentials> {
    let time =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<TimeColumn>>(column)?.map(|time| time.0));
    Ok(Credentials {
        user_id,
        password_hash: row.get::<_, Option<String>>(0)?.map(PasswordHash::from_stored),
        lock: PasswordLock { locked_at: time(1)?, unlocked_at: time(2)? },
    })
}

/// Opens a password, and remembers that failures until `now` do not count.
fn unlock(connection: &Connection, user_id: UserId, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "insert into password_locks (user_id, unlocked_at) values (?1, ?2)
               on conflict (user_id) do update set locked_at = null, unlocked_at = excluded.unlocked_at";
    connection.prepare_cached(sql)?.execute(params![IdColumn(user_id), TimeColumn(now)]).map(drop)
}

/// Puts `new` in the place of a password hash if that is still `old`.
fn replace_hash(
    connection: &Connection,
    user_id: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> rusqlite::Result<bool> {
    let sql = "update users set password_hash = ?3 where id = ?1 and password_hash = ?2 and active = 1";
    let parameters = params![IdColumn(user_id), old.as_str(), new.as_str()];
    Ok(connection.prepare_cached(sql)?.execute(parameters)? == 1)
}

fn first_taken<'a>(
    connection: &Connection,
    contacts: &'a [Contact],
) -> rusqlite::Result<Option<&'a Contact>> {
    let mut statement = connection.prepare_cached("select 1 from contacts where value = ?1")?;
    for contact in contacts {
        if statement.exists([contact.canonical().value()])? {
            return Ok(Some(contact));
        }
    }
    Ok(None)
}

fn first_absent<'a>(connection: &Connection, groups: &'a [String]) -> rusqlite::Result<Option<&'a String>> {
    let mut statement = connection.prepare_cached("select 1 from groups where name = ?1")?;
    for name in groups {
        if !statement.exists([name])? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn insert_account(connection: &Connection, new: &NewAccount) -> rusqlite::Result<()> {
    let (id, now) = (IdColumn(new.id), TimeColumn(new.created_at));
    let profile = new.profile.as_ref().map(account::text_of);
    connection
        .prepare_cached("insert into users (id, password_hash, profile, created_at) values (?1, ?2, ?3, ?4)")?
        .execute(params![id, new.password_hash.as_str(), profile, now])?;

    let mut contacts = connection.prepare_cached(
        "insert into contacts (value, kind, user_id, typed, created_at) values (?1, ?2, ?3, ?4, ?5)",
    )?;
    for contact in &new.contacts {
        let canonical = contact.canonical();
        contacts.execute(params![canonical.value(), canonical.kind().as_str(), id, contact.typed(), now])?;
    }

    let mut memberships = connection
        .prepare_cached("insert into memberships (user_id, group_name, created_at) values (?1, ?2, ?3)")?;
    for group in &new.groups {
        memberships.execute(params![id, group, now])?;
    }
    Ok(())
}
