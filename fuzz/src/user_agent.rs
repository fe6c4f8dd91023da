//! What a client calls itself: kept short and printable, and described in fewer words.

use ostiary_core::{audit::UserAgent, device};

/// A description is at most this long.
const MOST_CHARS: usize = 80;

/// Keeps a header `User-Agent`, and describes the device.
pub fn user_agent(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check_description(&text);
    let Some(kept) = UserAgent::parse(&text) else { return };
    let name = kept.as_str();
    assert!(!name.is_empty() && name.trim() == name);
    assert!(name.chars().count() <= UserAgent::MAX_CHARS && !name.contains(char::is_control));
    assert_eq!(UserAgent::parse(name).as_ref(), Some(&kept));
    check_description(name);
}

fn check_description(user_agent: &str) {
    let Some(description) = device::describe(user_agent) else { return };
    let words = description.as_str();
    assert!(!words.is_empty() && words.trim() == words);
    assert!(words.chars().count() <= MOST_CHARS, "{words}");
    assert!(words.chars().all(|character| character.is_ascii_graphic() || character == ' '), "{words:?}");
}
