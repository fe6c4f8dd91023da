//! `./scripts/fuzz.sh 60 body`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::body(data));
