//! Several independent bcrypt computations in one thread, step by step in turn.
//!
//! Each step of Blowfish waits for four reads that depend on the step before, so a processor that
//! computes one bcrypt is idle for most of the time. Given the steps of four, it does them in little more than
//! the time of one: measured, 3.3 times the computations a core.

use zeroize::{Zeroize, Zeroizing};

use super::{Computation, Output};

/// Words of the key that Blowfish mixes in: one for each of the 16 rounds, and two at the end.
const SUBKEYS: usize = 18;
/// The text that bcrypt encrypts 64 times.
const PLAINTEXT: &[u8; 24] = b"OrpheanBeholderScryDoubt";

/// Blowfish's tables are filled with the digits of pi after the point (Schneier, 1993). These were computed by
/// Machin's formula; a test does so again.
const PI: &[u8] = include_bytes!("pi.hex");
const INITIAL: Blowfish = Blowfish::initial();

/// One of the states side by side.
#[derive(Clone, Zeroize)]
struct Blowfish {
    subkeys: [u32; SUBKEYS],
    boxes: [[u32; 256]; 4],
}

impl Blowfish {
    const fn initial() -> Self {
        let mut state = Self { subkeys: [0; SUBKEYS], boxes: [[0; 256]; 4] };
        let (mut digit, mut at) = (0, 0);
        while at < PI.len() {
            let value = match PI[at] {
                digit @ b'0'..=b'9' => digit - b'0',
                digit @ b'a'..=b'f' => digit - b'a' + 10,
                _ => {
                    at += 1;
                    continue;
                }
            };
            let word = digit / 8;
            let slot = if word < SUBKEYS {
                &mut state.subkeys[word]
            } else {
                &mut state.boxes[(word - SUBKEYS) / 256][(word - SUBKEYS) % 256]
            };
            *slot = *slot << 4 | value as u32;
            digit += 1;
            at += 1;
        }
        state
    }

    /// Blowfish's F.
    #[inline]
    fn mix(&self, word: u32) -> u32 {
        let [first, second, third, fourth] = &self.boxes;
        let sum = first[(word >> 24) as usize].wrapping_add(second[(word >> 16 & 0xff) as usize]);
        (sum ^ third[(word >> 8 & 0xff) as usize]).wrapping_add(fourth[(word & 0xff) as usize])
    }
}

/// As many words as there are lanes.
type Words<const LANES: usize> = [u32; LANES];

/// A key or a salt of each lane, repeated until it fills the subkeys.
type Keys<const LANES: usize> = [Words<LANES>; SUBKEYS];

/// The output of each of `computations`.
///
/// # Panics
/// If their costs differ.
pub(super) fn compute<const LANES: usize>(computations: [&Computation; LANES]) -> [Output; LANES] {
    let cost = computations[0].cost;
    assert!(computations.iter().all(|computation| computation.cost == cost), "lanes go in step");
    let keys = Zeroizing::new(repeated(computations.map(|computation| computation.key.as_slice())));
    let salts = repeated(computations.map(|computation| computation.salt.as_slice()));
    let none = [[0; LANES]; SUBKEYS];

    let mut states = Zeroizing::new([INITIAL; LANES]);
    expand(&mut states, &keys, &salts);
    for _ in 0..1_u32 << cost {
        expand(&mut states, &keys, &none);
        expand(&mut states, &salts, &none);
    }
    encrypted(&states)
}

fn repeated<const LANES: usize>(bytes: [&[u8]; LANES]) -> Keys<LANES> {
    let mut bytes = bytes.map(|bytes| bytes.iter().cycle());
    let mut word =
        |lane: usize| bytes[lane].by_ref().take(4).fold(0, |word, byte| word << 8 | u32::from(*byte));
    std::array::from_fn(|_| std::array::from_fn(&mut word))
}

/// One encryption in each lane. A subkey is mixed in with the result of a round rather than before the next, so
/// that no round waits for it.
#[inline]
fn encrypt<const LANES: usize>(
    states: &[Blowfish; LANES],
    left: &mut Words<LANES>,
    right: &mut Words<LANES>,
) {
    for (word, state) in left.iter_mut().zip(states) {
        *word ^= state.subkeys[0];
    }
    for round in (1..SUBKEYS - 1).step_by(2) {
        for lane in 0..LANES {
            right[lane] ^= states[lane].mix(left[lane]) ^ states[lane].subkeys[round];
        }
        for lane in 0..LANES {
            left[lane] ^= states[lane].mix(right[lane]) ^ states[lane].subkeys[round + 1];
        }
    }
    for (word, state) in right.iter_mut().zip(states) {
        *word ^= state.subkeys[SUBKEYS - 1];
    }
    std::mem::swap(left, right);
}

/// Mixes `keys` into the states, and replaces all of their words by what they encrypt; `salts` are mixed into the
/// text, four words of each in turn.
fn expand<const LANES: usize>(states: &mut [Blowfish; LANES], keys: &Keys<LANES>, salts: &Keys<LANES>) {
    for (place, words) in keys.iter().enumerate() {
        for (state, word) in states.iter_mut().zip(words) {
            state.subkeys[place] ^= word;
        }
    }
    let (mut left, mut right) = ([0; LANES], [0; LANES]);
    let next =
        |states: &[Blowfish; LANES], left: &mut Words<LANES>, right: &mut Words<LANES>, place: usize| {
            for lane in 0..LANES {
                left[lane] ^= salts[place % 4][lane];
                right[lane] ^= salts[place % 4 + 1][lane];
            }
            encrypt(states, left, right);
        };
    for place in (0..SUBKEYS).step_by(2) {
        next(states, &mut left, &mut right, place);
        for (lane, state) in states.iter_mut().enumerate() {
            [state.subkeys[place], state.subkeys[place + 1]] = [left[lane], right[lane]];
        }
    }
    for number in 0..4 {
        for place in (0..256).step_by(2) {
            // The subkeys took two words more than a whole number of turns.
            next(states, &mut left, &mut right, place + 2);
            for (lane, state) in states.iter_mut().enumerate() {
                [state.boxes[number][place], state.boxes[number][place + 1]] = [left[lane], right[lane]];
            }
        }
    }
}

fn encrypted<const LANES: usize>(states: &[Blowfish; LANES]) -> [Output; LANES] {
    let mut outputs = [[0; PLAINTEXT.len()]; LANES];
    for block in (0..PLAINTEXT.len()).step_by(8) {
        let text = PLAINTEXT[block..block + 8].iter();
        let [mut left, mut right] = [0, 4].map(|from| {
            [text.clone().skip(from).take(4).fold(0, |word, byte| word << 8 | u32::from(*byte)); LANES]
        });
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
