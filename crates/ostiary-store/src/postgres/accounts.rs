//! Accounts, through the functions that reach the directory, whoever made them.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    audit::AuditEvent,
    contact::{Contact, ContactKind},
    id::{SessionId, UserId},
    password::PasswordHash,
    store::{
        Account, Accounts, Change, Credentials, LiveAt, LiveSession, NewAccount, NewSession, PasswordChange,
        PasswordLock, RegisterOutcome, Revocation, SessionEvent, Sessions, StoreError,
    },
};
use serde_json::{Map, Value, json};
use tokio_postgres::{
    Row,
    error::{DbError, SqlState},
    types::{Json, Type},
};

use super::{
    PostgresStore,
    columns::{EventColumns, SessionColumns, is_true},
    database::Parameter,
    directory::{
        CREATE_USER, DELETE_ACCOUNT, GET_ACCOUNT, GET_PASSWORD_HASH, REPLACE_PASSWORD_HASH, REPLACE_PROFILE,
    },
};

mod answer;
pub(super) mod by_session;

const REPLACE_PROFILE_OF_OWN_DIRECTORY: &str = "
    with changed as materialized (
        select accounts.replace_profile($1, $2, $3, $6) as is_made
    ), recorded as (
        insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
        select $5, $6, $7, $8, $9, $10, $1, $4 from changed where is_made
    )
    select from changed where is_made";

