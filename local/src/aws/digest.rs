//! MD5: the digests SQS answers with, and a source of ids and decisions that are the same in every run.

use md5::{Digest, Md5};

pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// 17 hexadecimal digits, as in the ids of EC2.
pub(super) fn ec2_id(prefix: &str, seed: &str) -> String {
    format!("{prefix}-0{}", &hex(&md5(seed.as_bytes()))[..16])
}

/// The shape of a UUID.
pub(super) fn uuid(seed: &str) -> String {
    let digits = hex(&md5(seed.as_bytes()));
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
