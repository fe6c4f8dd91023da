//! Fills a database with users and sessions in seconds: the rows that a server would have written, had each user
//! registered, and logged in once more.

use std::{fmt::Write, mem, path::Path, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    audit::AuditAction,
    clock::{Clock, SystemClock, later},
    contact::ContactKind,
    id::SessionId,
    password::{Password, PasswordHash, PasswordScheme, Workspace},
    refresh_token::{Generation, RefreshToken, RefreshTokenKeys, SessionSecret},
    secret::ServerSecret,
};
use uuid::Uuid;

use crate::{
    database::{Database, SECRET_KEY},
    server::Server,
};

mod postgres;
mod sqlite;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";

/// Of so many sessions one is for clients to refresh; the others are for whoever measures the database alone.
pub const FOLLOWED_ONE_IN: usize = 10;

/// What the number in a session's id begins from, so that it has as many digits as fit.
pub const FIRST_NUMBER: usize = 100_000_000_000;

/// The lifetime of a session by default.
const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 30);

const GROUP: &str = "customer";
const PROFILE: &str = r#"{"first_name": "Anna", "last_name": "Petrova", "city": "Kazan"}"#;
const METHODS: &str = "password";
const ADDRESS: &str = "192.0.2.17";
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const ACTOR: &str = "user";

/// What a database was filled with.
#[derive(Debug)]
pub struct Seeded {
    /// How many users there are, from 0 on; see [`username`].
    pub users: usize,
    /// How many sessions.
    pub sessions: usize,
    /// Refresh tokens of one in [`FOLLOWED_ONE_IN`] sessions, neighbours far apart.
    pub refresh_tokens: Vec<String>,
}

/// The username of a user; they have a phone number and an e-mail address as well.
#[must_use]
pub fn username(user: usize) -> String {
    format!("seed{user:07}")
}

/// Lets a server of `binary` make its tables in a database, and fills them with `users` users and twice as many
/// sessions. No server may be on it.
///
/// # Errors
/// If the server does not start, or the database takes no rows.
pub async fn fill(
    database: &Arc<Database>,
    binary: &Path,
    users: usize,
    scheme: PasswordScheme,
) -> anyhow::Result<Seeded> {
    drop(Server::start_on(database, binary, &[])?);
    let mut rows = Rows::new(users, scheme)?;
    match database.cluster() {
        Some(cluster) => postgres::fill(cluster, &mut rows).await?,
        None => sqlite::fill(&database.file(), &mut rows)?,
    }
    let mut tokens = rows.refresh_tokens;
    let refresh_tokens = scattered(tokens.len()).map(|at| mem::take(&mut tokens[at])).collect();
    Ok(Seeded { users, sessions: 2 * users, refresh_tokens })
}

/// All numbers below `count`, each once, neighbours far apart: multiples of what is near the golden section of
/// `count`, and has no divisor with it in common (Knuth, The Art of Computer Programming, volume 3, 6.4).
pub fn scattered(count: usize) -> impl Iterator<Item = usize> {
    let has_no_common_divisor = |stride: &usize| {
        let (mut a, mut b) = (*stride, count);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    let stride = (count * 618 / 1000..=count).find(has_no_common_divisor).unwrap_or(1);
    (0..count).map(move |place| place * stride % count)
}

/// The rows of all tables, by number.
struct Rows {
    users: usize,
    at: Timestamp,
    session_end: Timestamp,
    password_hash: PasswordHash,
    keys: RefreshTokenKeys,
    refresh_tokens: Vec<String>,
}

/// A user.
struct UserRow {
    id: Uuid,
    contacts: [(ContactKind, String); 3],
}

/// A session: of the registration of each user, and then of the login of each.
struct SessionRow {
    id: Uuid,
    user_id: Uuid,
    secret_hash: [u8; 32],
}

/// The event of a session's opening.
struct EventRow {
    id: Uuid,
    action: AuditAction,
    user_id: Uuid,
    session_id: Uuid,
}

/// What an id names: the twelve bits after its version.
#[derive(Clone, Copy)]
enum Kind {
    User,
    Session,
    Event,
}

impl Rows {
    fn new(users: usize, scheme: PasswordScheme) -> anyhow::Result<Self> {
        let at = SystemClock.now();
        Ok(Self {
            users,
            at,
            session_end: later(at, SESSION_LIFETIME),
            password_hash: scheme.hash(&Password::new(PASSWORD), &mut Workspace::default()),
            keys: RefreshTokenKeys::derive(&ServerSecret::parse(SECRET_KEY)?),
            refresh_tokens: Vec::new(),
        })
    }

    const fn sessions(&self) -> usize {
        2 * self.users
    }

    /// An id of version 7, in the order of the numbers as in that of time. Its last twelve digits are decimal, so
    /// that a program which only counts can name it.
    fn id(&self, kind: Kind, number: usize) -> Uuid {
        let mut text = String::with_capacity(32);
        let (milliseconds, kind, number) = (self.at.as_millisecond(), kind as u8, FIRST_NUMBER + number);
        write!(text, "{milliseconds:012x}7{kind:03x}8000{number:012}").expect("a string takes all");
        Uuid::try_parse(&text).expect("32 hexadecimal digits")
    }

    fn user(&self, number: usize) -> UserRow {
        let name = username(number);
        let contacts = [
            (ContactKind::Email, format!("{name}@example.com")),
            (ContactKind::Phone, format!("+7998{number:07}")),
            (ContactKind::SecondLogin, name),
        ];
        UserRow { id: self.id(Kind::User, number), contacts }
    }

    fn owner(&self, session: usize) -> Uuid {
        self.id(Kind::User, session % self.users)
    }

    /// A session with a new secret; its token is kept if somebody is to follow it.
    fn session(&mut self, number: usize) -> SessionRow {
        let id = self.id(Kind::Session, number);
        let token = RefreshToken {
            session_id: SessionId::from_uuid(id),
            generation: Generation::FIRST,
            secret: SessionSecret::generate(),
        };
        if number.is_multiple_of(FOLLOWED_ONE_IN) {
            self.refresh_tokens.push(self.keys.write(&token));
        }
        SessionRow { id, user_id: self.owner(number), secret_hash: *self.keys.hash(&token.secret).as_bytes() }
    }

    fn event(&self, session: usize) -> EventRow {
        let is_registration = session < self.users;
        EventRow {
            id: self.id(Kind::Event, session),
            action: if is_registration { AuditAction::UserRegistered } else { AuditAction::UserLoggedIn },
            user_id: self.owner(session),
            session_id: self.id(Kind::Session, session),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_numbers_are_all_there_once_and_neighbours_are_far_apart() {
        for count in [0, 1, 2, 10, 618, 1000, 20_000] {
            let numbers: Vec<usize> = scattered(count).collect();
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..count).collect::<Vec<_>>());
            if count >= 10 {
                assert!(numbers.windows(2).all(|pair| pair[0].abs_diff(pair[1]) >= count / 3), "{count}");
            }
        }
    }

    #[test]
    fn an_id_is_of_version_7_and_ends_in_its_number() {
        let rows = Rows::new(1, PasswordScheme::Argon2id).unwrap();
        let id = rows.id(Kind::Session, 42);
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        assert!(id.to_string().ends_with("-7001-8000-100000000042"), "{id}");
    }
}
