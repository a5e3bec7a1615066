//! Image ids, Regions and accounts are checked where they enter.

use courier_core::identity::*;

#[test]
fn image_ids_have_8_or_17_hexadecimal_digits() {
    for good in ["ami-5731123e", "ami-0abcdef1234567890"] {
        assert_eq!(good.parse::<ImageId>().unwrap().as_str(), good);
    }
    for bad in ["", "ami-", "ami-5731123", "ami-5731123E", "snap-5731123e", "ami-0abcdef12345678901", "ami-5731123e "] {
        assert!(bad.parse::<ImageId>().is_err(), "{bad}");
    }
}

#[test]
fn regions_of_every_partition_are_read_and_know_their_partition() {
    for (region, partition) in [
        ("us-east-1", "aws"),
        ("ap-southeast-5", "aws"),
        ("il-central-1", "aws"),
        ("cn-northwest-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-south-1", "aws-iso-f"),
        ("eusc-de-east-1", "aws-eusc"),
    ] {
        assert_eq!(region.parse::<Region>().unwrap().partition(), partition, "{region}");
    }
    for bad in
        ["", "us-east", "us-east-", "US-EAST-1", "us-east-1a", "us east 1", "-us-east-1", "us-east-1.evil.example"]
    {
        assert!(bad.parse::<Region>().is_err(), "{bad}");
    }
}

#[test]
fn a_malformed_value_is_named_with_the_accepted_form_and_cut_when_long() {
    let shown = "x".repeat(5000).parse::<Region>().unwrap_err().to_string();
    assert!(shown.contains("such as `us-east-1`") && shown.contains("(5000 bytes)"), "{shown}");
    assert!(shown.len() < 400);
}
