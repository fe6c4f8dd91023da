//! Contacts: however a name is spelt, it is stored and looked up as one.

use ostiary_core::contact::{CanonicalContact, Contact, ContactError, ContactKind, ContactRules, Region};

/// Regions whose national numbers are read by different rules.
const REGIONS: [&str; 3] = ["RU", "US", "IT"];

/// NFKC makes at most this many characters of one (Unicode Standard Annex #15 §3), and folding three of one.
const MOST_CHARS_OF_ONE: usize = 18 * 3;

/// Reads a text as each kind of contact, by the rules of several regions.
pub fn contact(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for region in REGIONS {
        let region: Region = region.parse().expect("a region with phone numbers");
        let rules = ContactRules::new(region);
        let stored = ContactKind::from_name;
        for kind in ["email", "phone", "second_login"].into_iter().filter_map(stored) {
            if let Ok(contact) = read(rules, kind, &text) {
                assert_eq!(contact.canonical().kind(), kind);
                check(rules, &contact, &text);
            }
        }
        if let Some(found) = rules.look_up(&text) {
            let kind = found.canonical().kind();
            assert_eq!(read(rules, kind, &text), Ok(found), "a contact is found as it would be stored");
        }
    }
}

fn read(rules: ContactRules, kind: ContactKind, text: &str) -> Result<Contact, ContactError> {
    match kind {
        ContactKind::Email => rules.email(text),
        ContactKind::Phone => rules.phone(text),
        ContactKind::SecondLogin => rules.username(text),
    }
}

fn check(rules: ContactRules, contact: &Contact, text: &str) {
    let canonical = contact.canonical();
    let value = canonical.value();
    assert_eq!(rules.look_up(text).as_ref(), Some(contact), "what was stored is found as it was typed");
    assert_eq!(found(rules, value).as_ref(), Some(canonical), "a canonical value is its own canonical value");
    assert_eq!(contact.typed(), text.trim());

    assert!(!value.is_empty() && value.trim() == value);
    assert!(!value.chars().any(is_unreadable), "{value:?} has a character that cannot be seen");
    let most = match canonical.kind() {
        ContactKind::Email => 64 + 1 + 255, // RFC 5321 §4.5.3.1
        ContactKind::Phone => 1 + 15,       // E.164
        ContactKind::SecondLogin => text.chars().count() * MOST_CHARS_OF_ONE,
    };
    assert!(value.chars().count() <= most, "{} characters", value.len());
    let kind = canonical.kind().as_str();
    let shown = format!("Contact {{ canonical: CanonicalContact({kind}, ..), typed: .. }}");
    assert_eq!(format!("{contact:?}"), shown);
}

fn found(rules: ContactRules, text: &str) -> Option<CanonicalContact> {
    rules.look_up(text).map(|contact| contact.canonical().clone())
}

/// Control characters, those that change the direction of text (Unicode Standard Annex #9 §2), and others that
/// take no place.
fn is_unreadable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}
