//! `./scripts/fuzz.sh 60 profile`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::profile(data));
