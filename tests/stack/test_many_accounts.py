"""The commands of docs/many-regions-and-accounts.md, run with the AWS CLI against moto: couriers in two accounts and two Regions.

A stand-in takes the place of `sam package`: it writes the template as CloudFormation's transform would make it, since moto has no transform. `sam deploy` needs
change sets with that transform, so the block for one account is not run. Moto's EventBridge does not judge the policies of buses and queues: the tests of the
policies do.
"""

import json

import pytest
from aws_on_loopback import for_moto, started
from documented import commands
from stack import ROOT, template
from test_hearing import ami

BUILDER, ADMINISTRATOR = "111122223333", "999988887777"
COURIERS = [(account, region) for account in ("444455556666", "777788889999") for region in ("eu-west-1", "ap-northeast-1")]


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """The documented commands, run in the order of the page."""
    packaged = tmp_path_factory.mktemp("packaged") / "packaged.json"
    packaged.write_text(json.dumps(for_moto(template())))
    stand_in = f"""
        sam() {{
            [ "$1" = package ]
            while [ "$1" != --output-template-file ]; do shift; done
            cp {packaged} "$2"
        }}
        cd {packaged.parent}
        cp {ROOT / 'source-region.yaml'} .
        for region in eu-west-1 ap-northeast-1; do aws s3api create-bucket --bucket "my-code-$region" --create-bucket-configuration LocationConstraint="$region"; done
    """
    scripts = commands(having="SELF_MANAGED") + commands(having="list-stack-instances")
    with started() as aws:
        aws.listed = aws.shell(stand_in + "\n".join(scripts), ADMINISTRATOR, "us-east-1")
        yield aws


def stack_of(aws, account, region):
    (stack,) = aws.client("cloudformation", account, region).describe_stacks()["Stacks"]
    return stack


def queue_of(aws, account, region):
    return next(output["OutputValue"] for output in stack_of(aws, account, region)["Outputs"] if output["OutputKey"] == "QueueUrl")


@pytest.mark.parametrize(("account", "region"), COURIERS)
def test_a_courier_stands_in_each_destination(aws, account, region):
    assert stack_of(aws, account, region)["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack_of(aws, account, region)["Outputs"]}
    assert outputs["EventBusArn"] == f"arn:aws:events:{region}:{account}:event-bus/ami-courier"


def test_the_page_lists_the_instances(aws):
    for account, region in COURIERS:
        assert f"{account}\t{region}\tCURRENT" in aws.listed


def test_an_ami_of_the_builder_is_announced_to_every_courier(aws):
    event = ami("available")
    entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
    aws.client("events", BUILDER, "us-east-1").put_events(Entries=[entry])
    for account, region in COURIERS:
        heard = aws.client("sqs", account, region).receive_message(QueueUrl=queue_of(aws, account, region)).get("Messages", [])
        assert [json.loads(message["Body"])["detail"] for message in heard] == [event["detail"]], f"{account} {region}"


@pytest.mark.parametrize(("account", "region"), COURIERS)
def test_the_default_bus_of_a_destination_stays_closed(aws, account, region):
    assert "Policy" not in aws.client("events", account, region).describe_event_bus(Name="default")
