use proptest::prelude::*;

use super::*;

fn rules() -> ContactRules {
    ContactRules::new("RU".parse().unwrap())
}

fn value(contact: Result<Contact, ContactError>) -> Result<String, ContactError> {
    contact.map(|contact| contact.canonical.value)
}

#[test]
fn an_email_is_lower_cased_and_its_domain_is_what_dns_has() {
    assert_eq!(value(rules().email("  RITA@Example.COM ")).unwrap(), "rita@example.com");
    assert_eq!(value(rules().email("x@BÜCHER.example")).unwrap(), "x@xn--bcher-kva.example");
    assert_eq!(value(rules().email("x@xn--bcher-kva.example")).unwrap(), "x@xn--bcher-kva.example");
    assert_eq!(value(rules().email("e\u{301}@x.org")).unwrap(), "\u{e9}@x.org");
}

#[test]
fn texts_that_are_no_email_are_refused() {
    let long = format!("{}@example.com", "x".repeat(65));
    for text in
        ["", "@", "x@", "@x.org", "a@b", "a@@x.org", "a@b@x.org", "a b@x.org", "\"a b\"@x.org", "a@[::1]"]
    {
        assert_eq!(value(rules().email(text)), Err(ContactError::NotAnEmail), "{text:?}");
    }
    for text in
        ["a@x..org", "a@-x.org", "a@x.org.", ".a@x.org", "a..b@x.org", "a\0@x.org", "A <a@x.org>", &long]
    {
        assert_eq!(value(rules().email(text)), Err(ContactError::NotAnEmail), "{text:?}");
    }
}

#[test]
fn every_spelling_of_a_phone_number_is_one_number() {
    for text in [
        "+79161234567",
        "8 (916) 123-45-67",
        "7 916 123 45 67",
        "+7-916-123-45-67",
        "9161234567",
        "８９１６１２３４５６７",
        "8\u{a0}916 123\u{2011}45\u{2011}67",
    ] {
        assert_eq!(value(rules().phone(text)).as_deref(), Ok("+79161234567"), "{text:?}");
    }
    let german = ContactRules::new("DE".parse().unwrap());
    assert_eq!(value(german.phone("0151 12345678")).unwrap(), "+4915112345678");
    assert_eq!(value(german.phone("+7 916 123 45 67")).unwrap(), "+79161234567");
}

#[test]
fn texts_that_are_no_phone_number_are_refused() {
    for text in
        ["", "+", "123456", "0000000000000000", "+77777777777777777777", "8916CALLNOW", "+999 12345678"]
    {
        assert_eq!(value(rules().phone(text)), Err(ContactError::NotAPhone), "{text:?}");
    }
    for text in ["8 916 123-45-67 ext. 5", "8 916 123-45-67;ext=5", "\0", "8 916 123\u{0} 45 67"] {
        assert_eq!(value(rules().phone(text)), Err(ContactError::NotAPhone), "{text:?}");
    }
}

#[test]
fn a_username_is_compared_without_case_or_width() {
    for text in ["Anna", "ANNA", "ａｎｎａ", " anna "] {
        assert_eq!(value(rules().username(text)).unwrap(), "anna", "{text:?}");
    }
    assert_eq!(value(rules().username("Straße")).unwrap(), "strasse");
    assert_eq!(value(rules().username("user7")).unwrap(), "user7");
    assert_eq!(value(rules().username("8ball")).unwrap(), "8ball");
}

#[test]
fn a_username_is_never_what_a_login_takes_for_something_else() {
    assert_eq!(value(rules().username("a@b")), Err(ContactError::UsernameWithAt));
    assert_eq!(value(rules().username("a＠b")), Err(ContactError::UsernameWithAt));
    assert_eq!(value(rules().username("89161234567")), Err(ContactError::UsernameIsPhone));
    for text in ["", "  ", "a\0b", "a\u{202e}b", "a\u{200b}b", "a\nb", "a\u{2028}b", "\u{ad}"] {
        assert_eq!(value(rules().username(text)), Err(ContactError::UsernameUnprintable), "{text:?}");
    }
}

/// The canonical value that a login is looked up by.
fn look_up(login: &str) -> Option<CanonicalContact> {
    rules().look_up(login).map(|contact| contact.canonical)
}

