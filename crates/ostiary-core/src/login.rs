//! Login by username, phone number or e-mail address, with a password.

use crate::{
    Ostiary,
    audit::{Actor, AuditAction, AuditEvent, Client},
    hasher::{HasherError, Standing, Verdict},
    id::UserId,
    password::{Password, PasswordHash},
    policy::PasswordPolicy,
    session::TokenPair,
    store::{About, OpenOutcome, Opening, StoreError},
};

/// A login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No active user has this login and this password. Which of the two is wrong is not said, and
    /// takes the same time.
    #[error("the login or the password is wrong")]
    InvalidCredentials,
    /// The password could not be compared.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A login is tried again when the user's hash has changed since it was compared; this often, and then something else
/// is wrong.
const TRIES: u32 = 3;

impl Ostiary {
    /// Opens a session for the user who is found by `login` and knows `password`. A weak hash of it
    /// is replaced on the way.
    ///
    /// # Errors
    /// If there is no such user, or the lane or the store cannot serve.
    pub async fn login(&self, login: &str, password: &str, client: &Client) -> Result<TokenPair, LoginError> {
        // Nobody has such a password: it is no guess, and not worth a hash or a write.
        if password.chars().count() > PasswordPolicy::MAX_CHARS {
            return Err(LoginError::InvalidCredentials);
        }
        let password = Password::new(password);
        for _ in 0..TRIES {
            let (user_id, seen) = self.check_password(login, &password, client).await?;
            let now = self.clock.now();
            let key = self.keys.signer(&*self.store, now).await?;
            let (session, token) = self.new_session(client, now);
            let opened = session.of(user_id);
            let opening = Opening { user_id, session, seen, most: self.policy.max_sessions };
            let event = AuditEvent::new(AuditAction::UserLoggedIn, Actor::User, client, now);
            match self.store.open_session(opening, event).await? {
                OpenOutcome::Opened => return Ok(self.token_pair(&opened, &token, &key, now).await),
                // Another login may have replaced a weak hash, or the password was changed: looked at anew.
                OpenOutcome::NoSuchUser => {}
            }
        }
        tracing::warn!("the hash of a password was another one each time that a session was to be opened");
        Err(self.refuse_login(None, client).await?)
    }

    /// The user who is found by `login` and knows `password`, and the hash that shows it.
    async fn check_password(
        &self,
        login: &str,
        password: &Password,
        client: &Client,
    ) -> Result<(UserId, Option<PasswordHash>), LoginError> {
        let credentials = match self.contacts.look_up(login) {
            Some(contact) => self.store.find_credentials(&contact).await?,
            None => None,
        };
        let stored = credentials.as_ref().and_then(|credentials| credentials.password_hash.clone());
        let verdict = self.hasher.verify(password.clone(), stored.clone(), Standing::Unknown).await?;
        let user_id = credentials.map(|credentials| credentials.user_id);
        match (verdict, user_id, stored) {
            (Verdict::Right, Some(user_id), stored) => Ok((user_id, stored)),
            (Verdict::RightButWeak, Some(user_id), Some(old)) => {
                Ok((user_id, Some(self.replace_hash(user_id, old, password).await)))
            }
            (verdict, user_id, _) => {
                if let (Verdict::Unusable, Some(user_id)) = (verdict, user_id) {
                    tracing::error!(%user_id, "a stored password hash cannot be used; its user cannot log in by password");
                }
                Err(self.refuse_login(user_id, client).await?)
            }
        }
    }

    /// Puts a new hash of `password` in the place of a weak one, and says which of the two is there now. The login
    /// stands without it; the next one tries again.
    async fn replace_hash(&self, user_id: UserId, old: PasswordHash, password: &Password) -> PasswordHash {
        // A full lane has no time for it.
        let Ok(new) = self.hasher.hash(password.clone(), Standing::Unknown).await else { return old };
        match self.store.replace_password_hash(user_id, &old, &new).await {
            Ok(true) => return new,
            Ok(false) | Err(StoreError::FunctionMissing(_)) => {}
            Err(error) => {
                tracing::warn!(error = error.with_causes(), "a weak password hash was not replaced");
            }
        }
        old
    }

    /// Records a failed login, of a known or an unknown user in the same way and time. What was typed is not
    /// recorded: it may be a password.
    async fn refuse_login(&self, user_id: Option<UserId>, client: &Client) -> Result<LoginError, StoreError> {
        let event = AuditEvent::new(AuditAction::UserLoginFailed, Actor::Anyone, client, self.clock.now());
        self.store.record(event, About { user_id, session_id: None }).await?;
        Ok(LoginError::InvalidCredentials)
    }
}
