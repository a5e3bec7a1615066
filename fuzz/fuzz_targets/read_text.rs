//! Any body of an SQS message.
#![no_main]

use ami_courier_fuzz::announcement::{Announcement, Pointer, read_text};
use ami_courier_fuzz::{check, here};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    match read_text(body, &here()) {
        Ok(announcements) => {
            assert!(!announcements.is_empty());
            for announcement in announcements {
                if let Announcement::Built { ami: Pointer::Images(amis), .. } = announcement {
                    assert!(!amis.is_empty());
                }
            }
        }
        Err(rejection) => check(&rejection),
    }
});
