//! Texts that are not three parts, or too long.

use super::forger::{Forgery, Genuine, part, signed_message};

/// Something else than three parts.
pub(super) fn shapes(genuine: &Genuine) -> Vec<Forgery> {
    let [header, claims, signature] = genuine.parts();
    let token = &genuine.token;
    let mut forgeries: Vec<Forgery> = [
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{claims}")),
        ("no signature", format!("{header}.{claims}.")),
        ("no claims", format!("{header}..{signature}")),
        ("no header", format!(".{claims}.{signature}")),
        ("dots", "..".to_owned()),
        ("one dot", ".".to_owned()),
        ("a dot before", format!(".{token}")),
        ("a dot after", format!("{token}.")),
        ("two dots between", format!("{header}..{claims}.{signature}")),
        ("four parts", format!("{token}.{signature}")),
        ("four parts, rightly signed", signed_message(&format!("{header}.{claims}.{claims}"))),
        ("five parts, rightly signed", signed_message(&format!("{header}.{header}.{claims}.{claims}"))),
        ("three parts of which one is empty, rightly signed", signed_message(&format!("{header}.{claims}."))),
        ("one part, rightly signed", signed_message(header)),
        ("five parts of a JWE", format!("{}.AAAA.AAAA.AAAA.AAAA", part(r#"{"alg":"dir","enc":"A256GCM"}"#))),
        ("a token in a token", Genuine::saying(token)),
        ("a token in a text in a token", Genuine::saying(format!("\"{token}\""))),
        (
            "a JWS in JSON",
            format!(r#"{{"protected":"{header}","payload":"{claims}","signature":"{signature}"}}"#),
        ),
        ("its claims alone", genuine.claims_text()),
        ("a word", "token".to_owned()),
        ("null", "null".to_owned()),
        ("a slash", "/".to_owned()),
    ]
    .into_iter()
    .map(|(name, token)| Forgery::new(name, token))
    .collect();
    let padded = genuine.with("padding", "x".repeat(8 * 1024).into());
    assert!(padded.len() > 8 * 1024);
    forgeries.push(Forgery::new("more than 8 KiB", padded));
    forgeries
}
