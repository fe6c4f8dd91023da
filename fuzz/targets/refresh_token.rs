//! `./scripts/fuzz.sh 60 refresh_token`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::refresh_token(data));
