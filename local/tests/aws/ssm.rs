use std::time::Duration;

use local::aws::{ApiError, Image, ImageState, Parameter, World};
use serde_json::{Value, json};

use super::{REGION, caller, code};

const IMAGE: &str = "ami-00000000000000001";

fn ssm(world: &mut World, action: &str, parameters: &Value) -> Result<Value, ApiError> {
    world.call(&caller(), "ssm", action, parameters)
}

fn put_image(world: &mut World, id: &str) -> Result<Value, ApiError> {
    let parameters =
        json!({ "Name": "/golden", "Value": id, "Type": "String", "DataType": "aws:ec2:image", "Overwrite": true });
    ssm(world, "PutParameter", &parameters)
}

#[test]
fn a_parameter_is_overwritten_only_if_asked_for_and_keeps_its_versions() {
    let mut world = World::default();
    let first = json!({ "Name": "p", "Value": "1", "Type": "String" });
    assert_eq!(ssm(&mut world, "PutParameter", &first).expect("created")["Version"], 1);
    assert_eq!(code(ssm(&mut world, "PutParameter", &first)), "ParameterAlreadyExists");
    let second = json!({ "Name": "p", "Value": "2", "Overwrite": true });
    assert_eq!(ssm(&mut world, "PutParameter", &second).expect("overwritten")["Version"], 2);
    for (name, value) in [("p", "2"), ("p:1", "1"), ("arn:aws:ssm:eu-west-1:123456789012:parameter/p", "2")] {
        let answer = ssm(&mut world, "GetParameter", &json!({ "Name": name })).expect("it is there");
        assert_eq!(answer["Parameter"]["Value"], value, "{name}");
    }
    assert_eq!(code(ssm(&mut world, "GetParameter", &json!({ "Name": "p:9" }))), "ParameterVersionNotFound");
    assert_eq!(code(ssm(&mut world, "GetParameter", &json!({ "Name": "q" }))), "ParameterNotFound");
}

#[test]
fn an_available_image_becomes_the_value_with_an_event() {
    let mut world = World::default();
    world.add_image(REGION, Image::new(IMAGE, "golden"));
    put_image(&mut world, IMAGE).expect("taken");
    let expected =
        Parameter { value: IMAGE.to_owned(), data_type: "aws:ec2:image".to_owned(), version: 1, description: None };
    assert_eq!(world.parameter(REGION, "/golden"), Some(expected));
    let event = &world.take_events()[0];
    assert_eq!(event["detail-type"], "Parameter Store Change");
    assert_eq!(event["resources"][0], "arn:aws:ssm:eu-west-1:123456789012:parameter/golden");
    let detail = json!({ "operation": "Create", "name": "/golden", "type": "String", "dataType": "aws:ec2:image" });
    assert_eq!(event["detail"], detail);
}

#[test]
fn a_bad_image_is_taken_but_shows_in_an_event_alone() {
    let mut world = World::default();
    world.add_image(REGION, Image::new(IMAGE, "golden"));
    put_image(&mut world, IMAGE).expect("taken");
    world.add_image(REGION, Image::new("ami-00000000000000002", "pending").state(ImageState::Pending));
    world.take_events();
    for bad in ["ami-00000000000000002", "ami-00000000000000009", "no image"] {
        put_image(&mut world, bad).expect("accepted at first");
        assert_eq!(world.parameter(REGION, "/golden").expect("the parameter").value, IMAGE);
        let event = &world.take_events()[0];
        assert_eq!(event["detail"]["operation"], "Update");
        assert!(event["detail"]["exception"].is_string(), "{bad}");
    }
}

#[test]
fn the_check_takes_as_long_as_the_world_says() {
    let mut world = World::default();
    world.behaviour.parameter_check_duration = Duration::from_secs(5);
    world.add_image(REGION, Image::new(IMAGE, "golden"));
    put_image(&mut world, IMAGE).expect("taken");
    assert_eq!(world.parameter(REGION, "/golden"), None);
    world.advance(Duration::from_secs(5));
    assert!(world.parameter(REGION, "/golden").is_some());
}

