//! Access tokens: JSON Web Tokens (RFC 7519) with the claims of the contract and a few more.
//!
//! There is no `aud` unless one is configured: verifiers in the field call
//! `jwt.decode(token, key, algorithms=["HS256"])`, which refuses a token with an audience that it was
//! not told of.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::Header;
use serde::Serialize;

use crate::{
    id::{SessionId, TokenId, UserId},
    keys::Signer,
};

/// The claims of an access token; times are seconds since 1970.
#[derive(Debug, Serialize)]
struct Claims {
    /// The user's id.
    sub: String,
    exp: i64,
    iat: i64,
    /// Names this token.
    jti: String,
    /// The id of the session that it was issued in.
    sid: String,
}

impl Signer {
    /// A token that says until `lifetime` after `now` that its bearer is `user_id`, in `session_id`.
    pub(crate) fn access_token(
        &self,
        user_id: UserId,
        session_id: SessionId,
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> String {
        let claims = Claims {
            sub: user_id.to_string(),
            exp: now.as_second().saturating_add(lifetime.as_secs()),
            iat: now.as_second(),
            jti: TokenId::new(now).to_string(),
            sid: session_id.to_string(),
        };
        let header = Header {
            kid: self.key_id.as_ref().map(|id| id.as_str().to_owned()),
            ..Header::new(self.algorithm)
        };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .expect("the key is of the algorithm and the claims are plain")
    }
}
