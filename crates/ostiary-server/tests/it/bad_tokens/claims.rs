//! Tokens that are rightly signed under a good header, and say what no token of ours says.

use serde_json::{Value, json};

use super::forger::{Forgery, Genuine};

const UNKNOWN: &str = "019abcde-0000-7000-8000-0123456789ab";

/// When it is good.
pub(super) fn times(genuine: &Genuine) -> Vec<Forgery> {
    let now = genuine.number("iat");
    let mut forgeries = Vec::new();
    for (claim, value) in [
        ("exp", json!(now)),
        ("exp", json!(now - 1)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!((now + 60).to_string())),
        ("exp", json!(1.5)),
        ("exp", serde_json::from_str("4102444800.0").unwrap()),
        ("exp", serde_json::from_str("1e10").unwrap()),
        ("exp", serde_json::from_str("1e400").unwrap()),
        ("exp", serde_json::from_str("99999999999999999999").unwrap()),
        ("exp", json!(true)),
        ("exp", json!([now + 60])),
        ("exp", json!({ "seconds": now + 60 })),
        ("exp", Value::Null),
        ("iat", json!(now + 61)),
        ("iat", json!(now.to_string())),
        ("iat", serde_json::from_str(&format!("{now}.0")).unwrap()),
        ("iat", Value::Null),
        ("nbf", json!(now + 61)),
        ("nbf", json!("2026-11-22T12:00:00Z")),
        ("nbf", Value::Null),
        ("auth_time", json!(now.to_string())),
    ] {
        forgeries.push(Forgery::new(format!("{claim} {value}"), genuine.with(claim, value)));
    }
    for claim in ["exp", "iat"] {
        forgeries.push(Forgery::new(format!("no {claim}"), genuine.without(claim)));
    }
    forgeries
}

/// Whose it is, and in which session. A token without a session is one of the replaced service.
pub(super) fn bearers(genuine: &Genuine, other: &Genuine) -> Vec<Forgery> {
    let mut forgeries = Vec::new();
    for claim in ["sub", "sid"] {
        let own = genuine.text(claim);
        for (name, value) in [
            ("is empty", json!("")),
            ("is another user's", json!(other.text(claim))),
            ("is unknown", json!(UNKNOWN)),
            ("is in upper case", json!(own.to_uppercase())),
            ("has no hyphens", json!(own.replace('-', ""))),
            ("has braces", json!(format!("{{{own}}}"))),
            ("is a URN", json!(format!("urn:uuid:{own}"))),
            ("has a space", json!(format!("{own} "))),
            ("has a NUL", json!(format!("{own}\0"))),
            ("is the nil UUID", json!(uuid::Uuid::nil().to_string())),
            ("is SQL", json!(format!("{own}' or true --"))),
            ("is a number", json!(1)),
            ("is a list", json!([own])),
            ("is null", Value::Null),
        ] {
            forgeries.push(Forgery::new(format!("{claim} {name}"), genuine.with(claim, value)));
        }
        forgeries.push(Forgery::new(format!("no {claim}"), genuine.without(claim)));
    }
    forgeries.push(Forgery::new("sub and sid are the same", genuine.with("sub", json!(genuine.text("sid")))));
    forgeries.push(Forgery::new("no jti", genuine.without("jti")));
    forgeries.push(Forgery::new("jti is a number", genuine.with("jti", json!(1))));
    forgeries
}

/// Who issued it and for whom, by a server that has neither a public address nor an audience.
pub(super) fn strangers(genuine: &Genuine) -> Vec<Forgery> {
    let values = [
        ("iss", json!("https://attacker.example")),
        ("iss", json!("")),
        ("iss", Value::Null),
        ("iss", json!(["https://attacker.example"])),
        ("aud", json!("somebody else")),
        ("aud", json!("")),
        ("aud", json!([])),
        ("aud", json!(["somebody else"])),
        ("aud", Value::Null),
        ("aud", json!(1)),
    ];
    let forge = |(claim, value)| Forgery::new(format!("{claim} {value}"), genuine.with(claim, value));
    values.into_iter().map(forge).collect()
}

/// Who issued it and for whom, by the server `https://auth.example.com` whose audience is `shop`.
pub(super) fn other_parties(genuine: &Genuine) -> Vec<Forgery> {
    let values = [
        ("iss", json!("https://auth.example.com/")),
        ("iss", json!("https://AUTH.example.com")),
        ("iss", json!("http://auth.example.com")),
        ("iss", json!("https://auth.example.com.attacker.example")),
        ("iss", json!("")),
        ("aud", json!("Shop")),
        ("aud", json!("shop ")),
        ("aud", json!("workshop")),
        ("aud", json!(["bank", "post"])),
        ("aud", json!({ "shop": true })),
    ];
    let forge = |(claim, value)| Forgery::new(format!("{claim} {value}"), genuine.with(claim, value));
    values.into_iter().map(forge).collect()
}

/// Claims whose JSON is read differently by different programs, or is no object.
pub(super) fn texts(genuine: &Genuine, other: &Genuine) -> Vec<Forgery> {
    let claims = genuine.claims_text();
    let (before, with) = (
        |member: &str| claims.replacen('{', &format!("{{{member},"), 1),
        |member: &str| format!("{},{member}}}", claims.strip_suffix('}').unwrap()),
    );
    let theirs = format!("\"sub\":\"{}\"", other.text("sub"));
    let escaped = format!("\"\\u0073ub\":\"{}\"", other.text("sub"));
    let members: Vec<&Value> = genuine.claims.values().collect();
    let mut forgeries: Vec<Forgery> = [
        ("another sub before", before(&theirs)),
        ("another sub after", with(&theirs)),
        ("another sub after, escaped", with(&escaped)),
        ("exp twice, first past", before("\"exp\":1")),
        ("exp twice, last past", with("\"exp\":1")),
        ("sid twice", with(&format!("\"sid\":\"{}\"", genuine.text("sid")))),
        ("an array of the claims", json!([members]).to_string()),
        ("the values in their order", json!(members).to_string()),
        ("a text", json!(claims).to_string()),
        ("null", "null".to_owned()),
        ("an empty object", "{}".to_owned()),
        ("nothing", String::new()),
        ("a byte order mark", format!("\u{feff}{claims}")),
        ("two objects", format!("{claims}{claims}")),
        ("a NUL at the end", format!("{claims}\0")),
        ("NaN", with("\"nbf\":NaN")),
        ("half of it", claims[..claims.len() / 2].to_owned()),
    ]
    .into_iter()
    .map(|(name, text)| Forgery::new(name, Genuine::saying(text)))
    .collect();
    let not_utf8 = [with("\"extra\":\"").strip_suffix('}').unwrap().as_bytes(), b"\xff\"}"].concat();
    forgeries.push(Forgery::new("not UTF-8", Genuine::saying(not_utf8)));
    forgeries
}
