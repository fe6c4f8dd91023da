//! E-mail addresses: one `@`, lower-cased, NFC (RFC 6531 allows any Unicode before the `@`), and the
//! domain as DNS has it (IDNA, UTS 46).

use std::borrow::Cow;

use email_address::{EmailAddress, Options};
use icu_normalizer::ComposingNormalizer;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

pub(super) fn canonical(text: &str) -> Option<String> {
    let (local, domain) = text.trim().split_once('@')?;
    // Quoting would let two texts name one mailbox, and nobody's address needs it.
    if domain.contains('@') || local.contains('"') {
        return None;
    }
    let domain: Cow<'_, str> = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify)
        .ok()?;
    let address = format!("{}@{domain}", lower_case(local)?);
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    EmailAddress::parse_with_options(&address, options).ok()?;
    Some(address)
}

/// Lower case in NFC. One can undo the other for a few characters, so both repeat until nothing
/// changes; the bound is never met by real text.
fn lower_case(text: &str) -> Option<String> {
    let nfc = ComposingNormalizer::new_nfc();
    let mut current = text.to_owned();
    for _ in 0..4 {
        let next = nfc.normalize(&current.to_lowercase()).into_owned();
        if next == current {
            return Some(next);
        }
        current = next;
    }
    None
}
