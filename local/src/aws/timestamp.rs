//! Times on the wire.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// ISO 8601 as EC2 writes it: `2026-01-01T00:00:00.000Z`.
pub(super) fn ec2_time(at: OffsetDateTime) -> String {
    at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"))
        .expect("a date formats")
}

/// ISO 8601 as `EventBridge` writes it: `2026-01-01T00:00:00Z`.
pub(super) fn event_time(at: OffsetDateTime) -> String {
    at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z")).expect("a date formats")
}

/// The `Date` of an HTTP answer: `Thu, 01 Jan 2026 00:00:00 GMT`.
pub(super) fn http_date(at: OffsetDateTime) -> String {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    at.format(format).expect("a date formats")
}

/// Any ISO 8601 time that a client may send.
pub(super) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
