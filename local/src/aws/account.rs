//! Which account makes a call.

/// The account of an access key id that names no other.
pub const ACCOUNT: &str = "123456789012";

/// The account of an access key id: the first twelve digits in a row, else the default [`ACCOUNT`].
pub fn account_of(access_key_id: &str) -> String {
    access_key_id
        .split(|c: char| !c.is_ascii_digit())
        .find(|digits| digits.len() >= 12)
        .map_or(ACCOUNT, |digits| &digits[..12])
        .to_owned()
}
