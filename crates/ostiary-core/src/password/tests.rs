use ::argon2::{Argon2, password_hash::phc};

use super::*;

fn replaces(scheme: PasswordScheme, stored: &str) -> bool {
    scheme.replaces(&PasswordHash::from_stored(stored.to_owned()).parse().unwrap())
}

fn workspace() -> Workspace {
    Workspace::default()
}

fn verifies(scheme: PasswordScheme, password: &str, stored: &str) -> Result<bool, UnusableHash> {
    scheme.verify(&Password::new(password), &PasswordHash::from_stored(stored.to_owned()), &mut workspace())
}

/// A hash as the replaced service makes it, of a lower cost to keep the tests quick.
fn old_service_hash(password: &[u8]) -> String {
    let computation = bcrypt::Computation::new(4, secret::random(), password);
    PasswordHash::of_bcrypt(&computation, bcrypt::compute_alone(&computation)).as_str().to_owned()
}

#[test]
fn a_hash_is_argon2id_with_owasp_parameters_and_a_salt_of_its_own() {
    let mut workspace = workspace();
    let password = Password::new("correct horse");
    let first = PasswordScheme::Argon2id.hash(&password, &mut workspace);
    let second = PasswordScheme::Argon2id.hash(&password, &mut workspace);
    assert!(first.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", first.as_str());
    assert_ne!(first, second);
    assert!(!replaces(PasswordScheme::Argon2id, first.as_str()));
}

/// The crate's own verifier reads what we write with a reused buffer, and the other way round.
#[test]
fn hashes_are_the_same_as_the_crates_own() {
    use ::argon2::password_hash::PasswordVerifier;
    let mut workspace = workspace();
    for text in ["correct horse", "пароль пароль", "x"] {
        let hash = PasswordScheme::Argon2id.hash(&Password::new(text), &mut workspace);
        let parsed = phc::PasswordHash::new(hash.as_str()).unwrap();
        assert!(Argon2::default().verify_password(text.as_bytes(), &parsed).is_ok());
    }
    // Written by the reference implementation, libargon2, through argon2-cffi.
    for reference in [
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$/DO3gTkjHTS3Fia9YkXB1y76GQrWBcPYFmpyrc7fosI",
        "$argon2i$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$Xa6qz301W1SA3+F0uTR4gw1ZFMtxOqvVYh4Sa4RGVlk",
    ] {
        assert_eq!(verifies(PasswordScheme::Argon2id, "password", reference), Ok(true));
        assert_eq!(verifies(PasswordScheme::Argon2id, "passwore", reference), Ok(false));
    }
}

#[test]
fn the_last_byte_counts_at_every_length() {
    let mut workspace = workspace();
    for length in (8..=256).step_by(31).chain([71, 72, 73, 256]) {
        let right = "x".repeat(length);
        let wrong = format!("{}y", "x".repeat(length - 1));
        let hash = PasswordScheme::Argon2id.hash(&Password::new(&right), &mut workspace);
        let scheme = PasswordScheme::Argon2id;
        assert_eq!(scheme.verify(&Password::new(&right), &hash, &mut workspace), Ok(true), "{length}");
        assert_eq!(scheme.verify(&Password::new(&wrong), &hash, &mut workspace), Ok(false), "{length}");
    }
}

#[test]
fn composed_and_decomposed_letters_are_the_same_password_and_case_and_spaces_count() {
    let mut workspace = workspace();
    let hash = PasswordScheme::Argon2id.hash(&Password::new("caf\u{e9} noir"), &mut workspace);
    let mut verify =
        |text: &str| PasswordScheme::Argon2id.verify(&Password::new(text), &hash, &mut workspace);
    assert_eq!(verify("cafe\u{301} noir"), Ok(true));
    assert_eq!(verify("Caf\u{e9} noir"), Ok(false));
    assert_eq!(verify("caf\u{e9} noir "), Ok(false));
}

#[test]
fn hashes_of_the_replaced_service_verify_and_are_replaced_by_stronger_ones() {
    // Written by passlib 1.7.4 with bcrypt 4.0.1: `bcrypt.using(rounds=12).hash("correct horse")`.
    let stored = "$2b$12$TxZc2ZpIWeoDt6Odx0SkmepB8DExVVjWmVpMohAL3SVe8DmdmUf9u".to_owned();
    assert_eq!(verifies(PasswordScheme::Argon2id, "correct horse", &stored), Ok(true));
    assert_eq!(verifies(PasswordScheme::Argon2id, "correct horsf", &stored), Ok(false));
    assert!(replaces(PasswordScheme::Argon2id, &stored));
    assert!(!replaces(PasswordScheme::Bcrypt, &stored));
    let weaker = old_service_hash(b"correct horse");
    assert!(replaces(PasswordScheme::Bcrypt, &weaker), "cost 4 is weaker than 12");
    assert!(!PasswordScheme::Bcrypt.replaces(&PasswordScheme::Bcrypt.decoy()));
    // Crypt_blowfish's own test vector.
    let vector = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    assert_eq!(verifies(PasswordScheme::Argon2id, "U*U", vector), Ok(true));
}

#[test]
fn a_hash_of_the_replaced_service_is_of_the_bytes_as_they_were_typed() {
    let stored = old_service_hash("cafe\u{301} noir".as_bytes());
    assert_eq!(verifies(PasswordScheme::Argon2id, "cafe\u{301} noir", &stored), Ok(true));
}

#[test]
fn bcrypt_sees_72_bytes_of_an_imported_password_and_fails_closed_where_it_is_the_scheme() {
    // Written by passlib 1.7.4 with bcrypt 4.0.1: `bcrypt.using(rounds=4).hash("x" * 80)`.
    let stored = "$2b$04$htMrnLk6gqR/qYAVajMoZO0rVR9HitW.wleUD2rBeETWIKsJDrSAG";
    let long = "x".repeat(80);
    assert_eq!(verifies(PasswordScheme::Argon2id, &long, stored), Ok(true));
    assert_eq!(verifies(PasswordScheme::Bcrypt, &long, stored), Ok(false));
    let exact = "x".repeat(72);
    assert!(!Password::new(&exact).is_too_long_for_bcrypt());
    assert!(Password::new(&"x".repeat(73)).is_too_long_for_bcrypt());
    assert_eq!(verifies(PasswordScheme::Bcrypt, &exact, &old_service_hash(exact.as_bytes())), Ok(true));
}

#[test]
fn a_nul_never_cuts_a_password_short_under_bcrypt() {
    let stored = old_service_hash(b"correct horse");
    assert_eq!(verifies(PasswordScheme::Argon2id, "correct horse\0anything", &stored), Ok(false));
}

#[test]
fn bcrypt_hashes_are_of_the_form_that_the_replaced_service_reads() {
    let hash = PasswordScheme::Bcrypt.hash(&Password::new("correct horse"), &mut workspace());
    assert!(hash.as_str().starts_with("$2b$12$") && hash.as_str().len() == 60, "{}", hash.as_str());
    assert_eq!(verifies(PasswordScheme::Bcrypt, "correct horse", hash.as_str()), Ok(true));
}

#[test]
fn damaged_foreign_and_too_dear_hashes_cannot_be_used() {
    let good = PasswordScheme::Argon2id.hash(&Password::new("x"), &mut workspace());
    let cut = &good.as_str()[..40];
    for stored in [
        "",
        "x",
        "$",
        "$2",
        "$2b$",
        "$2b$12$",
        "$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe\u{e9}",
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$/DO3gTkjHTS3Fia9YkXB1y76GQrWBcPYFmpyrc7fosI",
        "$argon2id$v=19$m=19456,t=1000,p=1$c29tZXNhbHRzb21lc2FsdA$/DO3gTkjHTS3Fia9YkXB1y76GQrWBcPYFmpyrc7fosI",
        "$argon2id$v=19$m=19456,t=2,p=64$c29tZXNhbHRzb21lc2FsdA$/DO3gTkjHTS3Fia9YkXB1y76GQrWBcPYFmpyrc7fosI",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA",
        "$argon2id$v=19$m=19456,t=2,p=1",
        "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
        cut,
        "\0",
    ] {
        assert_eq!(verifies(PasswordScheme::Argon2id, "x", stored), Err(UnusableHash), "{stored}");
    }
}

#[test]
fn weaker_argon2_hashes_are_replaced() {
    for stored in [
        "$argon2id$v=19$m=16384,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$/DO3gTkjHTS3Fia9YkXB1y76GQrWBcPYFmpyrc7fosI",
        "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$/DO3gTkjHTS3Fia9YkXB1y76GQrWBcPYFmpyrc7fosI",
        "$argon2i$v=19$m=65536,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$/DO3gTkjHTS3Fia9YkXB1y76GQrWBcPYFmpyrc7fosI",
    ] {
        assert!(replaces(PasswordScheme::Argon2id, stored), "{stored}");
    }
    let stronger =
        "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$/DO3gTkjHTS3Fia9YkXB1y76GQrWBcPYFmpyrc7fosI";
    assert!(!replaces(PasswordScheme::Argon2id, stronger));
}

#[test]
fn a_decoy_verifies_without_a_match() {
    for scheme in [PasswordScheme::Argon2id, PasswordScheme::Bcrypt] {
        let decoy = scheme.decoy();
        let new = scheme.hash(&Password::new("correct horse"), &mut workspace()).parse().unwrap();
        match (&decoy, &new) {
            (ParsedHash::Argon2(decoy), ParsedHash::Argon2(new)) => {
                assert_eq!(decoy.matches(&Password::new("correct horse"), &mut workspace()), Ok(false));
                assert_eq!(decoy.blocks(), new.blocks());
            }
            (ParsedHash::Bcrypt(decoy), ParsedHash::Bcrypt(new)) => {
                let password = Password::new("correct horse");
                let computations = decoy.computations(&password);
                let output = bcrypt::compute_alone(&computations[0]);
                assert!(!scheme.accepts_bcrypt(&password, decoy, &[output]));
                assert_eq!(decoy.cost(), new.cost());
            }
            _ => panic!("{decoy:?} is of another kind than {new:?}"),
        }
        assert!(!scheme.replaces(&decoy), "a decoy has the parameters of a new hash");
    }
}

#[test]
fn common_passwords_and_the_users_own_names_are_too_common() {
    let about_user = vec!["anna-karenina".to_owned()];
    for text in ["password", "12345678", "qwertyuiop", "iloveyou", "anna-karenina", "Password1"] {
        assert!(Password::new(text).is_too_common(1, &about_user), "{text}");
        assert!(!Password::new(text).is_too_common(0, &about_user), "{text}");
    }
    for text in ["correct horse", "q7#Lm2xZ", &"a".repeat(256)] {
        assert!(!Password::new(text).is_too_common(1, &about_user), "{text}");
    }
    assert!(Password::new("q7#Lm2xZ").is_too_common(4, &about_user));
}

#[test]
fn debug_output_shows_no_password_and_no_hash() {
    let password = Password::new("correct horse");
    let hash = PasswordHash::from_stored("$2b$12$secret".to_owned());
    assert_eq!(format!("{password:?} {hash:?}"), "Password(..) PasswordHash(..)");
}

#[test]
fn memory_that_an_imported_hash_needed_is_not_kept() {
    let mut workspace = workspace();
    workspace.blocks(64 * 1024);
    assert_eq!(format!("{workspace:?}"), "Workspace(65536 KiB)");
    workspace.blocks(Workspace::KEPT);
    assert_eq!(format!("{workspace:?}"), "Workspace(19456 KiB)");
    workspace.blocks(64);
    assert_eq!(format!("{workspace:?}"), "Workspace(19456 KiB)");
}
