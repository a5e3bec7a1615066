"""The commands of docs/many-regions-and-accounts.md, run with the AWS CLI against moto: couriers in two accounts and two Regions.

A stand-in takes the place of `sam package`: it writes the template as CloudFormation's transform would make it, since moto has no transform. `sam deploy` needs
change sets with that transform, so the block for one account is not run. Moto's EventBridge does not judge the policies of buses and queues: the tests of the
policies do.
"""

import json
import shutil

import pytest
import release
from aws_on_loopback import for_moto, started
from pages import script
from stack import ROOT, template
from test_courier import files_of_a_release
from test_hearing import ami

BUILDER, ADMINISTRATOR = "111122223333", "999988887777"
COURIERS = [(account, region) for account in ("444455556666", "777788889999") for region in ("eu-west-1", "ap-northeast-1")]


STAND_IN = """
sam() {
    [ "$1" = package ]
    while [ "$1" != --output-template-file ]; do shift; done
    cp packaged.json "$2"
}
for region in eu-west-1 ap-northeast-1; do
    aws s3api create-bucket --bucket "my-code-$region" --create-bucket-configuration LocationConstraint="$region"
done
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """The documented commands, run in the order of the page."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "packaged.json").write_text(json.dumps(for_moto(template())))
    files_of_a_release(folder)
    shutil.copy(ROOT / "source-region.yaml", folder)
    with started() as aws:
        organization = aws.client("organizations", ADMINISTRATOR, "us-east-1")
        organization.create_organization()
        (root,) = organization.list_roots()["Roots"]
        unit = organization.create_organizational_unit(ParentId=root["Id"], Name="builders")["OrganizationalUnit"]["Id"]
        commands = STAND_IN + (script("many-accounts") + "\n" + script("stack-set")).replace("ou-ab12-11111111", unit)
        aws.printed = aws.shell(commands, ADMINISTRATOR, "us-east-1", folder)
        yield aws


def test_the_commands_share_the_ami_and_its_snapshots(aws, tmp_path):
    ec2 = aws.client("ec2", BUILDER, "us-east-1")
    image = ec2.register_image(Name="golden", RootDeviceName="/dev/sda")["ImageId"]
    aws.shell(script("sharing").replace("ami-0abcdef1234567890", image), BUILDER, "us-east-1", tmp_path)
    permissions = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
    assert permissions == [{"UserId": "444455556666"}]
    (shown,) = ec2.describe_images(ImageIds=[image])["Images"]
    snapshots = [device["Ebs"]["SnapshotId"] for device in shown["BlockDeviceMappings"]]
    assert snapshots
    for snapshot in snapshots:
        attribute = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
        assert attribute["CreateVolumePermissions"] == [{"UserId": "444455556666"}], snapshot


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
        assert f"{account}\t{region}\tCURRENT" in aws.printed


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


def test_the_stack_set_of_a_release_is_made_and_updated_from_a_bucket(aws):
    """The update names every parameter, and keeps its value."""
    stack_set = aws.client("cloudformation", ADMINISTRATOR, "us-east-1").describe_stack_set(StackSetName="ami-courier")["StackSet"]
    values = {parameter["ParameterKey"]: parameter.get("ParameterValue") for parameter in stack_set["Parameters"]}
    assert (values["CodeBucket"], values["BucketPerRegion"], values["SourceRegions"]) == ("my-code", "true", "us-east-1")
    operations = aws.client("cloudformation", ADMINISTRATOR, "us-east-1").list_stack_set_operations(StackSetName="ami-courier")["Summaries"]
    assert "UPDATE" in [operation["Action"] for operation in operations]
    for region in ("eu-west-1", "ap-northeast-1"):
        found = aws.client("s3", ADMINISTRATOR, region).list_objects_v2(Bucket=f"my-code-{region}")["Contents"]
        assert f"ami-courier-{release.version()}-x86_64.zip" in [key["Key"] for key in found]


@pytest.mark.parametrize("name", ["ami-courier-source", "ami-courier-source-ou"])
def test_a_stack_set_forwards_to_all_couriers(aws, name):
    stack_set = aws.client("cloudformation", ADMINISTRATOR, "us-east-1").describe_stack_set(StackSetName=name)["StackSet"]
    assert stack_set["PermissionModel"] == ("SERVICE_MANAGED" if name.endswith("-ou") else "SELF_MANAGED")
    (buses,) = [parameter["ParameterValue"] for parameter in stack_set["Parameters"] if parameter["ParameterKey"] == "EventBusArns"]
    assert buses.split(",") == [f"arn:aws:events:{region}:{account}:event-bus/ami-courier" for account, region in COURIERS]
