//! Who asks: users with a password each, a device that the server knows, and a session that they refresh.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    client::{Client, NO_ANSWER, TIMEOUT},
    wire::{self, JSON},
};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/auth/refresh";

/// How many are registered at a time: enough that all cores hash.
const AT_A_TIME: usize = 8;

/// Users of a server.
#[derive(Debug)]
pub struct Users {
    client: Client,
    /// The number of the first of them.
    first: usize,
    /// The device token of each user, if the server gives them.
    devices: Vec<Option<String>>,
    /// The refresh tokens that no request has at the moment.
    refresh_tokens: Mutex<VecDeque<String>>,
    /// How many these are.
    free: Semaphore,
}

fn name(user: usize) -> String {
    format!("user{user:05}")
}

fn password(user: usize) -> String {
    format!("correct horse {user:05}")
}

fn registration(user: usize) -> Value {
    json!({
        "second_login": name(user), "phone": format!("+7999{user:07}"), "password": password(user),
        "group_names": ["customer"],
    })
}

/// Registers a new user of this number; gives the status.
pub async fn register(client: &Client, user: usize) -> u16 {
    client.post(REGISTER, &registration(user), None).await.status
}

/// Registers a new user of this number; gives their access token.
///
/// # Errors
/// If the registration is refused.
pub async fn access_token(client: &Client, user: usize) -> anyhow::Result<String> {
    let answer = client.post(REGISTER, &registration(user), None).await;
    Ok(answer.body["access_token"].as_str().context("a registration gives an access token")?.to_owned())
}

impl Users {
    /// Registers users of these numbers, and lets each log in once, from a device that is known from then on.
    ///
    /// # Errors
    /// If a registration or a login is refused.
    pub async fn register(client: Client, numbers: Range<usize>) -> anyhow::Result<Self> {
        let mut users = Self {
            client,
            first: numbers.start,
            devices: Vec::new(),
            refresh_tokens: Mutex::default(),
            free: Semaphore::new(0),
        };
        let registering = stream::iter(numbers).map(|user| users.register_one(user)).buffered(AT_A_TIME);
        users.devices = registering.try_collect().await?;
        Ok(users)
    }

    /// Registers a user, and gives the token of the device that they log in from.
    async fn register_one(&self, user: usize) -> anyhow::Result<Option<String>> {
        let answer = self.client.post(REGISTER, &registration(user), None).await;
        if answer.status != 200 {
            bail!("a registration was answered with {}: {}", answer.status, answer.body);
        }
        self.keep(&answer.body).context("a registration gives a refresh token")?;
        let login = json!({"login": name(user), "password": password(user)});
        let answer = self.client.post(LOGIN, &login, Some("request")).await;
        if answer.status != 200 {
            bail!("a login was answered with {}: {}", answer.status, answer.body);
        }
        self.keep(&answer.body).context("a login gives a refresh token")?;
        Ok(answer.body["device_token"].as_str().map(str::to_owned))
    }

    /// Whether the server gives device tokens.
    #[must_use]
    pub fn have_known_devices(&self) -> bool {
        self.devices.iter().all(Option::is_some)
    }

    /// Where their server listens.
    #[must_use]
    pub const fn server(&self) -> SocketAddr {
        self.client.address()
    }

    /// What each of them sends to log in, from the device that is known of them.
    #[must_use]
    pub fn logins(&self) -> Vec<Vec<u8>> {
        let request = |(index, device): (usize, &Option<String>)| {
            let user = self.first + index;
            let device =
                device.as_ref().map(|device| format!("ostiary-device: {device}\r\n")).unwrap_or_default();
            let login = json!({"login": name(user), "password": password(user)});
            wire::post(LOGIN, &format!("{JSON}{device}"), &login.to_string())
        };
        self.devices.iter().enumerate().map(request).collect()
    }

    /// Logs a user in from the device that is known of them; gives the status.
    pub async fn log_in(&self, number: usize) -> u16 {
        let index = number % self.devices.len();
        let user = self.first + index;
        let login = json!({"login": name(user), "password": password(user)});
        self.client.post(LOGIN, &login, self.devices[index].as_deref()).await.status
    }

    /// Refreshes the session that was refreshed the longest ago, and waits for one if all are being refreshed;
    /// gives the status. Its successor is kept; a token that was not answered is kept as it is, for a repeat is
    /// given the same one.
    pub async fn refresh(&self) -> u16 {
        let token = match tokio::time::timeout(TIMEOUT, self.free.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                self.refresh_tokens().pop_front().expect("there are as many as permits")
            }
            Ok(Err(_)) | Err(_) => return NO_ANSWER,
        };
        let answer = self.client.post(REFRESH, &json!({ "refresh_token": token }), None).await;
        if self.keep(&answer.body).is_none() && answer.status != 401 {
            self.put_back(token);
        }
        answer.status
    }

    fn keep(&self, body: &Value) -> Option<()> {
        self.put_back(body["refresh_token"].as_str()?.to_owned());
        Some(())
    }

    fn put_back(&self, token: String) {
        self.refresh_tokens().push_back(token);
        self.free.add_permits(1);
    }

    fn refresh_tokens(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.refresh_tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A login with a password that is wrong: of one of `users` users, or of nobody. Gives the status.
pub async fn guess(client: &Client, users: usize, number: usize) -> u16 {
    let login = if number.is_multiple_of(2) { name(number % users) } else { format!("nobody{number}") };
    let login = json!({"login": login, "password": format!("wrong horse {number}")});
    client.post(LOGIN, &login, None).await.status
}
