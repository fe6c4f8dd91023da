//! `./scripts/fuzz.sh 60 database_url`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::database_url(data));
