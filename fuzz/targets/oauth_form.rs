//! `./scripts/fuzz.sh 60 oauth_form`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::oauth_form(data));
