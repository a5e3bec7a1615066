//! What the status says of copies that are out of step, and of their parameters.

use serde_json::{Value, json};

use super::{AMI, copied, events, source, swept, tag, with};
use crate::stage::{HERE, Stage, THERE};

async fn row(function: &local::host::Host) -> Value {
    let status = function.invoke(&json!({ "Status": { "Days": 60 } })).await.expect("a status");
    let rows = status["Images"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), 1, "{status}");
    rows[0].clone()
}

#[tokio::test]
async fn the_status_shows_what_differs_and_the_parameter_with_what_it_holds() {
    let stage = Stage::new().await.set("PARAMETER_NAME", "/golden/{tag:Channel}");
    let (stage, function, copy) = copied(stage, source()).await;
    let in_step = row(&function).await;
    assert_eq!((&in_step["State"], &in_step["Explanation"]), (&json!("Finished"), &Value::Null));
    assert_eq!(in_step["Parameter"], json!({ "Name": "/golden/beta", "Value": copy }));
    tag(&stage, THERE, AMI, "Release", "7");
    tag(&stage, THERE, AMI, "Team", "images");
    let function = with(&stage, &[("SHARE_WITH", "111122223333")]).await;
    let differs = row(&function).await;
    assert_eq!(differs["State"], "OutOfStep");
    assert_eq!(
        differs["Explanation"],
        "2 tags of its source are newer, 1 tag of the courier's is missing, SHARE_WITH has changed"
    );
    tag(&stage, THERE, AMI, "Channel", "prod");
    let promoted = row(&function).await["Explanation"].as_str().expect("what differs").to_owned();
    assert!(promoted.contains("it belongs to the parameter `/golden/prod`"), "{promoted}");
    swept(&stage, &function).await;
    let again = row(&function).await;
    assert_eq!((&again["State"], &again["Parameter"]["Name"]), (&json!("Finished"), &json!("/golden/prod")));
}

#[tokio::test]
async fn a_withdrawn_copy_that_the_parameter_still_holds_is_named_in_the_status_and_in_the_log() {
    let stage = Stage::new().await.set("PARAMETER_NAME", "/golden/{tag:Channel}");
    let (stage, function, copy) = copied(stage, source()).await;
    tag(&stage, THERE, AMI, "ami-courier:withdrawn", "boots too slowly");
    events(&stage, &function).await;
    let withdrawn = row(&function).await;
    assert_eq!(
        withdrawn["Explanation"],
        "it is withdrawn, and its parameter still holds it, until another copy can take its place"
    );
    assert_eq!((&withdrawn["State"], &withdrawn["Parameter"]["Value"]), (&json!("Finished"), &json!(copy)));
    let line = function.logs().into_iter().find(|line| line.contains("Updated")).expect("a line");
    assert!(line.contains("still holds it"), "{line}");
    stage.aws.world().set_parameter(HERE, "/golden/beta", "ami-00000000000000009", "aws:ec2:image");
    assert_eq!(row(&function).await["Explanation"], "it is withdrawn: no parameter is to hold it");
}
