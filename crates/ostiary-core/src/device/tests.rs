use proptest::prelude::*;

use super::*;

#[test]
fn clients_are_described_in_words() {
    let lines = include_str!("user_agents.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (words, user_agent) = line.split_once(" | ").unwrap();
        let described = describe(user_agent);
        assert_eq!(described.as_ref().map(DeviceDescription::as_str), Some(words), "{user_agent}");
    }
}

#[test]
fn what_says_nothing_is_not_described() {
    for user_agent in
        ["", " ", "-", "...", "Mozilla/5.0", "Dalvik/2.1.0", "()", "/", "//1.0", "\u{202e}", "Привет"]
    {
        assert_eq!(describe(user_agent), None, "{user_agent:?}");
    }
}

#[test]
fn strange_names_are_cut_and_have_nothing_but_tokens() {
    let (x, y) = ("x".repeat(256), format!("{}/99999 (iPhone)", "y".repeat(200)));
    for (user_agent, words) in [
        (&*x, &*"x".repeat(40)),
        (&*y, &*format!("{} 99999 on iPhone", "y".repeat(40))),
        ("app/99999999999999999999", "app"),
        ("<script>alert(1)</script>", "script"),
        ("app\u{202e}ppa/1.0\u{0}", "app"),
        ("Windows", "Windows"),
    ] {
        assert_eq!(describe(user_agent).unwrap().as_str(), words);
    }
}

proptest! {
    #[test]
    fn a_description_is_short_and_printable_whatever_is_described(
        text in "\\PC{0,300}|[ -~]{0,300}|(.|\\n){0,60}",
        parts in prop::collection::vec(
            "Mozilla|%20|/|v?[0-9]{1,12}|\\(|\\)|;| |Edg|Version|bot|iPhone|Darwin|[a-z\u{e0}-\u{ff}]{1,50}", 0..12,
        ),
    ) {
        for user_agent in [text, parts.concat()] {
            let Some(description) = describe(&user_agent) else { continue };
            let words = description.as_str();
            prop_assert!((1..=80).contains(&words.len()), "{words}");
            prop_assert!(words.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{words}");
            prop_assert_eq!(words.trim(), words);
        }
    }
}
