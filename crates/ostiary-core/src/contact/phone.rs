//! Phone numbers: E.164, read by the rules of libphonenumber.
//!
//! A number counts if its country has numbers of that length. Whether its range is assigned is not
//! asked: ranges are assigned every month, and a number must not turn into a username, or back, with
//! a release of the metadata.

use std::{fmt, str::FromStr};

use icu_normalizer::ComposingNormalizer;
use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat, Region as IsoRegion};

/// A country or territory whose national phone numbers are understood; ISO 3166-1 alpha-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(IsoRegion);

/// A text names no region that has a numbering plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a region with phone numbers: give two letters of ISO 3166-1, such as RU, DE or US")]
pub struct UnknownRegion;

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let region = IsoRegion::from_code(text).map_err(|_| UnknownRegion)?;
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).ok_or(UnknownRegion)?;
        Ok(Self(region))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// E.164 has at most 15 digits; the rest is room for punctuation. The parser never sees more.
const MAX_CHARS: usize = 40;

pub(super) fn canonical(text: &str, default_region: Region) -> Option<String> {
    let text = ComposingNormalizer::new_nfkc().normalize(text);
    let text = text.trim();
    if text.chars().count() > MAX_CHARS || !text.chars().all(is_dialled_or_punctuation) {
        return None;
    }
    let number = PHONE_NUMBER_UTIL.parse(text, Some(default_region.0)).ok()?;
    if number.extension.is_some() || number.is_possible_with_reason() != Ok(NumberLengthType::IsPossible) {
        return None;
    }
    Some(number.format_as(PhoneNumberFormat::E164).into_owned())
}

/// No letters: a word on a telephone's keys is not how anyone spells the number they registered.
fn is_dialled_or_punctuation(character: char) -> bool {
    character.is_ascii_digit()
        || character.is_whitespace()
        || matches!(character, '+' | '(' | ')' | '.' | '/' | '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}
