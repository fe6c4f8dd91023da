//! Accounts: registering one.

use serde_json::{Map, Value};

use crate::{
    Ostiary,
    audit::{Actor, AuditAction, AuditEvent, Client},
    contact::{Contact, ContactKind},
    hasher::{HasherError, Standing},
    id::UserId,
    login::LoggedIn,
    password::{Password, PasswordScheme},
    policy::PasswordPolicy,
    store::{NewAccount, RegisterOutcome, StoreError},
};

/// A password that this server's policy accepts for a new account.
#[derive(Debug, Clone)]
pub struct NewPassword(Password);

impl NewPassword {
    pub(crate) fn into_password(self) -> Password {
        self.0
    }
}

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordRefusal {
    /// It has fewer code points than this.
    TooShort(usize),
    /// It has more code points than this.
    TooLong(usize),
    /// It is too long for bcrypt, which would leave the rest out.
    TooLongForBcrypt,
    /// It has a NUL character, which ends a password for some verifiers.
    Nul,
    /// It is among the first that an attacker tries.
    TooCommon,
}

/// An account that somebody asks for.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The names by which its user will be found.
    pub contacts: Vec<Contact>,
    /// What the user says about themselves.
    pub profile: Option<Map<String, Value>>,
    /// The groups to join.
    pub groups: Vec<String>,
    /// The password.
    pub password: NewPassword,
}

/// A registration failed. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// A contact belongs to another account.
    #[error("the {} belongs to another account", .0.as_str())]
    ContactTaken(ContactKind),
    /// There is no such group, or it is not open to registration; which, is not said.
    #[error("no group of that name is open to registration")]
    GroupNotFound(String),
    /// A directory of accounts that Ostiary did not make refused, in these words.
    #[error("the directory of accounts refused: {0}")]
    Refused(String),
    /// The password could not be hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The words that an attacker who knows a user tries first: their contacts, as typed and as compared, and what
/// stands before an `@`.
pub fn words_about<'a>(contacts: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let words = contacts.flat_map(|(typed, value)| {
        [typed, value, value.split('@').next().unwrap_or_default()].map(str::to_lowercase)
    });
    words.filter(|word| word.chars().count() > 2).collect()
}

impl Ostiary {
    /// Holds `text` to the policy for new passwords. `about_user` are the words that an attacker who
    /// knows the user tries first; `standing` is whose password it is to be.
    ///
    /// # Errors
    /// If the lane is full; the refusal of the password is a value.
    pub async fn accept_password(
        &self,
        text: &str,
        about_user: Vec<String>,
        standing: Standing,
    ) -> Result<Result<NewPassword, PasswordRefusal>, HasherError> {
        let PasswordPolicy { min_chars, min_score } = self.policy.password;
        let length = text.chars().count();
        if length < min_chars {
            return Ok(Err(PasswordRefusal::TooShort(min_chars)));
        }
        if length > PasswordPolicy::MAX_CHARS {
            return Ok(Err(PasswordRefusal::TooLong(PasswordPolicy::MAX_CHARS)));
        }
        if text.contains('\0') {
            return Ok(Err(PasswordRefusal::Nul));
        }
        let password = Password::new(text);
        if self.hasher.scheme() == PasswordScheme::Bcrypt && password.is_too_long_for_bcrypt() {
            return Ok(Err(PasswordRefusal::TooLongForBcrypt));
        }
        if self.hasher.is_too_common(password.clone(), min_score, about_user, standing).await? {
            return Ok(Err(PasswordRefusal::TooCommon));
        }
        Ok(Ok(NewPassword(password)))
    }

    /// Makes an account and opens its first session: both, or neither.
    ///
    /// # Errors
    /// If a contact is taken, a group is not open, or the lane or the store cannot serve.
    pub async fn register(
        &self,
        registration: Registration,
        client: &Client,
    ) -> Result<LoggedIn, RegisterError> {
        let Registration { contacts, profile, mut groups, password } = registration;
        if let Some(closed) = groups.iter().find(|name| !self.policy.registration_groups.contains(name)) {
            return Err(RegisterError::GroupNotFound(closed.clone()));
        }
        groups.sort_unstable();
        groups.dedup();

        let password_hash = self.hasher.hash(password.into_password(), Standing::Unknown).await?;
        let now = self.clock.now();
        let key = self.keys.signer(&*self.store, now).await?;
        let id = UserId::new(now);
        let account = NewAccount { id, contacts, profile, groups, password_hash, created_at: now };
        let (session, token) = self.new_session(client, now);
        let opened = session.clone();
        let event = AuditEvent::new(AuditAction::UserRegistered, Actor::User, client, now);
        match self.store.register(account, session, event).await? {
            RegisterOutcome::Registered(user_id) => {
                let tokens = self.token_pair(&opened.of(user_id), &token, &key, now).await;
                Ok(LoggedIn { tokens, device_token: self.device_tokens.issue(user_id, None, now) })
            }
            RegisterOutcome::ContactTaken(kind) => Err(RegisterError::ContactTaken(kind)),
            RegisterOutcome::GroupNotFound(name) => Err(RegisterError::GroupNotFound(name)),
            RegisterOutcome::Refused(message) => Err(RegisterError::Refused(message)),
        }
    }
}
