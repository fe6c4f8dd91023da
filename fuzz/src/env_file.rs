//! `.env` files: a setting that is read can be written, and a line that is none is not repeated.

use ostiary_server::config::env_file::{BadLine, parse};

use crate::SECRET;

/// Reads a file, and writes it again.
pub fn env_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse(&text) {
        Ok(settings) => {
            for (name, value) in &settings {
                assert!(
                    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                );
                let written = format!("{name}={}", quoted(value));
                assert_eq!(parse(&written), Ok(vec![(name.clone(), value.clone())]), "{written:?}");
            }
            assert!(settings.len() <= text.lines().count());
        }
        Err(BadLine { line }) => assert!((1..=text.lines().count()).contains(&line)),
    }
    if let Err(error) = parse(&format!("A=1\n{SECRET} {text}")) {
        assert_eq!(error.to_string(), "not NAME=VALUE");
        assert!(!format!("{error:?}").contains(SECRET));
    }
}

fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n").replace('\t', r"\t");
    format!("\"{escaped}\"")
}
