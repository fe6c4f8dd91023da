//! What a service pays that verifies access tokens by itself, next to the bare signature check.

use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::Context;
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use ostiary_bench::{
    client::Client,
    figure::Figure,
    server::Server,
    turns::{Turns, blocking},
    users,
};
use serde_json::Value;

use super::Bench;

/// What a service keeps of the key set for as long as it may.
struct KeySet(HashMap<String, (DecodingKey, Validation)>);

pub(super) async fn verification(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for algorithm in ["EdDSA", "ES256", "RS256"] {
        let server = Server::start(&bench.server, false, &[("JWT_ALGORITHM", algorithm)])?;
        let client = Client::http1(server.address);
        let token = users::access_token(&client, 0).await?;
        let set = client.get("/.well-known/jwks.json").await.body;
        let set = KeySet::new(&serde_json::from_value(set)?)?;
        let kid = jsonwebtoken::decode_header(&token)?.kid.context("a token names its key")?;
        let (key, validation) = &set.0[&kid];

        let caller = blocking(|duration| verifications(duration, || set.verify(&token)));
        let alone = blocking(|duration| {
            verifications(duration, || {
                jsonwebtoken::decode::<Value>(&token, key, validation)?;
                Ok(())
            })
        });
        let each = bench.turns.each / 4;
        let [ours, alone] = Turns { each, warm_up: each, ..bench.turns }.take([caller, alone]).await?;
        let name = format!("access-token verification by a caller, {algorithm}, one thread");
        figures.push(Figure::rate(&name, ours, "jsonwebtoken alone, the key at hand", alone, None));
    }
    Ok(figures)
}

impl KeySet {
    fn new(set: &JwkSet) -> anyhow::Result<Self> {
        let key = |key: &jsonwebtoken::jwk::Jwk| {
            let id = key.common.key_id.clone().context("a key has an id")?;
            let algorithm = key.common.key_algorithm.context("a key has an algorithm")?;
            let validation = Validation::new(algorithm.to_string().parse()?);
            anyhow::Ok((id, (DecodingKey::from_jwk(key)?, validation)))
        };
        Ok(Self(set.keys.iter().map(key).collect::<Result<_, _>>()?))
    }

    fn verify(&self, token: &str) -> anyhow::Result<()> {
        let id = jsonwebtoken::decode_header(token)?.kid.context("a token names its key")?;
        let (key, validation) = self.0.get(&id).context("no key of the set signed it")?;
        jsonwebtoken::decode::<Value>(token, key, validation)?;
        Ok(())
    }
}

/// How often a second one thread does it.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
fn verifications(duration: Duration, verify: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let mut count = 0_u64;
    while begin.elapsed() < duration {
        black_box(verify())?;
        count += 1;
    }
    Ok(count as f64 / begin.elapsed().as_secs_f64())
}
