//! Events for the tests, and what they need.

use serde_json::{Value, json};

use super::context::stack_account;
use super::seeds::Seeding;
use crate::aws::ACCOUNT;

/// The function's Region.
pub(super) const REGION: &str = "eu-west-1";

pub(super) fn ami_state_change(region: &str, image_id: &str, state: &str) -> Value {
    json!({
        "version": "0", "id": "e", "detail-type": "EC2 AMI State Change", "source": "aws.ec2", "account": ACCOUNT,
        "time": "2026-01-01T00:00:00Z", "region": region,
        "resources": [format!("arn:aws:ec2:{region}::image/{image_id}")],
        "detail": {"RequestId": "r", "ImageId": image_id, "State": state, "ErrorMessage": ""},
    })
}

pub(super) fn seeding(event: &Value) -> Seeding {
    let mut seeding = Seeding::in_account(stack_account(event).unwrap_or(ACCOUNT));
    seeding.add_all_of(event, REGION);
    seeding
}
