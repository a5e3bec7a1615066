//! The JSON of outcomes.

use serde_json::{Value, json};

use courier_core::identity::Identity;
use courier_core::in_step::Part;
use courier_core::outcome::*;

fn route() -> Route {
    let source = Identity { region: "us-east-1".parse().unwrap(), image: "ami-5731123e".parse().unwrap() };
    Route::new(&source, &"eu-west-1".parse().unwrap())
}

#[test]
fn an_outcome_is_written_in_the_field_names_of_the_ec2_api() {
    let image_id = || "ami-0abcdef1234567890".parse().unwrap();
    let with_route = |mut fields: Value| {
        fields["SourceImageId"] = json!("ami-5731123e");
        fields["SourceRegion"] = json!("us-east-1");
        fields["Region"] = json!("eu-west-1");
        fields
    };
    let copy = "ami-0abcdef1234567890";
    let outcomes = [
        (
            Outcome::Started {
                image_id: image_id(),
                name: "golden".parse().unwrap(),
                route: route(),
                client_token: "token".parse().unwrap(),
            },
            with_route(json!({ "Outcome": "Started", "ImageId": copy, "Name": "golden", "ClientToken": "token" })),
        ),
        (
            Outcome::AlreadyCopied { image_id: image_id(), name: "golden".to_owned(), route: route() },
            with_route(json!({ "Outcome": "AlreadyCopied", "ImageId": copy, "Name": "golden" })),
        ),
        (
            Outcome::DryRun { name: "golden".parse().unwrap(), route: route(), client_token: None },
            with_route(json!({ "Outcome": "DryRun", "Name": "golden" })),
        ),
        (
            Outcome::DryRun { name: "golden".parse().unwrap(), route: route(), client_token: "mine".parse().ok() },
            with_route(json!({ "Outcome": "DryRun", "Name": "golden", "ClientToken": "mine" })),
        ),
        (Outcome::Ignored { reason: "why".to_owned(), route: None }, json!({ "Outcome": "Ignored", "Reason": "why" })),
        (
            Outcome::Ignored { reason: "why".to_owned(), route: Some(route()) },
            with_route(json!({ "Outcome": "Ignored", "Reason": "why" })),
        ),
        (
            Outcome::Finished {
                image_id: image_id(),
                name: "golden".to_owned(),
                route: route(),
                duration_seconds: Some(60),
                lag_seconds: None,
                size_gib: 8,
                not_shared: None,
                parameter: None,
            },
            with_route(
                json!({ "Outcome": "Finished", "ImageId": copy, "Name": "golden", "DurationSeconds": 60, "SizeGiB": 8 }),
            ),
        ),
        (
            Outcome::Updated {
                image_id: image_id(),
                name: "golden".to_owned(),
                route: route(),
                changed: vec![Part::Tags, Part::Parameter],
                parameter: None,
            },
            with_route(
                json!({ "Outcome": "Updated", "ImageId": copy, "Name": "golden", "Changed": ["Tags", "Parameter"] }),
            ),
        ),
        (
            Outcome::Retired {
                image_id: image_id(),
                name: "golden".to_owned(),
                route: route(),
                reason: "why".to_owned(),
            },
            with_route(json!({ "Outcome": "Retired", "ImageId": copy, "Name": "golden", "Reason": "why" })),
        ),
    ];
    for (outcome, expected) in outcomes {
        assert_eq!(serde_json::to_value(&outcome).unwrap(), expected);
        assert_eq!(outcome.name(), expected["Outcome"]);
        assert_eq!(outcome.copy().map(|id| json!(id)), expected.get("ImageId").cloned());
        assert_eq!(outcome.route(), expected.get("Region").map(|_| route()).as_ref());
    }
}
