//! No type that holds a secret shows it in its `Debug` output.

use std::fmt::{Debug, Write};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    Ostiary,
    account::Registration,
    audit::Client,
    hasher::Standing,
    id::{SessionId, UserId},
    keys::{KeyId, SharedSecret, SigningAlgorithm},
    password::{Password, PasswordHash},
    refresh_token::{ForeignToken, Generation, RefreshToken, SessionSecret},
    secret::{Purpose, ServerSecret},
    service::{ServiceName, ServiceSecretHash},
    session::TokenPair,
    store::{
        AuthenticationMethod, Credentials, Exchange, LiveAt, NewAccount, NewSession, Opening, PasswordChange,
        PasswordLock, Rotation, StoredServiceCredential, StoredSigningKey,
    },
};
use ostiary_server::{
    config::SecretText,
    extract::ClosedForm,
    oauth_form::OAuthForm,
    problem::Problem,
    startup,
    validation::{Form, Text},
};
use serde_json::json;
use tempfile::TempDir;

use crate::support::settings;

/// Each type takes it for what it holds: a password, a key, a token, a hash.
const SECRET: &str = "a-canary-that-no-type-may-show-in-debug-output";

/// The forms that bytes take in `Debug` output, without its white space: text, numbers, hexadecimal.
fn forms(secret: &[u8]) -> [String; 3] {
    let numbers: Vec<String> = secret.iter().map(u8::to_string).collect();
    let digits = secret.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    });
    [String::from_utf8_lossy(secret).into_owned(), numbers.join(","), digits]
}

fn shows(value: &dyn Debug, secrets: &[Vec<u8>]) -> bool {
    let shown: String = format!("{value:?} {value:#?}").split_whitespace().collect();
    secrets.iter().flat_map(|secret| forms(secret)).any(|form| shown.contains(&form))
}

fn assert_hidden(secrets: &[Vec<u8>], values: Vec<Box<dyn Debug>>) {
    for value in values {
        assert!(!shows(&*value, secrets), "a secret is in {value:?}");
    }
}

async fn started(directory: &TempDir) -> Ostiary {
    let settings = settings(directory.path(), &[("JWT_SECRET_KEY", SECRET), ("SECRET_KEY", SECRET)]);
    startup::start(&settings).await.unwrap().ostiary
}

#[tokio::test]
async fn no_setting_and_no_key_is_shown() {
    let directory = TempDir::new().unwrap();
    let named = |more: &[(&str, &str)]| settings(directory.path(), more);
    let url = format!("postgres://anna:{SECRET}@host/database");
    let by_url = named(&[("DATABASE_URL", &url), ("JWT_SECRET_KEY", SECRET)]);
    let in_parts = [("POSTGRES_HOST", "host"), ("POSTGRES_PASSWORD", SECRET), ("SECRET_KEY", SECRET)];
    let in_parts = named(&in_parts);
    let ostiary = started(&directory).await;
    let server_secret = ServerSecret::parse(SECRET).unwrap();
    let stored_key = StoredSigningKey {
        id: KeyId::from_stored("key".to_owned()),
        algorithm: SigningAlgorithm::EdDsa,
        generation: 1,
        public_key: Vec::new(),
        sealed_private_key: SECRET.into(),
        created_at: Timestamp::UNIX_EPOCH,
        activates_at: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH,
        retired_at: None,
    };
    let values: Vec<Box<dyn Debug>> = vec![
        Box::new(SecretText::from(SECRET)),
        Box::new(by_url.database().unwrap()),
        Box::new(by_url.signing_method().unwrap()),
        Box::new(by_url),
        Box::new(in_parts.database().unwrap()),
        Box::new(in_parts),
        Box::new(SharedSecret::parse(SECRET, SigningAlgorithm::Hs256, false).unwrap()),
        Box::new(server_secret.mac_key(Purpose::RefreshTokenMac)),
        Box::new(server_secret.sealing_key(Purpose::SigningKeySeal)),
        Box::new(server_secret),
        Box::new(stored_key),
        Box::new(ostiary.keys),
        Box::new(ostiary.refresh_tokens),
    ];
    assert_hidden(&[SECRET.into()], values);
}

