//! Forms of OAuth: read as a second, plainer reader reads them, and refused where it finds fault.

use std::collections::BTreeMap;

use ostiary_server::oauth_form::{OAuthForm, OAuthFormFault};

use crate::SECRET;

/// Reads a body, and compares what was read.
pub fn oauth_form(data: &[u8]) {
    let form = OAuthForm::parse(data);
    match (&form, parameters(data)) {
        (Ok(form), Some(parameters)) => {
            for (name, values) in &parameters {
                assert_eq!(form.parameter(name), values.first().map(String::as_str));
            }
            assert!(parameters.values().all(|values| values.len() == 1), "a repeated parameter is refused");
            assert_eq!(format!("{form:?}"), format!("OAuthForm({} parameters)", parameters.len()));
        }
        (Ok(_), None) => panic!("what is malformed is refused"),
        (Err(OAuthFormFault::Malformed), None) => {}
        (Err(fault), parameters) => {
            // A body with both faults is refused for the one that comes first.
            assert_eq!(*fault, OAuthFormFault::Repeated);
            let is_repeated = |found: &BTreeMap<_, Vec<_>>| found.values().any(|values| values.len() > 1);
            assert!(parameters.as_ref().is_none_or(is_repeated));
        }
    }
    let with_secret = [b"client_secret=", SECRET.as_bytes(), b"&", data].concat();
    assert!(!format!("{:?}", OAuthForm::parse(&with_secret)).contains(SECRET));
}

/// The values of each parameter that has one, or `None` for a body that is no form.
fn parameters(body: &[u8]) -> Option<BTreeMap<String, Vec<String>>> {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in body.split(|byte| *byte == b'&') {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (name, value) = (decode(name)?, decode(value)?);
        if !value.is_empty() {
            parameters.entry(name).or_default().push(value);
        }
    }
    Some(parameters)
}

fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next())? << 4 | digit(rest.next())?,
            0x21..=0x7e => *byte,
            _ => return None,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_text =
        |sign: char| sign == '\t' || !(sign.is_ascii_control() || sign == char::REPLACEMENT_CHARACTER);
    text.chars().all(is_text).then_some(text)
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    let value = char::from(*byte?).to_digit(16)?;
    u8::try_from(value).ok()
}
