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
        let code = text.to_ascii_uppercase();
        if !REGIONS.split_whitespace().any(|region| region == code) {
            return Err(UnknownRegion);
        }
        IsoRegion::from_code(&code).map(Self).map_err(|_| UnknownRegion)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The regions that the library has numbers of. It could be asked, but then it would read all of its
/// metadata at the start, some megabytes, where a server may never see a phone number.
pub(super) const REGIONS: &str = "\
    AC AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS \
    BT BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG \
    EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT \
    HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR \
    LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF \
    NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD \
    SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD TG TH TJ TK TL TM TN TO TR TT TV TW \
    TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

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
