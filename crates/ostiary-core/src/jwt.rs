//! Access tokens: JSON Web Tokens (RFC 7519) with the claims of the contract and a few more.
//!
//! There is no `aud` unless one is configured: verifiers in the field call
//! `jwt.decode(token, key, algorithms=["HS256"])`, which refuses a token with an audience that it was
//! not told of.
//!
//! A token is read by the rules of RFC 8725: the header has the three members that Ostiary writes and no other,
//! the key decides on the algorithm, and nothing that the token says is looked at before its signature holds.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{
    id::{SessionId, UserId},
    keys::{Key, Keys},
};

/// A longer text is no token of ours.
const MAX_BYTES: usize = 8 * 1024;
/// How far the clock of whoever issued a token may be ahead.
const MAX_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// The value of `typ`.
const TYPE: &str = "JWT";

/// The claims of an access token; times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// The user's id.
    pub sub: String,
    /// When the token expires.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// Names this token.
    pub jti: String,
    /// The id of the session that it was issued in.
    pub sid: String,
    /// When the user logged in (`OpenID` Connect Core §2).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How they proved who they are (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The server that issued it, if its public address is set.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Whom it is for, if that is set.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// The user's groups, if they are to be in tokens.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Not before this; Ostiary writes none.
    #[serde(default, deserialize_with = "present", skip_serializing)]
    nbf: Option<i64>,
}

/// The claim `aud` (RFC 7519 §4.1.3): one, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(audience) => audience == wanted,
            Self::Several(audiences) => audiences.iter().any(|audience| audience == wanted),
        }
    }
}

/// What a token says of who issued it and for whom.
#[derive(Debug, Clone, Default)]
pub struct TokenParties {
    /// The claim `iss`: the server's public address.
    pub issuer: Option<String>,
    /// The claim `aud`.
    pub audience: Option<String>,
}

/// What a new token says of its bearer.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) methods: Vec<&'static str>,
    pub(crate) groups: Option<Vec<String>>,
}

/// A text is no access token that this server issued, or it is good no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no access token that is good here: {0}")]
pub struct BadToken(&'static str);

#[derive(Serialize)]
struct Header<'a> {
    typ: &'static str,
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// Whatever else a header says (`crit`, `jku`, `jwk`, `x5u`, `b64`, ...) is a reason to refuse the token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadHeader {
    typ: String,
    alg: String,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
}

impl AccessTokenClaims {
    /// The claims of a token that is issued now and good for `lifetime`.
    pub(crate) fn issue(
        bearer: Bearer,
        token_id: &str,
        parties: &TokenParties,
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> Self {
        Self {
            sub: bearer.user_id.to_string(),
            exp: now.as_second().saturating_add(lifetime.as_secs()),
            iat: now.as_second(),
            jti: token_id.to_owned(),
            sid: bearer.session_id.to_string(),
            auth_time: Some(bearer.authenticated_at.as_second()),
            amr: bearer.methods.into_iter().map(str::to_owned).collect(),
            iss: parties.issuer.clone(),
            aud: parties.audience.clone().map(Audience::One),
            groups: bearer.groups,
            nbf: None,
        }
    }

    /// The token with these claims, signed by `key`.
    #[must_use]
    pub fn sign(&self, key: &Key) -> String {
        let header = Header { typ: TYPE, alg: key.algorithm.as_str(), kid: key.header_id() };
        let message = format!("{}.{}", part(&header), part(self));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// The claims of `token`, if this server signed it, for what it is for, and it is good at `now`. Whether its
    /// session is alive, only the store knows: [`crate::Ostiary::authenticate`] asks it.
    ///
    /// # Errors
    /// If it is not good, for whatever reason.
    pub fn verify(
        token: &str,
        keys: &Keys,
        parties: &TokenParties,
        now: Timestamp,
    ) -> Result<Self, BadToken> {
        if token.len() > MAX_BYTES {
            return Err(BadToken("it is too long"));
        }
        let (message, signature) = token.rsplit_once('.').ok_or(BadToken("it has no parts"))?;
        let (header, claims) = message.split_once('.').ok_or(BadToken("it has too few parts"))?;
        let header: ReadHeader = read(header).ok_or(BadToken("its header is not ours"))?;
        let signature = BASE64_URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| BadToken("its signature is not base64url"))?;
        let is_signed = header.typ == TYPE
            && keys
                .ring()
                .candidates(&header.alg, header.kid.as_deref(), now)
                .any(|key| key.verifies(message.as_bytes(), &signature));
        if !is_signed {
            return Err(BadToken("no key of ours signed it"));
        }
        let claims: Self = read(claims).ok_or(BadToken("its claims are not ours"))?;
        claims.check(parties, now)?;
        Ok(claims)
    }

    fn check(&self, parties: &TokenParties, now: Timestamp) -> Result<(), BadToken> {
        let seconds = now.as_second();
        let latest = seconds.saturating_add(MAX_SKEW.as_secs());
        if self.exp <= seconds {
            return Err(BadToken("it has expired"));
        }
        if self.iat > latest || self.nbf.is_some_and(|not_before| not_before > latest) {
            return Err(BadToken("it is of the future"));
        }
        if self.iss.is_some() && self.iss != parties.issuer {
            return Err(BadToken("another server issued it"));
        }
        let is_for_us =
            |audience: &Audience| parties.audience.as_deref().is_some_and(|wanted| audience.names(wanted));
        if self.aud.as_ref().is_some_and(|audience| !is_for_us(audience)) {
            return Err(BadToken("it is for somebody else"));
        }
        Ok(())
    }

    /// Whose token it is, and in which session it was issued.
    pub(crate) fn bearer(&self) -> Option<(UserId, SessionId)> {
        UserId::parse(&self.sub).zip(SessionId::parse(&self.sid))
    }
}

fn part(value: &impl Serialize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).expect("plain members have a JSON form"))
}

/// A JSON object in a part of a token. (An array of the members in their order would be taken for one.)
fn read<T: DeserializeOwned>(part: &str) -> Option<T> {
    let json = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    json.starts_with('{').then(|| serde_json::from_str(&json).ok()).flatten()
}

/// A member that may be left out, and is not `null` if it is there.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(member: D) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}
