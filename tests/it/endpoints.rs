//! The SDKs' standard names for the endpoint of one service are honoured: one service can be another AWS than the rest.

use std::collections::BTreeSet;
use std::time::Duration;

use local::aws::{Aws, Image};
use serde_json::json;

use crate::stage::{HERE, Stage, THERE, batch, state_change};

const AMI: &str = "ami-0abcdef1234567890";

/// The services that were called here.
fn called(aws: &Aws) -> BTreeSet<String> {
    aws.world().calls().into_iter().map(|call| call.service).collect()
}

#[tokio::test]
async fn each_service_is_called_at_its_own_endpoint_and_without_one_at_that_of_all_services() {
    let services = [("EC2", "ec2"), ("SSM", "ssm"), ("EVENTBRIDGE", "events"), ("SQS", "sqs")];
    for (without, _) in services {
        let (stage, [ec2, ssm, events]) = scene().await;
        let worlds = [&ec2, &ssm, &events, &stage.aws];
        let mut function = stage.function_in(HERE);
        for ((service, _), aws) in services.into_iter().zip(worlds) {
            function = if service == without {
                function.endpoint_url(&aws.endpoint())
            } else {
                function.set(format!("AWS_ENDPOINT_URL_{service}"), aws.endpoint())
            };
        }
        let function = function.start().await.expect("the function starts");
        let answer = function.invoke(&state_change(THERE, AMI, "available")).await.expect("an answer");
        let copy = answer[0]["ImageId"].as_str().expect("a copy").to_owned();
        let finish = state_change(HERE, &copy, "available").to_string();
        let reject = json!({ "SourceImageId": "nonsense" }).to_string();
        // (Parameter Store checks an AMI's id. It does not know this one, so the copy is not finished.)
        function.invoke(&batch([("finish", finish), ("reject", reject)])).await.expect("an answer");
        for ((_, service), aws) in services.into_iter().zip(worlds) {
            assert_eq!(called(aws), BTreeSet::from([service.to_owned()]), "without an endpoint of its own: {without}");
        }
    }
}

/// Four AWSs: the stage's has the queues, the first of the others the AMI, and its copies take no time.
async fn scene() -> (Stage, [Aws; 3]) {
    let stage = Stage::new().await.set("PARAMETER_NAME", "/golden/latest");
    let others = futures_util::future::join_all((0..3).map(|_| Aws::start())).await;
    let others: Vec<Aws> = others.into_iter().map(|aws| aws.expect("a free port on loopback")).collect();
    let others: [Aws; 3] = others.try_into().ok().expect("three");
    {
        let mut world = others[0].world();
        world.behaviour.copy_duration = Duration::ZERO;
        world.add_image(THERE, Image::new(AMI, "golden-1"));
    }
    (stage, others)
}
