//! Usernames: NFKC and case-folded (Unicode 15 §3.13, compatibility caseless matching), so that
//! nobody is told apart from somebody else by the case or the width of a letter alone.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;
use icu_properties::{
    CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint},
};

/// The canonical username, or `None` if it is empty or has a character that cannot be seen.
pub(super) fn canonical(text: &str) -> Option<String> {
    let folded = fold(text)?;
    let trimmed = folded.trim();
    let readable = !trimmed.is_empty() && !trimmed.chars().any(is_unprintable);
    readable.then(|| trimmed.to_owned())
}

/// Folding can undo NFKC for a few characters, and NFKC folding, so both repeat until nothing
/// changes; the bound is never met by real text.
fn fold(text: &str) -> Option<String> {
    let nfkc = ComposingNormalizer::new_nfkc();
    let mut current = nfkc.normalize(text).into_owned();
    for _ in 0..4 {
        let folded = CaseMapper::new().fold_string(&current);
        let next = nfkc.normalize(&folded).into_owned();
        if next == current {
            return Some(next);
        }
        current = next;
    }
    None
}

fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}')
        || CodePointSetData::new::<BidiControl>().contains(character)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}
