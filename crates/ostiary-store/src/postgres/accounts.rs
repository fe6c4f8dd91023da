//! Accounts, through the functions that reach the directory, whoever made them.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    audit::AuditEvent,
    contact::{Contact, ContactKind},
    id::UserId,
    password::PasswordHash,
    store::{Accounts, Credentials, NewAccount, NewSession, RegisterOutcome, StoreError},
};
use serde_json::{Map, Value, json};
use tokio_postgres::{
    error::{DbError, SqlState},
    types::{Json, Type},
};

use super::{
    PostgresStore,
    columns::{EventColumns, SessionColumns},
    database::Parameter,
    directory::{CREATE_USER, REPLACE_PASSWORD_HASH},
};

#[async_trait]
impl Accounts for PostgresStore {
    async fn register(
        &self,
        account: NewAccount,
        session: NewSession,
        event: AuditEvent,
    ) -> Result<RegisterOutcome, StoreError> {
        let sql = "
            with account as (
                select made.id::text::uuid as id from accounts.create_user_with_relations($1) as made
            ), opened as (
                insert into auth.sessions (
                    id, user_id, secret_hash, created_at, refreshed_at, expires_at, address, user_agent, methods
                )
                values ($2, (select account.id from account), $3, $4, $4, $5, $6, $7, $8)
                returning id, user_id
            ), recorded as (
                insert into auth.audit_events (id, at, action, user_id, session_id, address, user_agent)
                select $9, $10, $11, opened.user_id, opened.id, $12, $13 from opened
            )
            select user_id from opened";
        self.directory.require(&CREATE_USER)?;
        let payload = Json(self.payload(&account));
        let (session, event) = (SessionColumns::of(&session), EventColumns::of(&event));
        let own: [Parameter<'_>; 1] = [(&payload, Type::JSONB)];
        let parameters = [&own[..], &session.parameters(), &event.parameters()].concat();
        let made = self.database.try_write(sql, &parameters).await;
        match made {
            // A directory that made no account would leave the session without a user, and the statement fails.
            Ok(rows) => Ok(RegisterOutcome::Registered(UserId::from_uuid(rows[0].get(0)))),
            Err(fault) => match fault.database_error().and_then(|error| self.refusal(error)) {
                Some(outcome) => Ok(outcome),
                None => Err(fault.into_store_error()),
            },
        }
    }

    async fn find_credentials(&self, contact: &Contact) -> Result<Option<Credentials>, StoreError> {
        let sql = "
            with as_typed as (
                select found.user_id::text::uuid as user_id, found.password_hash::text as password_hash
                from accounts.get_active_user_contact_by_value($1) as found
            )
            select user_id, password_hash from as_typed
            union all
            select found.user_id::text::uuid, found.password_hash::text
            from accounts.get_active_user_contact_by_value($2) as found
            where $1::text <> $2::text and not exists (select from as_typed)
            limit 1";
        let (first, second) = (self.spelling(contact), contact.canonical().value());
        // Whoever made the function decides on the type of its argument: text, varchar, citext.
        let parameters: [Parameter<'_>; 2] = [(&first, Type::UNKNOWN), (&second, Type::UNKNOWN)];
        let rows = if self.directory.is_foreign() {
            // It may take its time, and do more than read.
            self.database.write(sql, &parameters).await?
        } else {
            self.database.read(sql, &parameters).await?
        };
        Ok(rows.first().map(|row| Credentials {
            user_id: UserId::from_uuid(row.get(0)),
            password_hash: row.get::<_, Option<String>>(1).map(PasswordHash::from_stored),
        }))
    }

    async fn replace_password_hash(
        &self,
        user_id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.directory.require(&REPLACE_PASSWORD_HASH)?;
        let sql = "select accounts.replace_password_hash($1, $2, $3)";
        let rows = self
            .database
            .write(
                sql,
                &[(&user_id.as_uuid(), Type::UUID), (&old.as_str(), Type::TEXT), (&new.as_str(), Type::TEXT)],
            )
            .await?;
        Ok(rows.first().is_some_and(|row| row.get::<_, Option<bool>>(0) == Some(true)))
    }

    async fn ensure_groups(&self, names: &[String], now: Timestamp) -> Result<(), StoreError> {
        if self.directory.is_foreign() {
            return Ok(());
        }
        let sql = "insert into accounts.groups (name, created_at)
                   select wanted.name, $2 from pg_catalog.unnest($1) as wanted (name)
                   where not exists (select from accounts.groups where groups.name = wanted.name)
                   on conflict do nothing";
        self.database.write(sql, &[(&names, Type::TEXT_ARRAY), (&now, Type::TIMESTAMPTZ)]).await?;
        Ok(())
    }
}

impl PostgresStore {
    /// How a contact is looked up first, and kept: canonical, but a username in a foreign directory as it was
    /// typed.
    fn spelling<'a>(&self, contact: &'a Contact) -> &'a str {
        let is_username = contact.canonical().kind() == ContactKind::SecondLogin;
        if is_username && self.directory.is_foreign() { contact.typed() } else { contact.canonical().value() }
    }

