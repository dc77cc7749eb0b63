//! Bytes of a review to bytes of its answer.
#![no_main]

#[path = "../../tests/common/bytes.rs"]
mod bytes;

libfuzzer_sys::fuzz_target!(|body: &[u8]| bytes::check(body));
