//! Login by username, phone number or e-mail address, with a password.

use crate::{
    Ostiary,
    audit::{AuditAction, AuditEvent, Client},
    hasher::{HasherError, Verdict},
    password::Password,
    policy::PasswordPolicy,
    session::TokenPair,
    store::{OpenOutcome, StoreError},
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

impl Ostiary {
    /// Opens a session for the user who is found by `login` and knows `password`. A weak hash of it
    /// is replaced on the way.
    ///
    /// # Errors
    /// If there is no such user, or the lane or the store cannot serve.
    pub async fn login(&self, login: &str, password: &str, client: &Client) -> Result<TokenPair, LoginError> {
        if password.chars().count() > PasswordPolicy::MAX_CHARS {
            return Err(LoginError::InvalidCredentials);
        }
        let password = Password::new(password);
        let credentials = match self.contacts.look_up(login) {
            Some(contact) => self.store.find_credentials(&contact).await?,
            None => None,
        };
        let stored = credentials.as_ref().and_then(|credentials| credentials.password_hash.clone());
        let verdict = self.hasher.verify(password, stored).await?;
        let Some(credentials) = credentials else { return Err(LoginError::InvalidCredentials) };
        match verdict {
            Verdict::Right | Verdict::RightAndReplace(_) => {}
            Verdict::Wrong => return Err(LoginError::InvalidCredentials),
            Verdict::Unusable => {
                let user_id = credentials.user_id;
                tracing::error!(%user_id, "a stored password hash cannot be used; its user cannot log in by password");
                return Err(LoginError::InvalidCredentials);
            }
        }

        if let (Verdict::RightAndReplace(new), Some(old)) = (&verdict, &credentials.password_hash) {
            // The login stands without it; the next one tries again.
            match self.store.replace_password_hash(credentials.user_id, old, new).await {
                Ok(_) | Err(StoreError::FunctionMissing(_)) => {}
                Err(error) => {
                    tracing::warn!(error = error.with_causes(), "a weak password hash was not replaced");
                }
            }
        }

        let now = self.clock.now();
        let (session, token) = self.new_session(client, now);
        let event = AuditEvent::new(AuditAction::UserLoggedIn, client, now);
        match self.store.open_session(credentials.user_id, session, event).await? {
            OpenOutcome::Opened => Ok(self.token_pair(credentials.user_id, &token, now)),
            OpenOutcome::NoSuchUser => Err(LoginError::InvalidCredentials),
        }
    }
}