/// It goes by its own time.
const REPLACE_PROFILE_OF_FOREIGN_DIRECTORY: &str = "
    with changed as materialized (
        select accounts.replace_profile($1, $2, $3) as is_made
    ), recorded as (
        insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
        select $5, $6, $7, $8, $9, $10, $1, $4 from changed where is_made
    )
    select from changed where is_made";

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
                insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
                select $9, $10, $11, $12, $13, $14, opened.user_id, opened.id from opened
            )
            select user_id from opened";
        self.directory.require(&CREATE_USER)?;
        let payload = Json(self.payload(&account));
        let (session, event) = (SessionColumns::of(&session), EventColumns::of(&event));
        let own: [Parameter<'_>; 1] = [(&payload, Type::JSONB)];
        let parameters = [&own[..], &session.parameters(), &event.parameters()].concat();
        let is_answer = |error: &DbError| self.refusal(error).is_some();
        let made = self.database.try_write("register", sql, &parameters, is_answer).await;
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
            select found.password_hash, lock.locked_at, lock.unlocked_at, found.user_id
            from (
                select user_id, password_hash from as_typed
                union all
                select found.user_id::text::uuid, found.password_hash::text
                from accounts.get_active_user_contact_by_value($2) as found
                where $1::text <> $2::text and not exists (select from as_typed)
                limit 1
            ) as found
            left join auth.password_locks as lock on lock.user_id = found.user_id";
        let (first, second) = (self.spelling(contact), contact.canonical().value());
        // Whoever made the function decides on the type of its argument: text, varchar, citext.
        let parameters: [Parameter<'_>; 2] = [(&first, Type::UNKNOWN), (&second, Type::UNKNOWN)];
        let rows = self.look_up("find_credentials", sql, &parameters).await?;
        Ok(rows.first().map(|row| credentials_in(row, UserId::from_uuid(row.get(3)))))
    }

    async fn credentials_of(&self, user_id: UserId) -> Result<Option<Credentials>, StoreError> {
        // It cannot tell a user who is gone from one without a password, and need not: neither has the right one.
        self.directory.require(&GET_PASSWORD_HASH)?;
        let sql = "
            select accounts.get_password_hash($1)::text, lock.locked_at, lock.unlocked_at
            from (select) as nothing left join auth.password_locks as lock on lock.user_id = $1";
        let rows = self.look_up("credentials_of", sql, &[(&user_id.as_uuid(), Type::UUID)]).await?;
        Ok(rows.first().map(|row| credentials_in(row, user_id)))
    }

    async fn find_account(&self, user_id: UserId) -> Result<Option<Account>, StoreError> {
        self.directory.require(&GET_ACCOUNT)?;
        let sql = "select accounts.get_account($1)::jsonb";
        let rows = self.look_up("find_account", sql, &[(&user_id.as_uuid(), Type::UUID)]).await?;
        let Some(Json(answer)) = rows.first().and_then(|row| row.get::<_, Option<Json<Value>>>(0)) else {
            return Ok(None);
        };
        answer::account(user_id, answer).map(Some).map_err(|error| StoreError::Failed(Box::new(error)))
    }

    async fn find_session_account(
        &self,
        session_id: SessionId,
        at: LiveAt,
    ) -> Result<Option<(LiveSession, Option<Account>)>, StoreError> {
        if self.directory.is_foreign() {
            let Some(session) = self.find_session(session_id, at).await? else { return Ok(None) };
            let account = self.find_account(session.user_id).await?;
            return Ok(Some((session, account)));
        }
        let found = self.session_accounts.ask(session_id.as_uuid()).await?;
        Ok(found.and_then(|(session, account)| Some((session.live_at(at)?, Some(account)))))
    }

    async fn replace_profile(
        &self,
        user_id: UserId,
        seen: Option<Map<String, Value>>,
        new: Option<Map<String, Value>>,
        event: SessionEvent,
    ) -> Result<Change, StoreError> {
        self.directory.require(&REPLACE_PROFILE)?;
        let sql = if self.directory.is_foreign() {
            REPLACE_PROFILE_OF_FOREIGN_DIRECTORY
        } else {
            REPLACE_PROFILE_OF_OWN_DIRECTORY
        };
        let (user_id, session_id) = (user_id.as_uuid(), event.session_id.as_uuid());
        let (seen, new, event) = (seen.map(Json), new.map(Json), EventColumns::of(&event.event));
        let own: [Parameter<'_>; 4] =
            [(&user_id, Type::UUID), (&seen, Type::JSONB), (&new, Type::JSONB), (&session_id, Type::UUID)];
        let made =
            self.database.write("replace_profile", sql, &[&own[..], &event.parameters()].concat()).await?;
        Ok(if made.is_empty() { Change::Stale } else { Change::Made })
    }

    async fn change_password(
        &self,
        change: PasswordChange,
        event: SessionEvent,
    ) -> Result<Change, StoreError> {
        self.directory.require(&REPLACE_PASSWORD_HASH)?;
        let sql = "select auth.change_password($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let (user_id, session_id) = (change.user_id.as_uuid(), event.session_id.as_uuid());
        let event = EventColumns::of(&event.event);
        let own: [Parameter<'_>; 5] = [
            (&user_id, Type::UUID),
            (&change.seen.as_str(), Type::TEXT),
            (&change.new.as_str(), Type::TEXT),
            (&session_id, Type::UUID),
            (&Revocation::PasswordChanged.as_str(), Type::TEXT),
        ];
        let is_made = is_true(
            &self.database.write("change_password", sql, &[&own[..], &event.parameters()].concat()).await?,
        );
        Ok(if is_made { Change::Made } else { Change::Stale })
    }

    async fn delete_account(&self, user_id: UserId, event: SessionEvent) -> Result<bool, StoreError> {
        self.directory.require(&DELETE_ACCOUNT)?;
        let sql = "select auth.delete_account($1, $2, $3, $4, $5, $6, $7, $8)";
        let (user_id, session_id) = (user_id.as_uuid(), event.session_id.as_uuid());
        let event = EventColumns::of(&event.event);
        let own: [Parameter<'_>; 2] = [(&user_id, Type::UUID), (&session_id, Type::UUID)];
        Ok(is_true(
            &self.database.write("delete_account", sql, &[&own[..], &event.parameters()].concat()).await?,
        ))
    }

    async fn replace_password_hash(
        &self,
        user_id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.directory.require(&REPLACE_PASSWORD_HASH)?;
        let sql = "select accounts.replace_password_hash($1, $2, $3)";
        let parameters: [Parameter<'_>; 3] =
            [(&user_id.as_uuid(), Type::UUID), (&old.as_str(), Type::TEXT), (&new.as_str(), Type::TEXT)];
        Ok(is_true(&self.database.write("replace_password_hash", sql, &parameters).await?))
    }

    async fn lock_password(&self, user_id: UserId, event: AuditEvent) -> Result<bool, StoreError> {
        let sql = "
            with locked as (
                insert into auth.password_locks (user_id, locked_at) values ($7, $2)
                on conflict (user_id) do update set locked_at = excluded.locked_at
                where password_locks.locked_at is null
                returning user_id
            )
            insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id)
            select $1, $2, $3, $4, $5, $6, locked.user_id from locked
            returning true";
        let (user_id, event) = (user_id.as_uuid(), EventColumns::of(&event));
        let own: [Parameter<'_>; 1] = [(&user_id, Type::UUID)];
        let parameters = [&event.parameters()[..], &own].concat();
        Ok(!self.database.write("lock_password", sql, &parameters).await?.is_empty())
    }

    async fn unlock_password(&self, user_id: UserId, event: AuditEvent) -> Result<bool, StoreError> {
        let sql = "
            with before as (
                select from auth.password_locks where user_id = $7 and locked_at is not null
            ), unlocked as (
                insert into auth.password_locks (user_id, unlocked_at) values ($7, $2)
                on conflict (user_id) do update set locked_at = null, unlocked_at = excluded.unlocked_at
            ), recorded as (
                insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id)
                values ($1, $2, $3, $4, $5, $6, $7)
            )
            select exists (select from before)";
        let (user_id, event) = (user_id.as_uuid(), EventColumns::of(&event));
        let own: [Parameter<'_>; 1] = [(&user_id, Type::UUID)];
        let parameters = [&event.parameters()[..], &own].concat();
        Ok(is_true(&self.database.write("unlock_password", sql, &parameters).await?))
    }

    async fn ensure_groups(&self, names: &[String], now: Timestamp) -> Result<(), StoreError> {
        if self.directory.is_foreign() {
            return Ok(());
        }
        let sql = "insert into accounts.groups (name, created_at)
                   select wanted.name, $2 from pg_catalog.unnest($1) as wanted (name)
                   where not exists (select from accounts.groups where groups.name = wanted.name)
                   on conflict do nothing";
        self.database
            .write("ensure_groups", sql, &[(&names, Type::TEXT_ARRAY), (&now, Type::TIMESTAMPTZ)])
            .await?;
        Ok(())
    }
}

/// The password hash and its lock in the first columns of a row.
fn credentials_in(row: &Row, user_id: UserId) -> Credentials {
    Credentials {
        user_id,
        password_hash: row.get::<_, Option<String>>(0).map(PasswordHash::from_stored),
        lock: PasswordLock { locked_at: row.get(1), unlocked_at: row.get(2) },
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