#[tokio::test]
async fn no_password_and_no_hash_of_one_is_shown() {
    let directory = TempDir::new().unwrap();
    let ostiary = started(&directory).await;
    let id = UserId::new(Timestamp::UNIX_EPOCH);
    let contacts = vec![ostiary.contacts.username(SECRET).unwrap()];
    let password = ostiary.accept_password(SECRET, Vec::new(), Standing::Unknown).await.unwrap().unwrap();
    let hash = PasswordHash::from_stored(SECRET.to_owned());
    let account = NewAccount {
        id,
        contacts: contacts.clone(),
        profile: None,
        groups: Vec::new(),
        password_hash: hash.clone(),
        created_at: Timestamp::UNIX_EPOCH,
    };
    let values: Vec<Box<dyn Debug>> = vec![
        Box::new(Password::new(SECRET)),
        Box::new(password.clone()),
        Box::new(Registration { contacts, profile: None, groups: Vec::new(), password }),
        Box::new(account),
        Box::new(Credentials {
            user_id: id,
            password_hash: Some(hash.clone()),
            lock: PasswordLock::default(),
        }),
        Box::new(PasswordChange { user_id: id, seen: hash.clone(), new: hash.clone() }),
        Box::new(hash),
        Box::new(ostiary.hasher),
        Box::new(form()),
        Box::new(refused()),
    ];
    assert_hidden(&[SECRET.into()], values);
}

#[tokio::test]
async fn no_token_and_no_secret_of_a_session_is_shown() {
    let directory = TempDir::new().unwrap();
    let keys = started(&directory).await.refresh_tokens;
    let (now, grace) = (Timestamp::UNIX_EPOCH, SignedDuration::ZERO);
    let (session_id, generation) = (SessionId::new(now), Generation::FIRST);
    let secret = SessionSecret::generate();
    let secret_hash = keys.hash(&secret);
    let token = RefreshToken { session_id, generation, secret: secret.clone() };
    let foreign = ForeignToken::parse(&format!("{}A", &SECRET.repeat(2)[..85])).unwrap();
    let token_hash = foreign.hash();
    let session = NewSession {
        id: session_id,
        secret_hash,
        created_at: now,
        expires_at: now,
        client: Client::default(),
        methods: vec![AuthenticationMethod::Password],
    };
    let text = keys.write(&token);
    let secrets = [
        SECRET.into(),
        BASE64_URL_SAFE_NO_PAD.decode(&text[4..]).unwrap()[21..37].to_vec(),
        secret_hash.as_bytes().to_vec(),
        token_hash.as_str().into(),
        text.into_bytes(),
    ];
    let values: Vec<Box<dyn Debug>> = vec![
        Box::new(TokenPair { access_token: SECRET.to_owned(), refresh_token: SECRET.to_owned() }),
        Box::new(secret),
        Box::new(secret_hash),
        Box::new(token),
        Box::new(Rotation {
            session_id,
            secret_hash,
            generation,
            at: LiveAt { now, refreshed_after: now },
            grace,
        }),
        Box::new(Exchange { token_hash: token_hash.clone(), session: session.clone(), grace, most: None }),
        Box::new(Opening {
            user_id: UserId::new(now),
            session: session.clone(),
            seen: Some(PasswordHash::from_stored(SECRET.to_owned())),
            most: None,
            others_follow: false,
        }),
        Box::new(session),
        Box::new(foreign),
        Box::new(token_hash),
    ];
    assert_hidden(&secrets, values);
}

/// A body with secrets in right and in wrong places.
fn form() -> Form {
    let body = json!({ "password": SECRET, "refresh_token": [SECRET], "login": { "password": SECRET } });
    Form::parse(body.to_string().as_bytes(), true).unwrap()
}

fn refused() -> Problem {
    let mut form = form();
    form.required_text("refresh_token", &Text::ANY);
    form.required_text("login", &Text::ANY);
    form.finish().unwrap_err().into()
}

/// What a type with a derived `Debug` would show of each kind of secret.
#[test]
fn a_secret_that_is_shown_is_found_in_every_form() {
    let secret = SECRET.as_bytes();
    let secrets = [secret.to_vec()];
    let digits = &forms(secret)[2];
    let shown: [&dyn Debug; 4] = [&SECRET, &secret, &Some(vec![secret.to_vec()]), digits];
    for value in shown {
        assert!(shows(value, &secrets), "{value:?}");
    }
    assert!(!shows(&"another", &secrets));
}

#[tokio::test]
async fn no_credential_of_a_service_is_shown() {
    let directory = TempDir::new().unwrap();
    let ostiary = started(&directory).await;
    let name = ServiceName::parse("billing").unwrap();
    let (made, text) = ostiary.service_credentials.make(name.clone(), Timestamp::UNIX_EPOCH);
    let hash = [0xA7; 32];
    let stored = StoredServiceCredential {
        id: made.id,
        name,
        secret_hash: ServiceSecretHash::from_bytes(hash),
        created_at: Timestamp::UNIX_EPOCH,
    };
    let secrets = [SECRET.into(), text.expose().into(), hash.to_vec()];
    let body = format!("token={SECRET}&client_secret={SECRET}");
    let values: Vec<Box<dyn Debug>> = vec![
        Box::new(text),
        Box::new(stored),
        Box::new(ostiary.service_credentials),
        Box::new(OAuthForm::parse(body.as_bytes()).unwrap()),
        Box::new(ClosedForm(form())),
    ];
    assert_hidden(&secrets, values);
}
