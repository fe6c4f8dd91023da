//! Verifies an access token with the crate `jsonwebtoken`, as a service that trusts Ostiary may do it.
//!
//! Its arguments are the algorithm, the file of the key set (of `/.well-known/jwks.json`) or the shared secret,
//! and the file of the token. It ends with 0 if the token is good, and with 3 if its signature is not.

use std::{env, error::Error, fs, process::ExitCode};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind, jwk::JwkSet,
};
use serde_json::Value;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [algorithm, keys, file] = &arguments[..] else {
        return Err("usage: verify_token ALGORITHM KEYS TOKEN".into());
    };
    let token = fs::read_to_string(file)?;
    let key = if algorithm.starts_with("HS") {
        DecodingKey::from_secret(keys.as_bytes())
    } else {
        published_key(&fs::read_to_string(keys)?, &token)?
    };
    let algorithm: Algorithm = algorithm.parse()?;
    match decode::<Value>(&token, &key, &Validation::new(algorithm)) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) if *error.kind() == ErrorKind::InvalidSignature => Ok(ExitCode::from(3)),
        Err(error) => Err(error.into()),
    }
}

/// The key that the token names, out of a set.
fn published_key(set: &str, token: &str) -> Result<DecodingKey, Box<dyn Error>> {
    let keys: JwkSet = serde_json::from_str(set)?;
    let name = decode_header(token)?.kid.ok_or("the token names no key")?;
    let key = keys.find(&name).ok_or("the key set has no key of that name")?;
    Ok(DecodingKey::from_jwk(key)?)
}