#[test]
fn tags_come_with_creation_or_later_but_not_with_overwriting() {
    let mut world = World::default();
    let tags = json!([{ "Key": "a", "Value": "1" }]);
    let create = json!({ "Name": "p", "Value": "1", "Type": "String", "Tags": tags });
    ssm(&mut world, "PutParameter", &create).expect("created");
    let overwrite = json!({ "Name": "p", "Value": "1", "Type": "String", "Tags": tags, "Overwrite": true });
    assert_eq!(code(ssm(&mut world, "PutParameter", &overwrite)), "ValidationException");
    let later = json!({ "ResourceType": "Parameter", "ResourceId": "p", "Tags": [{ "Key": "b", "Value": "2" }] });
    ssm(&mut world, "AddTagsToResource", &later).expect("tagged");
    assert_eq!(world.parameter_tags(REGION, "p").keys().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_new_parameter_needs_a_type_and_a_proper_name() {
    let mut world = World::default();
    for (name, kind) in
        [("p", Value::Null), ("a b", json!("String")), ("a/b", json!("String")), ("/aws/x", json!("String"))]
    {
        let create = json!({ "Name": name, "Value": "1", "Type": kind });
        assert_eq!(code(ssm(&mut world, "PutParameter", &create)), "ValidationException", "{name}");
    }
}

#[test]
fn several_are_read_at_once_and_the_missing_named() {
    let mut world = World::default();
    world.set_parameter(REGION, "p", "1", "text");
    let answer = ssm(&mut world, "GetParameters", &json!({ "Names": ["p", "q"] })).expect("an answer");
    assert_eq!(answer["Parameters"][0]["Value"], "1");
    assert_eq!(answer["InvalidParameters"], json!(["q"]));
}

#[test]
fn a_parameter_cannot_change_to_or_from_the_data_type_of_images() {
    let mut world = World::default();
    world.add_image(REGION, Image::new(IMAGE, "golden"));
    let put = |world: &mut World, name: &str, value: &str, data_type: Option<&str>| {
        let parameters =
            json!({ "Name": name, "Value": value, "Type": "String", "DataType": data_type, "Overwrite": true });
        ssm(world, "PutParameter", &parameters)
    };
    put(&mut world, "/text", "hello", None).expect("created");
    put(&mut world, "/image", IMAGE, Some("aws:ec2:image")).expect("created");
    assert_eq!(code(put(&mut world, "/text", IMAGE, Some("aws:ec2:image"))), "ValidationException");
    assert_eq!(code(put(&mut world, "/image", "hello", Some("text"))), "ValidationException");
    assert_eq!(world.parameter(REGION, "/text").expect("there is one").value, "hello");
    put(&mut world, "/image", IMAGE, None).expect("without a data type, it keeps its own");
    assert_eq!(world.parameter(REGION, "/image").expect("there is one").data_type, "aws:ec2:image");
    world.behaviour.parameters_change_data_type = true;
    put(&mut world, "/text", IMAGE, Some("aws:ec2:image")).expect("changed");
    assert_eq!(world.parameter(REGION, "/text").expect("there is one").data_type, "aws:ec2:image");
}

#[test]
fn only_the_event_of_a_refused_value_always_names_the_data_type() {
    for named in [true, false] {
        let mut world = World::default();
        world.add_image(REGION, Image::new(IMAGE, "golden"));
        world.behaviour.parameter_events_name_the_data_type = named;
        for (value, is_refused) in [(IMAGE, false), ("ami-00000000000000009", true)] {
            put_image(&mut world, value).expect("accepted");
            let detail = &world.take_events()[0]["detail"];
            let data_type = if named || is_refused { json!("aws:ec2:image") } else { Value::Null };
            assert_eq!((&detail["dataType"], detail["exception"].is_string()), (&data_type, is_refused));
        }
    }
}

#[test]
fn a_description_is_kept_shown_in_lists_and_replaced_with_the_value() {
    let mut world = World::default();
    let put = |world: &mut World, description: &Value| {
        let parameters =
            json!({ "Name": "p", "Value": "1", "Type": "String", "Description": description, "Overwrite": true });
        ssm(world, "PutParameter", &parameters)
    };
    put(&mut world, &json!("how to go back")).expect("created");
    put(&mut world, &Value::Null).expect("overwritten");
    let description = |world: &mut World| {
        ssm(world, "DescribeParameters", &json!({})).expect("a list")["Parameters"][0]["Description"].clone()
    };
    assert_eq!(description(&mut world), "how to go back");
    put(&mut world, &json!("x".repeat(1024))).expect("overwritten");
    assert_eq!(world.parameter(REGION, "p").and_then(|parameter| parameter.description), Some("x".repeat(1024)));
    assert_eq!(code(put(&mut world, &json!("x".repeat(1025)))), "ValidationException");
}

#[test]
fn at_most_ten_are_read_at_once() {
    let mut world = World::default();
    let names: Vec<String> = (0..11).map(|n| format!("/p/{n}")).collect();
    ssm(&mut world, "GetParameters", &json!({ "Names": names[..10] })).expect("an answer");
    assert_eq!(code(ssm(&mut world, "GetParameters", &json!({ "Names": names }))), "ValidationException");
}