    /// The argument of `accounts.create_user_with_relations`: to a foreign one exactly what the replaced
    /// service gave, to our own also what it need not find out by itself.
    fn payload(&self, account: &NewAccount) -> Map<String, Value> {
        let members = |spelling: &dyn Fn(&Contact) -> String| -> Map<String, Value> {
            [ContactKind::SecondLogin, ContactKind::Phone, ContactKind::Email]
                .into_iter()
                .map(|kind| {
                    let contact = account.contacts.iter().find(|contact| contact.canonical().kind() == kind);
                    (kind.as_str().to_owned(), contact.map(spelling).into())
                })
                .collect()
        };
        let mut payload = members(&|contact| self.spelling(contact).to_owned());
        payload.insert("profile".to_owned(), account.profile.clone().into());
        payload.insert("group_names".to_owned(), account.groups.clone().into());
        payload.insert("password_hash".to_owned(), account.password_hash.as_str().into());
        if !self.directory.is_foreign() {
            payload.insert("id".to_owned(), account.id.to_string().into());
            payload.insert("created_at".to_owned(), account.created_at.to_string().into());
            payload.insert("typed".to_owned(), json!(members(&|contact| contact.typed().to_owned())));
        }
        payload
    }

    /// Why no account was made, if it is not the database that failed.
    fn refusal(&self, error: &DbError) -> Option<RegisterOutcome> {
        if self.directory.is_foreign() { foreign_refusal(error) } else { own_refusal(error) }
    }
}

/// What our own `create_user_with_relations` says by the fields of its error.
fn own_refusal(error: &DbError) -> Option<RegisterOutcome> {
    if error.schema() != Some("accounts") {
        return None;
    }
    match (error.code(), error.table()?) {
        (code, "contacts") if *code == SqlState::UNIQUE_VIOLATION => {
            ContactKind::from_name(error.column()?).map(RegisterOutcome::ContactTaken)
        }
        (code, "groups") if *code == SqlState::FOREIGN_KEY_VIOLATION => {
            error.detail().map(|name| RegisterOutcome::GroupNotFound(name.to_owned()))
        }
        _ => None,
    }
}

/// The replaced service passed on the first line of what somebody else's function raised, if it had `already
/// exists` or `not found` in it. (Class 42 speaks of SQL itself: `relation ... already exists`.)
fn foreign_refusal(error: &DbError) -> Option<RegisterOutcome> {
    let first_line = error.message().lines().next()?;
    let is_for_client = first_line.contains("already exists") || first_line.contains("not found");
    let is_about_sql = error.code().code().starts_with("42");
    (is_for_client && !is_about_sql).then(|| RegisterOutcome::Refused(first_line.to_owned()))
}
