//! `./scripts/fuzz.sh 60 access_token`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::access_token(data));
