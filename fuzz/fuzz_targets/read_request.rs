//! Any object, as a request.
#![no_main]

use ami_courier_fuzz::check;
use courier_core::announcement::request;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|document: &[u8]| {
    let Ok(document) = serde_json::from_slice::<Map<String, Value>>(document) else { return };
    match request::read(&document) {
        Ok(request) => {
            let again = request.document();
            assert_eq!(again.as_object().map(request::read), Some(Ok(request)));
        }
        Err(rejection) => check(&rejection),
    }
});
