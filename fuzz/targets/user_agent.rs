//! `./scripts/fuzz.sh 60 user_agent`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::user_agent(data));
