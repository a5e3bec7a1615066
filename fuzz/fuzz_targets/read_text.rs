//! Any body of an SQS message.
#![no_main]

use ami_courier_fuzz::{check, stack};
use courier_core::announcement::{Announcement, Pointer, read_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    match read_text(body, &stack()) {
        Ok(announcements) => {
            assert!(!announcements.is_empty());
            for announcement in announcements {
                match announcement {
                    Announcement::Built { ami: Pointer::Images(amis), .. } => assert!(!amis.is_empty()),
                    Announcement::Own { message, hops } => {
                        let again = read_text(&message.body(hops), &stack());
                        assert_eq!(again, Ok(vec![Announcement::Own { message, hops }]));
                    }
                    _ => {}
                }
            }
        }
        Err(rejection) => check(&rejection),
    }
});
