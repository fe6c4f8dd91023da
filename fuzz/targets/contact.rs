//! `./scripts/fuzz.sh 60 contact`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::contact(data));
