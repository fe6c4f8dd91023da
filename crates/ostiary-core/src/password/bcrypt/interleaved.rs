//! Several independent bcrypt computations in one thread, step by step in turn.
//!
//! Each step of Blowfish waits for four reads that depend on the step before, so a processor that
//! computes one bcrypt is idle for most of the time. Given the steps of four, it does them in little more than
//! the time of one; the test `what_a_core_gains_by_computing_together` prints how much.

use zeroize::Zeroizing;

use super::{Computation, Output};

/// Words of the key that Blowfish mixes in: one for each of the 16 rounds, and two at the end.
const SUBKEYS: usize = 18;
/// The state of Blowfish: the subkeys, and four tables of 256 words after them.
type State = [u32; SUBKEYS + 4 * 256];
/// As many words as there are lanes.
type Words<const LANES: usize> = [u32; LANES];

/// What the state is at first: the digits of pi after the point (Schneier, 1993). These were computed by Machin's
/// formula; a test does so again.
const INITIAL: State = words(include_bytes!("pi.hex"));
/// The text that bcrypt encrypts 64 times.
const PLAINTEXT: &[u8; 24] = b"OrpheanBeholderScryDoubt";

/// The words of a text in hexadecimal digits and line ends.
const fn words(text: &[u8]) -> State {
    let mut words = [0; SUBKEYS + 4 * 256];
    let (mut at, mut digits) = (0, 0);
    while at < text.len() {
        if let Some(digit) = (text[at] as char).to_digit(16) {
            words[digits / 8] = words[digits / 8] << 4 | digit;
            digits += 1;
        }
        at += 1;
    }
    words
}

/// The output of each of `computations`.
///
/// # Panics
/// If their costs differ.
pub(super) fn compute<const LANES: usize>(computations: [&Computation; LANES]) -> [Output; LANES] {
    let cost = computations[0].cost;
    assert!(computations.iter().all(|computation| computation.cost == cost), "lanes go in step");
    let keys = Zeroizing::new(repeated(computations.map(|computation| computation.key.as_slice())));
    let salts = repeated(computations.map(|computation| computation.salt.as_slice()));

    let mut states = Zeroizing::new([INITIAL; LANES]);
    expand(&mut states, &keys, |place| salts[place % 4]);
    for _ in 0..1_u32 << cost {
        expand(&mut states, &keys, |_| [0; LANES]);
        expand(&mut states, &salts, |_| [0; LANES]);
    }
    encrypted(&states)
}

/// The bytes of each lane, repeated until they fill the subkeys.
fn repeated<const LANES: usize>(bytes: [&[u8]; LANES]) -> [Words<LANES>; SUBKEYS] {
    let mut bytes = bytes.map(|bytes| bytes.iter().cycle());
    let mut word =
        |lane: usize| bytes[lane].by_ref().take(4).fold(0, |word, byte| word << 8 | u32::from(*byte));
    std::array::from_fn(|_| std::array::from_fn(&mut word))
}

/// Mixes `keys` into the subkeys, and replaces all words of the state by what they encrypt. The words of `salt` are
/// mixed into the text on the way.
fn expand<const LANES: usize>(
    states: &mut [State; LANES],
    keys: &[Words<LANES>; SUBKEYS],
    salt: impl Fn(usize) -> Words<LANES>,
) {
    for (place, words) in keys.iter().enumerate() {
        for (state, word) in states.iter_mut().zip(words) {
            state[place] ^= word;
        }
    }
    let (mut left, mut right) = ([0; LANES], [0; LANES]);
    for place in (0..INITIAL.len()).step_by(2) {
        let (salt_left, salt_right) = (salt(place), salt(place + 1));
        for lane in 0..LANES {
            left[lane] ^= salt_left[lane];
            right[lane] ^= salt_right[lane];
        }
        encrypt(states, &mut left, &mut right);
        for (lane, state) in states.iter_mut().enumerate() {
            state[place] = left[lane];
            state[place + 1] = right[lane];
        }
    }
}

/// One encryption in each lane. A subkey is mixed in with the result of a round rather than before the next, so
/// that no round waits for it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is the inner loop: its words stay in registers")]
fn encrypt<const LANES: usize>(states: &[State; LANES], left: &mut Words<LANES>, right: &mut Words<LANES>) {
    for lane in 0..LANES {
        left[lane] ^= states[lane][0];
    }
    for round in (1..SUBKEYS - 1).step_by(2) {
        for lane in 0..LANES {
            right[lane] ^= mix(&states[lane], left[lane]) ^ states[lane][round];
        }
        for lane in 0..LANES {
            left[lane] ^= mix(&states[lane], right[lane]) ^ states[lane][round + 1];
        }
    }
    for lane in 0..LANES {
        right[lane] ^= states[lane][SUBKEYS - 1];
    }
    std::mem::swap(left, right);
}

/// Blowfish's F.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is the inner loop")]
fn mix(state: &State, word: u32) -> u32 {
    let entry = |table: usize, shift: u32| state[SUBKEYS + 256 * table + (word >> shift & 0xff) as usize];
    (entry(0, 24).wrapping_add(entry(1, 16)) ^ entry(2, 8)).wrapping_add(entry(3, 0))
}

fn encrypted<const LANES: usize>(states: &[State; LANES]) -> [Output; LANES] {
    let mut outputs = [[0; PLAINTEXT.len()]; LANES];
    for block in (0..PLAINTEXT.len()).step_by(8) {
        let word =
            |from: usize| PLAINTEXT[from..from + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let (mut left, mut right) = ([word(block); LANES], [word(block + 4); LANES]);
        for _ in 0..64 {
            encrypt(states, &mut left, &mut right);
        }
        for (lane, output) in outputs.iter_mut().enumerate() {
            output[block..block + 4].copy_from_slice(&left[lane].to_be_bytes());
            output[block + 4..block + 8].copy_from_slice(&right[lane].to_be_bytes());
        }
    }
    outputs.map(|[output @ .., _]| output)
}

#[cfg(test)]
mod tests;
