//! Who made the directory of accounts, and what can be done with it.
//!
//! The directory is reached through functions. Where somebody else made them, each gives a capability, and
//! Ostiary makes do with those that are there; see `docs/adopting.md`.

use ostiary_core::store::StoreError;
use tokio_postgres::{
    GenericClient,
    error::SqlState,
    types::{Json, ToSql, Type},
};
use uuid::Uuid;

use super::{open_error::OpenError, survey::Survey};

/// A function by which a directory is reached.
#[derive(Debug, PartialEq, Eq)]
pub struct DirectoryFunction {
    /// Its name and the types of its arguments: `accounts.is_active(uuid)`.
    pub signature: &'static str,
    /// What Ostiary can do with it.
    pub gives: &'static str,
    /// Statements that plan a call and do not make it (but for a function that calls itself immutable); one of them
    /// must be possible. An id may be a uuid or a
    /// text: `coalesce` takes only what is of one type.
    probes: &'static [&'static str],
    arguments: &'static [Argument],
}

/// An argument of a call that is planned.
#[derive(Debug, PartialEq, Eq)]
enum Argument {
    /// Of the type that the function says: text, varchar, citext.
    Login,
    Text,
    Uuid,
    Jsonb,
}

/// Finds the user of a login. Without it a database has no directory.
pub(super) const GET_CONTACT: DirectoryFunction = DirectoryFunction {
    signature: "accounts.get_active_user_contact_by_value(text)",
    gives: "login",
    probes: &[
        "explain select coalesce(found.user_id, null::uuid), found.password_hash::text
         from accounts.get_active_user_contact_by_value($1) as found",
        "explain select coalesce(found.user_id, null::text), found.password_hash::text
         from accounts.get_active_user_contact_by_value($1) as found",
    ],
    arguments: &[Argument::Login],
};

/// Makes an account.
pub(super) const CREATE_USER: DirectoryFunction = DirectoryFunction {
    signature: "accounts.create_user_with_relations(jsonb)",
    gives: "registration",
    probes: &[
        "explain select coalesce(made.id, null::uuid) from accounts.create_user_with_relations($1) as made",
        "explain select coalesce(made.id, null::text) from accounts.create_user_with_relations($1) as made",
    ],
    arguments: &[Argument::Jsonb],
};

/// Says whether a user may go on.
pub(super) const IS_ACTIVE: DirectoryFunction = DirectoryFunction {
    signature: "accounts.is_active(uuid)",
    gives: "a refresh is refused once its user is disabled",
    probes: &["explain select coalesce(accounts.is_active($1), null::boolean)"],
    arguments: &[Argument::Uuid],
};

/// Shows a user's account.
pub(super) const GET_ACCOUNT: DirectoryFunction = DirectoryFunction {
    signature: "accounts.get_account(uuid)",
    gives: "users see their account, and access tokens can name its groups",
    probes: &["explain select coalesce(accounts.get_account($1), null::jsonb)"],
    arguments: &[Argument::Uuid],
};

/// Changes a profile.
pub(super) const REPLACE_PROFILE: DirectoryFunction = DirectoryFunction {
    signature: "accounts.replace_profile(uuid, jsonb, jsonb)",
    gives: "users change their profile",
    probes: &["explain select coalesce(accounts.replace_profile($1, $2, $3), null::boolean)"],
    arguments: &[Argument::Uuid, Argument::Jsonb, Argument::Jsonb],
};

/// Finds what the password of a user who is logged in is checked against.
pub(super) const GET_PASSWORD_HASH: DirectoryFunction = DirectoryFunction {
    signature: "accounts.get_password_hash(uuid)",
    gives: "the current password is asked for before it is changed, or the account deleted",
    probes: &["explain select coalesce(accounts.get_password_hash($1), null::text)"],
    arguments: &[Argument::Uuid],
};

/// Changes a password, and replaces a weak hash.
pub(super) const REPLACE_PASSWORD_HASH: DirectoryFunction = DirectoryFunction {
    signature: "accounts.replace_password_hash(uuid, text, text)",
    gives: "users change their password, and a weak hash of it is replaced at login",
    probes: &["explain select coalesce(accounts.replace_password_hash($1, $2, $3), null::boolean)"],
    arguments: &[Argument::Uuid, Argument::Text, Argument::Text],
};