#[test]
fn a_login_finds_what_was_registered() {
    for (kind, login, expected) in [
        (ContactKind::Email, " Bob@Example.com", "bob@example.com"),
        (ContactKind::Email, "bob＠example.com", ""),
        (ContactKind::Phone, "8 999 123-45-67", "+79991234567"),
        (ContactKind::SecondLogin, "USER7", "user7"),
    ] {
        let found = look_up(login);
        let wanted = (!expected.is_empty()).then(|| CanonicalContact { kind, value: expected.to_owned() });
        assert_eq!(found, wanted, "{login:?}");
    }
    assert_eq!(look_up("\0"), None);
}

#[test]
fn a_region_needs_a_numbering_plan() {
    assert_eq!("ru".parse::<Region>().unwrap().to_string(), "RU");
    for text in ["", "R", "RUS", "ZZ", "R1", "001"] {
        assert_eq!(text.parse::<Region>(), Err(UnknownRegion), "{text:?}");
    }
}

#[test]
fn debug_output_shows_no_contact() {
    assert_eq!(
        format!("{:?}", rules().email("anna@example.com").unwrap()),
        "Contact { canonical: CanonicalContact(email, ..), typed: .. }"
    );
}

/// Texts that come near a contact: plain, dressed up, and any Unicode.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9._%+-]{1,12}@[a-zA-Z0-9.-]{1,12}\\.[a-zA-Z]{2,4}",
        "\\PC{1,8}@\\PC{1,8}\\.[a-z]{2,3}",
        "[+78]?[ ()0-9-]{6,18}",
        "[\u{ff10}-\u{ff19}]{10,11}",
        "[a-zA-Z0-9]{1,12}",
        "\\PC{1,16}",
        any::<String>(),
    ]
}

fn kinds(text: &str) -> Vec<CanonicalContact> {
    let rules = rules();
    [rules.email(text), rules.phone(text), rules.username(text)]
        .into_iter()
        .filter_map(|contact| contact.ok().map(|contact| contact.canonical))
        .collect()
}

fn again(contact: &CanonicalContact) -> Option<CanonicalContact> {
    let rules = rules();
    let parsed = match contact.kind {
        ContactKind::Email => rules.email(&contact.value),
        ContactKind::Phone => rules.phone(&contact.value),
        ContactKind::SecondLogin => rules.username(&contact.value),
    };
    parsed.ok().map(|contact| contact.canonical)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Idempotence: what is canonical stays as it is. So distinct canonical values never collide on
    /// the way in: each is the image of itself, and a text has one image.
    #[test]
    fn a_canonical_value_is_its_own_canonical_value(text in text()) {
        for contact in kinds(&text) {
            prop_assert_eq!(again(&contact), Some(contact.clone()));
            prop_assert_eq!(look_up(&contact.value), Some(contact));
        }
    }

    #[test]
    fn distinct_canonical_values_never_collide_on_the_way_in(left in text(), right in text()) {
        for left in kinds(&left) {
            for right in kinds(&right) {
                if left != right {
                    prop_assert_ne!(again(&left), again(&right));
                    prop_assert_ne!(look_up(&left.value), look_up(&right.value));
                }
            }
        }
    }

    /// One namespace: no value is canonical for two kinds.
    #[test]
    fn no_value_is_canonical_for_two_kinds(left in text(), right in text()) {
        for left in kinds(&left) {
            for right in kinds(&right) {
                prop_assert!(left.kind == right.kind || left.value != right.value);
            }
        }
    }

    /// What a user registered with is found by the same text, by it in another case, and with spaces.
    #[test]
    fn a_login_finds_the_contact_in_any_spelling(text in text()) {
        let rules = rules();
        let registered = [rules.email(&text), rules.phone(&text)].into_iter().find_map(Result::ok).or_else(|| rules.username(&text).ok());
        if let Some(registered) = registered {
            prop_assert_eq!(look_up(&text), Some(registered.canonical.clone()));
            prop_assert_eq!(look_up(&format!(" {text} ")), Some(registered.canonical));
        }
    }
}

#[test]
fn the_regions_are_those_that_the_library_has_numbers_of() {
    let mut regions: Vec<String> =
        rlibphonenumber::PHONE_NUMBER_UTIL.get_supported_regions().map(|region| region.to_string()).collect();
    regions.retain(|region| region != "001");
    regions.sort_unstable();
    assert_eq!(phone::REGIONS.split_whitespace().collect::<Vec<_>>(), regions);
}
