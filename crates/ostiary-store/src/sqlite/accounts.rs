//! Accounts.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    audit::AuditEvent,
    contact::Contact,
    id::UserId,
    password::PasswordHash,
    store::{Accounts, Credentials, NewAccount, NewSession, RegisterOutcome, StoreError},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore, audit,
    columns::{IdColumn, TimeColumn},
    sessions,
};

#[async_trait]
impl Accounts for SqliteStore {
    async fn register(
        &self,
        account: NewAccount,
        session: NewSession,
        event: AuditEvent,
    ) -> Result<RegisterOutcome, StoreError> {
        self.writer
            .step(move |connection| {
                // The writer holds the lock, so what is free here is free until the commit.
                if let Some(taken) = first_taken(connection, &account.contacts)? {
                    return Ok(RegisterOutcome::ContactTaken(taken.canonical().kind()));
                }
                if let Some(absent) = first_absent(connection, &account.groups)? {
                    return Ok(RegisterOutcome::GroupNotFound(absent.clone()));
                }
                insert_account(connection, &account)?;
                sessions::insert(connection, account.id, &session)?;
                audit::record(connection, &event, account.id, session.id)?;
                Ok(RegisterOutcome::Registered(account.id))
            })
            .await
    }

    async fn find_credentials(&self, contact: &Contact) -> Result<Option<Credentials>, StoreError> {
        let sql = "select users.id, users.password_hash
                   from contacts join users on users.id = contacts.user_id
                   where contacts.value = ?1 and contacts.kind = ?2 and users.active = 1";
        let contact = contact.canonical();
        self.readers.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_row(params![contact.value(), contact.kind().as_str()], |row| {
                    Ok(Credentials {
                        user_id: row.get::<_, IdColumn<_>>(0)?.0,
                        password_hash: row.get::<_, Option<String>>(1)?.map(PasswordHash::from_stored),
                    })
                })
                .optional()
        })
    }

    async fn replace_password_hash(
        &self,
        user_id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let (old, new) = (old.clone(), new.clone());
        let sql = "update users set password_hash = ?3 where id = ?1 and password_hash = ?2";
        self.writer
            .step(move |connection| {
                let changed = connection.prepare_cached(sql)?.execute(params![
                    IdColumn(user_id),
                    old.as_str(),
                    new.as_str()
                ])?;
                Ok(changed == 1)
            })
            .await
    }

    async fn ensure_groups(&self, names: &[String], now: Timestamp) -> Result<(), StoreError> {
        let names = names.to_vec();
        let sql = "insert into groups (name, created_at) values (?1, ?2) on conflict do nothing";
        self.writer
            .step(move |connection| {
                let mut statement = connection.prepare_cached(sql)?;
                names.iter().try_for_each(|name| statement.execute(params![name, TimeColumn(now)]).map(drop))
            })
            .await
    }
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

fn insert_account(connection: &Connection, account: &NewAccount) -> rusqlite::Result<()> {
    let (id, now) = (IdColumn(account.id), TimeColumn(account.created_at));
    let profile =
        account.profile.as_ref().map(|profile| serde_json::Value::from(profile.clone()).to_string());
    connection
        .prepare_cached("insert into users (id, password_hash, profile, created_at) values (?1, ?2, ?3, ?4)")?
        .execute(params![id, account.password_hash.as_str(), profile, now])?;

    let mut contacts = connection.prepare_cached(
        "insert into contacts (value, kind, user_id, typed, created_at) values (?1, ?2, ?3, ?4, ?5)",
    )?;
    for contact in &account.contacts {
        let canonical = contact.canonical();
        contacts.execute(params![canonical.value(), canonical.kind().as_str(), id, contact.typed(), now])?;
    }

    let mut memberships = connection
        .prepare_cached("insert into memberships (user_id, group_name, created_at) values (?1, ?2, ?3)")?;
    for group in &account.groups {
        memberships.execute(params![id, group, now])?;
    }
    Ok(())
}
