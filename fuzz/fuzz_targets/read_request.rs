//! Any object, as a request.
#![no_main]

use ami_courier_fuzz::announcement::request;
use ami_courier_fuzz::check;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|document: &[u8]| {
    if let Ok(document) = serde_json::from_slice::<Map<String, Value>>(document)
        && let Err(rejection) = request::read(&document)
    {
        check(&rejection);
    }
});
