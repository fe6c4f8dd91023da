//! Login by username, phone number or e-mail address, with a password.

use crate::{
    Ostiary,
    audit::{Actor, AuditAction, AuditEvent, Client},
    contact::Contact,
    guess::{Guess, NotAdmitted},
    hasher::{HasherError, Standing, Verdict},
    id::UserId,
    known_device::DeviceToken,
    password::{Password, PasswordHash},
    policy::PasswordPolicy,
    session::TokenPair,
    store::{About, Credentials, OpenOutcome, Opening, StoreError},
};

/// A login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No active user has this login and this password, or the password is shut here. Which of them is not said, and
    /// takes the same time.
    #[error("the login or the password is wrong")]
    InvalidCredentials,
    /// It was not compared, because of the ones before.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The password could not be compared.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a client gets that has logged in or registered.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The tokens of the session.
    pub tokens: TokenPair,
    /// By which the device is known at the next login.
    pub device_token: DeviceToken,
}

/// A login is tried again when the user's hash has changed since it was compared; this often, and then something else
/// is wrong.
const TRIES: u32 = 3;

/// With so many hashes waiting, others log in soon: the lane has work for as long as a store waits for them.
const FOLLOWING: usize = 4;

impl Ostiary {
    /// Opens a session for the user who is found by `login` and knows `password`, on a device that may be known by
    /// the `device_token` of an earlier login. A weak hash of the password is replaced on the way.
    ///
    /// # Errors
    /// If there is no such user, there were too many wrong guesses, or the lane or the store cannot serve.
    pub async fn login(
        &self,
        login: &str,
        password: &str,
        device_token: Option<&str>,
        client: &Client,
    ) -> Result<LoggedIn, LoginError> {
        // Nobody has such a password: it is no guess, and not worth a hash or a write.
        if password.chars().count() > PasswordPolicy::MAX_CHARS {
            return Err(LoginError::InvalidCredentials);
        }
        let lifetime = self.policy.known_device_lifetime;
        let device = device_token.and_then(|text| self.device_tokens.read(text, lifetime, self.clock.now()));
        if device.is_none() {
            // A flood is refused before the store is asked.
            self.hasher.admit(Standing::Unknown)?;
        }
        let contact = self.contacts.look_up(login);
        let credentials = self.credentials_for(contact.as_ref()).await?;
        let device = device.as_ref();
        let guess = self.admit_login((login, contact.as_ref()), credentials.as_ref(), device, client).await?;
        let opened = self.open_by_password(&guess, contact.as_ref(), credentials, password, client).await;
        match opened {
            Ok((user_id, tokens)) => {
                self.guessed_right(&guess, user_id, client).await;
                let device_token = self.device_tokens.issue(user_id, device, self.clock.now());
                Ok(LoggedIn { tokens, device_token })
            }
            Err(Refused::Wrong(user_id)) => {
                self.guessed_wrong(&guess, user_id).await;
                Err(self.refuse_login(user_id, client).await?)
            }
            Err(Refused::Failed(error)) => {
                self.guess_withdrawn(&guess).await;
                Err(error)
            }
        }
    }

    /// Opens a session for the owner of `credentials`, if they know `password`.
    async fn open_by_password(
        &self,
        guess: &Guess,
        contact: Option<&Contact>,
        mut credentials: Option<Credentials>,
        password: &str,
        client: &Client,
    ) -> Result<(UserId, TokenPair), Refused> {
        let password = Password::new(password);
        for _ in 0..TRIES {
            let (user_id, seen) = self.check_password(guess, credentials, &password).await?;
            let now = self.clock.now();
            let key = self.keys.signer(&*self.store, now).await?;
            let (session, token) = self.new_session(client, now);
            let opened = session.of(user_id);
            let others_follow = self.hasher.waiting() >= FOLLOWING;
            let opening = Opening { user_id, session, seen, most: self.policy.max_sessions, others_follow };
            let event = AuditEvent::new(AuditAction::UserLoggedIn, Actor::User, client, now);
            // It may end another session of the user.
            match self.recent.after(self.store.open_session(opening, event)).await? {
                OpenOutcome::Opened => {
                    return Ok((user_id, self.token_pair(&opened, &token, &key, now).await));
                }
                // Another login may have replaced a weak hash, or the password was changed: looked at anew.
                OpenOutcome::NoSuchUser => credentials = self.credentials_for(contact).await?,
            }
        }
        tracing::warn!("the hash of a password was another one each time that a session was to be opened");
        Err(Refused::Wrong(None))
    }

    async fn credentials_for(&self, contact: Option<&Contact>) -> Result<Option<Credentials>, StoreError> {
        match contact {
            Some(contact) => self.store.find_credentials(contact).await,
            None => Ok(None),
        }
    }

    /// The user whose `credentials` they are, if `password` is theirs, and the hash that shows it.
    async fn check_password(
        &self,
        guess: &Guess,
        credentials: Option<Credentials>,
        password: &Password,
    ) -> Result<(UserId, Option<PasswordHash>), Refused> {
        let stored = credentials.as_ref().and_then(|credentials| credentials.password_hash.clone());
        let verdict = self.hasher.verify(password.clone(), stored.clone(), guess.standing).await?;
        let user_id = credentials.map(|credentials| credentials.user_id);
        match (verdict, user_id, stored) {
            (Verdict::Right, Some(user_id), stored) if !guess.is_shut_out => Ok((user_id, stored)),
            (Verdict::RightButWeak, Some(user_id), Some(weak)) if !guess.is_shut_out => {
                let stored = self.strengthen(user_id, weak, password, guess.standing).await;
                Ok((user_id, Some(stored)))
            }
            (verdict, user_id, _) => {
                if let (Verdict::Unusable, Some(user_id)) = (verdict, user_id) {
                    tracing::error!(%user_id, "a stored password hash cannot be used; its user cannot log in by password");
                }
                Err(Refused::Wrong(user_id))
            }
        }
    }

    /// Replaces a weak hash, and says which is there now. The login stands without it; the next one tries again.
    async fn strengthen(
        &self,
        user_id: UserId,
        weak: PasswordHash,
        password: &Password,
        standing: Standing,
    ) -> PasswordHash {
        let Ok(new) = self.hasher.hash(password.clone(), standing).await else { return weak };
        match self.store.replace_password_hash(user_id, &weak, &new).await {
            Ok(true) => return new,
            Ok(false) | Err(StoreError::FunctionMissing(_)) => {}
            Err(error) => {
                tracing::warn!(error = error.with_causes(), "a weak password hash was not replaced");
            }
        }
        weak
    }

    /// Records a failed login, of a known or an unknown user in the same way and time. What was typed is not
    /// recorded: it may be a password.
    async fn refuse_login(&self, user_id: Option<UserId>, client: &Client) -> Result<LoginError, StoreError> {
        let event = AuditEvent::new(AuditAction::UserLoginFailed, Actor::Anyone, client, self.clock.now());
        self.store.record(event, About { user_id, session_id: None }).await?;
        Ok(LoginError::InvalidCredentials)
    }
}

/// Why no session was opened.
enum Refused {
    /// The guess was wrong, at the password of this user, or of nobody.
    Wrong(Option<UserId>),
    /// The guess came to nothing.
    Failed(LoginError),
}

impl<E: Into<LoginError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
