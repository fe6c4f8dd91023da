//! `./scripts/fuzz.sh 60 password_hash`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::password_hash(data));