/// Deletes an account.
pub(super) const DELETE_ACCOUNT: DirectoryFunction = DirectoryFunction {
    signature: "accounts.delete_account(uuid)",
    gives: "users delete their account",
    probes: &["explain select coalesce(accounts.delete_account($1), null::boolean)"],
    arguments: &[Argument::Uuid],
};

/// Spends a refresh token of the replaced service.
pub(super) const CONSUME_REFRESH_TOKEN: DirectoryFunction = DirectoryFunction {
    signature: "auth.consume_refresh_token(text)",
    gives: "refresh tokens of the replaced service are exchanged for sessions",
    probes: &[
        "explain select coalesce(auth.consume_refresh_token($1), null::uuid)",
        "explain select coalesce(auth.consume_refresh_token($1), null::text)",
    ],
    arguments: &[Argument::Text],
};

/// Makes void what the replaced service has issued to a user. Only functions of the database call it.
const REVOKE_REFRESH_TOKENS: DirectoryFunction = DirectoryFunction {
    signature: "auth.revoke_refresh_tokens(uuid)",
    gives: "refresh tokens of the replaced service end with all of their user's sessions",
    probes: &["explain select auth.revoke_refresh_tokens($1)"],
    arguments: &[Argument::Uuid],
};

/// All of them, the one that makes a directory first.
pub const DIRECTORY_FUNCTIONS: [&DirectoryFunction; 10] = [
    &GET_CONTACT,
    &CREATE_USER,
    &IS_ACTIVE,
    &GET_ACCOUNT,
    &REPLACE_PROFILE,
    &GET_PASSWORD_HASH,
    &REPLACE_PASSWORD_HASH,
    &DELETE_ACCOUNT,
    &CONSUME_REFRESH_TOKEN,
    &REVOKE_REFRESH_TOKENS,
];

/// The directory of accounts.
#[derive(Debug, Clone)]
pub(super) enum Directory {
    /// Ostiary made it.
    Own,
    /// Somebody else did, with these functions.
    Foreign(Vec<&'static DirectoryFunction>),
}

impl Directory {
    /// The directory that somebody else made: which functions it has, each of which can be called as Ostiary
    /// calls it.
    ///
    /// # Errors
    /// If one of them cannot.
    pub(super) async fn foreign(client: &impl GenericClient, survey: &Survey) -> Result<Self, OpenError> {
        let mut found = Vec::new();
        for function in DIRECTORY_FUNCTIONS {
            if survey.has(function.name()) {
                function.can_be_called(client).await?;
                found.push(function);
            }
        }
        Ok(Self::Foreign(found))
    }

    pub(super) const fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign(_))
    }

    pub(super) fn has(&self, function: &DirectoryFunction) -> bool {
        match self {
            Self::Own => true,
            Self::Foreign(found) => found.contains(&function),
        }
    }

    /// # Errors
    /// [`StoreError::FunctionMissing`], if the directory has no such function.
    pub(super) fn require(&self, function: &DirectoryFunction) -> Result<(), StoreError> {
        if self.has(function) { Ok(()) } else { Err(StoreError::FunctionMissing(function.signature)) }
    }
}

impl DirectoryFunction {
    /// Its name alone: `accounts.is_active`.
    pub(super) fn name(&self) -> &'static str {
        self.signature.split('(').next().unwrap_or_default()
    }

    async fn can_be_called(&self, client: &impl GenericClient) -> Result<(), OpenError> {
        let (nothing, nobody) = (Json(serde_json::Map::new()), Uuid::nil());
        let arguments: Vec<(&(dyn ToSql + Sync), Type)> = self
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Login => (&"" as &(dyn ToSql + Sync), Type::UNKNOWN),
                Argument::Text => (&"" as &(dyn ToSql + Sync), Type::TEXT),
                Argument::Uuid => (&nobody as &(dyn ToSql + Sync), Type::UUID),
                Argument::Jsonb => (&nothing as &(dyn ToSql + Sync), Type::JSONB),
            })
            .collect();
        let mut first_cause = None;
        for probe in self.probes {
            let Err(error) = client.query_typed(probe, &arguments).await else { return Ok(()) };
            match error.as_db_error() {
                // The right to call it is a matter of its own.
                Some(cause) if *cause.code() != SqlState::INSUFFICIENT_PRIVILEGE => {
                    first_cause.get_or_insert_with(|| cause.message().to_owned());
                }
                _ => return Err(OpenError::from(error).advised("Grant it as docs/adopting.md has it.")),
            }
        }
        Err(OpenError::Signature { signature: self.signature, cause: first_cause.unwrap_or_default() })
    }
}
