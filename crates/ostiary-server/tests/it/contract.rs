//! What the replaced service answers: every scenario of `tests/contract/cases.json`, in the form that
//! the file's steps have. A member of an expected body that is an object with a name in `$` stands for
//! what it says: `$jwt` for a token with these members and claims, `$token` for an opaque text, `$any`
//! for any value of a type.

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::{Method, Response};
use rstest::rstest;
use serde_json::Value;

use crate::support::{JWT_SECRET, On, Server, canary};

fn scenarios() -> Vec<Value> {
    serde_json::from_str(include_str!("../contract/cases.json")).unwrap()
}

#[rstest]
#[case("register returns a token pair")]
#[case("register without the optional members")]
#[case("register with explicit nulls")]
#[case("register in two groups")]
#[case("register ignores members it does not know")]
#[case("register taken second_login")]
#[case("register taken phone")]
#[case("register taken email")]
#[case("register unknown group")]
#[case("register one known and one unknown group leaves nothing behind")]
#[case("register no groups")]
#[case("register empty object")]
#[case("register every string too short")]
#[case("register strings too long")]
#[case("register boundary lengths")]
#[case("register wrong types")]
#[case("register wrong item types in groups")]
#[case("register malformed emails")]
#[case("login by username")]
#[case("login by email in other case and with spaces")]
#[case("login by phone in national form")]
#[case("login wrong password")]
#[case("login unknown user")]
#[case("login without a password")]
#[case("login members missing or wrong")]
#[case("login empty login")]
#[case("refresh spends the token")]
#[case("refresh unknown token")]
#[case("refresh members missing or wrong")]
#[case("bodies that are not an object")]
#[case("bodies that are not JSON")]
#[case("other content types")]
#[case("methods and paths that do not exist")]
#[tokio::test]
async fn the_contract_holds_for(
    #[case] name: &str,
    #[values(On::Sqlite, On::Postgres, On::PgBouncer, On::Adopted)] on: On,
) {
    let scenario = scenarios().into_iter().find(|scenario| scenario["scenario"] == name).unwrap();
    let server = Server::start(on).await;
    let mut saved = HashMap::new();
    for (number, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        take(&server, step, &mut saved)
            .await
            .unwrap_or_else(|error| panic!("step {number}: {error}\n{step:#}"));
    }
}

#[test]
fn every_scenario_is_a_test() {
    let source = include_str!("contract.rs");
    let tests = source.lines().filter(|line| line.starts_with("#[case(")).count();
    assert_eq!(tests, scenarios().len());
    for scenario in scenarios() {
        let case = format!("#[case({})]", scenario["scenario"]);
        assert!(source.contains(&case), "{case}");
    }
}

async fn take(server: &Server, step: &Value, saved: &mut HashMap<String, String>) -> Result<(), String> {
    let answer = send(server, step, saved).await;
    let expected = &step["expect"];
    if answer.status().as_u16() != expected["status"] {
        return Err(format!("status {}: {}", answer.status(), answer.text().await.unwrap()));
    }
    for (name, wanted) in expected["headers"].as_object().into_iter().flatten() {
        let value = answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let value = value.map(|value| value.replace(&format!("http://{}", server.address), ""));
        if value.as_deref() != wanted.as_str() {
            return Err(format!("header {name}: {value:?}"));
        }
    }
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    for (name, member) in step["save"].as_object().into_iter().flatten() {
        let token = body[member.as_str().unwrap()].as_str().unwrap();
        canary::plant("token", token);
        saved.insert(name.clone(), token.to_owned());
    }
    compare(&expected["body"], &body, "body")
}

async fn send(server: &Server, step: &Value, saved: &HashMap<String, String>) -> Response {
    let method: Method = step["method"].as_str().unwrap_or("POST").parse().unwrap();
    let mut request = server.http.request(method, server.url(step["path"].as_str().unwrap()));
    if let Some(json) = step.get("json") {
        let mut body = json.to_string();
        for (name, value) in saved {
            body = body.replace(&format!("{{{{{name}}}}}"), value);
        }
        request = request.header("content-type", "application/json").body(body);
    }
    if let Some(raw) = step.get("raw") {
        let json = serde_json::json!({ "content-type": "application/json" });
        for (name, value) in step.get("headers").unwrap_or(&json).as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        request = request.body(raw.as_str().unwrap().to_owned());
    }
    request.send().await.unwrap()
}

/// Compares member by member; says where the two differ.
fn compare(expected: &Value, actual: &Value, place: &str) -> Result<(), String> {
    let differs = || Err(format!("{place}: expected {expected}, got {actual}"));
    match expected {
        Value::Object(members) if members.contains_key("$jwt") => {
            is_token(members, actual.as_str().unwrap_or_default())
                .map_err(|error| format!("{place}: {error}"))
        }
        Value::Object(members) if members.contains_key("$token") => {
            let text = actual.as_str().unwrap_or_default();
            let is_url_safe = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if is_url_safe && (32..=512).contains(&text.len()) { Ok(()) } else { differs() }
        }
        Value::Object(members) if members.contains_key("$any") => {
            if members["$any"] == "integer" && actual.is_i64() { Ok(()) } else { differs() }
        }
        Value::Object(members) => {
            let Value::Object(found) = actual else { return differs() };
            if members.len() != found.len() {
                return differs();
            }
            members.iter().try_for_each(|(name, value)| {
                compare(value, found.get(name).unwrap_or(&Value::Null), &format!("{place}.{name}"))
            })
        }
        Value::Array(items) => {
            let Value::Array(found) = actual else { return differs() };
            if items.len() != found.len() {
                return differs();
            }
            let mut pairs = items.iter().zip(found).enumerate();
            pairs.try_for_each(|(index, (wanted, item))| compare(wanted, item, &format!("{place}[{index}]")))
        }
        _ if expected == actual => Ok(()),
        _ => differs(),
    }
}

/// A token that verifies by the shared secret, as a verifier in the field does it, and has what is
/// asked for.
fn is_token(expected: &serde_json::Map<String, Value>, token: &str) -> Result<(), String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { return Err(format!("no JWT: {token}")) };
    let decode = |part: &str| -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header_members, claims_members) = (decode(header), decode(claims));
    for (name, value) in expected["$jwt"].as_object().unwrap() {
        if header_members[name] != *value {
            return Err(format!("header {name}: {}", header_members[name]));
        }
    }
    for name in expected["claims_include"].as_array().unwrap() {
        if claims_members.get(name.as_str().unwrap()).is_none() {
            return Err(format!("claim {name} is missing"));
        }
    }
    for name in expected["claims_exclude"].as_array().unwrap() {
        if claims_members.get(name.as_str().unwrap()).is_some() {
            return Err(format!("claim {name} is there"));
        }
    }
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, JWT_SECRET.as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    aws_lc_rs::hmac::verify(&key, format!("{header}.{claims}").as_bytes(), &signature)
        .map_err(|_| "the signature does not verify".to_owned())
}
