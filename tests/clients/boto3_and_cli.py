#!/usr/bin/env python3
"""boto3 and the AWS CLI as clients of the embedded AWS: its answers must be those that they expect from AWS.

Start one with `cargo run -p local -- serve`, then: boto3_and_cli.py http://127.0.0.1:4566

It makes its own AMIs with RegisterImage, and can run again on the same server. It stops at the first wrong answer, with
exit code 1.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import uuid
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
OTHER_ACCOUNT = "111122223333"
SOURCE_REGION = "us-east-1"
REGION = "ap-northeast-1"
RUN = uuid.uuid4().hex[:8]


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def refused(call, code, what, status=400):
    try:
        answer = call()
    except ClientError as error:
        got = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        check(got == (code, status), f"{what}: {code}, HTTP {status} (got {got})")
        return error.response["Error"]["Message"]
    sys.exit(f"FAILED: {what}: expected {code}, got {answer}")


class Aws:
    """Clients for one endpoint."""

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def client(self, service, region=REGION, account=ACCOUNT):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=f"AKIA{account}TEST",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def cli(self, *arguments):
        """Exit code, standard output, standard error."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "AWS_ACCESS_KEY_ID": f"AKIA{ACCOUNT}TEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }
        command = ["aws", "--endpoint-url", self.endpoint, "--no-cli-pager", "--output", "json", *arguments]
        if "aws-cli/1" in subprocess.run(["aws", "--version"], capture_output=True, text=True).stdout:
            command.remove("--no-cli-pager")
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        return done.returncode, done.stdout, done.stderr


def register(ec2, name, **more):
    return ec2.register_image(Name=f"{name} {RUN}", **more)["ImageId"]


def the_example_of_the_cli(aws):
    """The example on the page of `aws ec2 copy-image`."""
    source_ec2, ec2 = aws.client("ec2", SOURCE_REGION), aws.client("ec2")
    try:
        source_ec2.describe_images(ImageIds=["ami-5731123e"])
    except ClientError:
        source_ec2.register_image(Name="Example", ImageLocation="ami-5731123e")
    for old in ec2.describe_images(Filters=[{"Name": "name", "Values": ["My server"]}])["Images"]:
        ec2.deregister_image(ImageId=old["ImageId"])

    example = ["ec2", "copy-image", "--source-image-id", "ami-5731123e", "--source-region", SOURCE_REGION]
    example += ["--region", REGION, "--name", "My server"]
    code, out, err = aws.cli(*example)
    check(code == 0, f"the CLI's example runs {err}")
    answer = json.loads(out)
    check(list(answer) == ["ImageId"] and answer["ImageId"].startswith("ami-"), f"it prints only an ImageId: {answer}")

    code, out, _ = aws.cli("ec2", "describe-images", "--region", REGION, "--image-ids", answer["ImageId"])
    image = json.loads(out)["Images"][0]
    check(code == 0 and image["Name"] == "My server", "describe-images shows the copy")
    check(image["State"] in ("pending", "available"), f"its state: {image['State']}")
    check(
        (image["SourceImageId"], image["SourceImageRegion"]) == ("ami-5731123e", SOURCE_REGION),
        "it names its source",
    )
    check(image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"].startswith("snap-"), "it has a snapshot")

    code, out, _ = aws.cli(*example)
    check(code == 0 and json.loads(out) != answer, "the same call without a token makes another AMI with the same name")
    code, _, err = aws.cli(*example[:-1], "My?server")
    check(code == 254 or code == 255, f"a malformed name fails: exit code {code}")
    check("(InvalidAMIName.Malformed)" in err, f"with EC2's code: {err.strip()}")
    code, _, err = aws.cli(*example[:-1], "Not/made", "--dry-run")
    check("(DryRunOperation)" in err, "--dry-run ends in DryRunOperation")


def copying(aws):
    source_ec2, ec2 = aws.client("ec2", SOURCE_REGION), aws.client("ec2")
    source_id = register(
        source_ec2,
        "golden",
        Description="a source",
        Architecture="arm64",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 30}},
            {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 100, "SnapshotId": f"snap-{RUN}000000000"}},
            # Blank: a size and no snapshot.
            {"DeviceName": "/dev/sdc", "Ebs": {"VolumeSize": 5}},
        ],
        TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": "team", "Value": "infra & <ops>"}]}],
    )
    call = {
        "Name": f"copy {RUN}",
        "SourceImageId": source_id,
        "SourceRegion": SOURCE_REGION,
        "Description": "a copy",
        "Encrypted": True,
        "CopyImageTags": True,
        "ClientToken": RUN,
        "SnapshotCopyCompletionDurationMinutes": 30,
        "TagSpecifications": [
            {"ResourceType": "image", "Tags": [{"Key": "kind", "Value": "copy"}]},
            {"ResourceType": "snapshot", "Tags": [{"Key": "kind", "Value": "snapshot of copy"}]},
        ],
    }
    copy_id = ec2.copy_image(**call)["ImageId"]
    check(ec2.copy_image(**call)["ImageId"] == copy_id, "the same client token and parameters: the same AMI")
    refused(
        lambda: ec2.copy_image(**call | {"Description": "other"}),
        "IdempotentParameterMismatch",
        "the same token, other parameters",
    )
    image = ec2.describe_images(ImageIds=[copy_id])["Images"][0]
    tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
    check(tags == {"team": "infra & <ops>", "kind": "copy"}, f"tags are copied and added: {tags}")
    check(image["Architecture"] == "arm64" and image["OwnerId"] == ACCOUNT, "architecture and owner")
    check(image["Description"] == "a copy" and image["Public"] is False, "description, and not public")
    datetime.fromisoformat(image["CreationDate"].replace("Z", "+00:00"))
    ebs = [mapping["Ebs"] for mapping in image["BlockDeviceMappings"]]
    check([disk["VolumeSize"] for disk in ebs] == [30, 100, 5], "all volumes are copied")
    check("SnapshotId" not in ebs.pop(), "the blank volume has no snapshot")
    check(all(disk["Encrypted"] for disk in ebs), "the others are encrypted")
    snapshots = ec2.describe_snapshots(SnapshotIds=[disk["SnapshotId"] for disk in ebs])["Snapshots"]
    check(len(snapshots) == 2 and isinstance(snapshots[0]["StartTime"], datetime), "the snapshots exist")
    check(all(s["Tags"] == [{"Key": "kind", "Value": "snapshot of copy"}] for s in snapshots), "with their tags")
    check(snapshots[0]["KmsKeyId"].startswith(f"arn:aws:kms:{REGION}:{ACCOUNT}:key/"), "under the default key")

    by_source = [
        {"Name": "source-image-id", "Values": [source_id]},
        {"Name": "source-image-region", "Values": [SOURCE_REGION]},
    ]
    found = ec2.describe_images(Owners=["self"], Filters=by_source, IncludeDisabled=True)["Images"]
    check([image["ImageId"] for image in found] == [copy_id], "the copy is found by its source")
    for index in range(2):
        register(source_ec2, f"page {index}")
    pages = source_ec2.get_paginator("describe_images").paginate(
        Filters=[{"Name": "name", "Values": [f"*{RUN}"]}], PaginationConfig={"PageSize": 1}
    )
    check([len(page["Images"]) for page in pages] == [1, 1, 1], "results come in pages")

    def with_other(**other):
        base = {"Name": f"wrong {RUN}", "SourceImageId": source_id, "SourceRegion": SOURCE_REGION}
        return lambda: ec2.copy_image(**base | other)

    wrong = [
        ({"Name": "a*b"}, "InvalidAMIName.Malformed"),
        ({"Name": "ünusual"}, "InvalidAMIName.Malformed"),
        ({"SourceImageId": "ami-xyz"}, "InvalidAMIID.Malformed"),
        ({"SourceImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"SourceRegion": "eu-nowhere-1"}, "InvalidParameterValue"),
        ({"SourceRegion": "cn-north-1"}, "InvalidRequest"),
        ({"KmsKeyId": "alias/mine"}, "InvalidParameterDependency"),
        ({"Description": "x" * 256}, "InvalidParameterValue"),
        ({"SnapshotCopyCompletionDurationMinutes": 20}, "InvalidParameterValue"),
        (
            {"DestinationAvailabilityZone": "us-east-1a", "DestinationOutpostArn": "arn:aws:outposts:x"},
            "InvalidParameterCombination",
        ),
    ]
    for other, code in wrong:
        refused(with_other(**other), code, f"CopyImage with {str(other)[:60]}")
    refused(with_other(DryRun=True), "DryRunOperation", "a dry run", status=412)
    stranger = aws.client("ec2", REGION, OTHER_ACCOUNT)
    refused(
        lambda: stranger.copy_image(Name="x y z", SourceImageId=source_id, SourceRegion=SOURCE_REGION),
        "InvalidAMIID.NotFound",
        "another account's AMI",
    )
    refused(lambda: ec2.describe_vpcs(), "InvalidAction", "an action that does not exist")


def the_life_of_an_image(aws):
    ec2 = aws.client("ec2")
    image_id = register(ec2, "life")
    image = ec2.describe_images(ImageIds=[image_id])["Images"][0]
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]

    ec2.create_tags(Resources=[image_id, snapshot_id], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    ec2.delete_tags(Resources=[image_id], Tags=[{"Key": "a"}])
    tagged = ec2.describe_images(Filters=[{"Name": "image-id", "Values": [image_id]}])["Images"][0]
    check(tagged["Tags"] == [{"Key": "b", "Value": ""}], "tags are created and deleted")
    by_tag = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:a", "Values": ["1"]}])["Snapshots"]
    check(snapshot_id in [s["SnapshotId"] for s in by_tag], "snapshots are found by tag")

    organization = f"arn:aws:organizations::{ACCOUNT}:organization/o-abcdefghij"
    everyone = [{"UserId": OTHER_ACCOUNT}, {"OrganizationArn": organization}]
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot_id, CreateVolumePermission={"Add": [{"UserId": OTHER_ACCOUNT}]}
    )
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": everyone})
    permissions = ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")["LaunchPermissions"]
    check(len(permissions) == 2 and all(who in permissions for who in everyone), "launch permissions are kept")
    attribute = ec2.describe_snapshot_attribute(SnapshotId=snapshot_id, Attribute="createVolumePermission")
    check(attribute["CreateVolumePermissions"] == [{"UserId": OTHER_ACCOUNT}], "and volume permissions")
    stranger = aws.client("ec2", REGION, OTHER_ACCOUNT)
    seen = stranger.describe_images(ImageIds=[image_id])["Images"][0]
    check("Tags" not in seen and seen["OwnerId"] == ACCOUNT, "the other account sees the AMI without its tags")
    refused(
        lambda: ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"UserId": "12"}]}),
        "InvalidAMIAttributeItemValue",
        "sharing with an id that is no account",
    )

    # The server has a clock of its own: its answers show the time.
    created = datetime.fromisoformat(image["CreationDate"].replace("Z", "+00:00"))
    at = created.replace(second=0, microsecond=0) + timedelta(days=365)
    ec2.enable_image_deprecation(ImageId=image_id, DeprecateAt=at + timedelta(seconds=29))
    image = ec2.describe_images(ImageIds=[image_id])["Images"][0]
    check(image["DeprecationTime"] == at.strftime("%Y-%m-%dT%H:%M:%S.000Z"), f"deprecated at {image['DeprecationTime']}")
    past = datetime(2020, 1, 1, tzinfo=timezone.utc)
    refused(
        lambda: ec2.enable_image_deprecation(ImageId=image_id, DeprecateAt=past),
        "InvalidParameterValue",
        "deprecation in the past",
    )
    ec2.disable_image_deprecation(ImageId=image_id)

    ec2.enable_image_deregistration_protection(ImageId=image_id)
    image = ec2.describe_images(ImageIds=[image_id])["Images"][0]
    check(image["DeregistrationProtection"] == "enabled-without-cooldown", "deregistration protection is visible")
    refused(lambda: ec2.deregister_image(ImageId=image_id), "OperationNotPermitted", "deregistering it then")
    ec2.disable_image_deregistration_protection(ImageId=image_id)

    ssm = aws.client("ssm")
    name = f"/golden/{RUN}"
    ssm.put_parameter(Name=name, Value=image_id, Type="String", DataType="aws:ec2:image")
    references = ec2.describe_image_references(ImageIds=[image_id], IncludeAllResourceTypes=True)["ImageReferences"]
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}"
    expected = {"ImageId": image_id, "ResourceType": "ssm:Parameter", "Arn": arn}
    check(references == [expected], f"references: {references}")

    ec2.disable_image(ImageId=image_id)
    check(ec2.describe_images(ImageIds=[image_id])["Images"] == [], "a disabled AMI is left out")
    disabled = ec2.describe_images(ImageIds=[image_id], IncludeDisabled=True)["Images"][0]
    check(disabled["State"] == "disabled", "but it exists")
    ec2.enable_image(ImageId=image_id)

    refused(lambda: ec2.delete_snapshot(SnapshotId=snapshot_id), "InvalidSnapshot.InUse", "deleting its snapshot")
    gone = ec2.deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True)
    results = [{"SnapshotId": snapshot_id, "ReturnCode": "success"}]
    check(gone["Return"] is True and gone["DeleteSnapshotResults"] == results, "it is deregistered with its snapshot")
    refused(
        lambda: ec2.describe_snapshots(SnapshotIds=[snapshot_id]), "InvalidSnapshot.NotFound", "the snapshot after that"
    )
    refused(lambda: ec2.deregister_image(ImageId=image_id), "InvalidAMIID.Unavailable", "deregistering it again")
    check(ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False, "no encryption by default")


def parameters(aws):
    ssm = aws.client("ssm")
    name = f"plain-{RUN}"
    check(ssm.put_parameter(Name=name, Value="1", Type="String")["Version"] == 1, "a parameter is created")
    refused(
        lambda: ssm.put_parameter(Name=name, Value="2", Type="String"), "ParameterAlreadyExists", "creating it again"
    )
    check(ssm.put_parameter(Name=name, Value="2", Overwrite=True)["Version"] == 2, "it is overwritten")
    parameter = ssm.get_parameter(Name=name)["Parameter"]
    check((parameter["Value"], parameter["Version"], parameter["DataType"]) == ("2", 2, "text"), "the newest is read")
    check(ssm.get_parameter(Name=f"{name}:1")["Parameter"]["Value"] == "1", "and an older one")
    both = ssm.get_parameters(Names=[name, "nobody"])
    check(len(both["Parameters"]) == 1 and both["InvalidParameters"] == ["nobody"], "several are read")
    refused(lambda: ssm.get_parameter(Name="nobody"), "ParameterNotFound", "a parameter that does not exist")
    try:
        ssm.get_parameter(Name="nobody")
    except ssm.exceptions.ParameterNotFound:
        check(True, "boto3 knows the error by its class")
    refused(
        lambda: ssm.put_parameter(Name=name, Value="ami-00000000000000000", DataType="aws:ec2:image", Overwrite=True),
        "ValidationException",
        "changing the data type to aws:ec2:image",
    )
    ssm.put_parameter(Name=f"image-{RUN}", Value="ami-00000000000000000", Type="String", DataType="aws:ec2:image")
    refused(
        lambda: ssm.get_parameter(Name=f"image-{RUN}"),
        "ParameterNotFound",
        "an AMI that does not exist is accepted, but never becomes the value: reading it",
    )
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=[{"Key": "a", "Value": "1"}])


def events(aws):
    bus = aws.client("events")
    entry = {"Source": "ami-courier", "DetailType": "AMI Copy State Change", "Detail": "{}", "EventBusName": "default"}
    answer = bus.put_events(Entries=[entry, entry | {"Detail": "no JSON"}])
    check(answer["FailedEntryCount"] == 1, "a malformed event fails alone")
    check("EventId" in answer["Entries"][0], "a good one has an id")
    check(answer["Entries"][1]["ErrorCode"] == "MalformedDetail", "a malformed one has a code")


def queues(aws):
    sqs = aws.client("sqs")
    dead_url = sqs.create_queue(QueueName=f"dead-{RUN}")["QueueUrl"]
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url = sqs.create_queue(QueueName=f"queue-{RUN}", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    check(sqs.get_queue_url(QueueName=f"queue-{RUN}")["QueueUrl"] == url, "a queue is found by name")
    try:
        sqs.get_queue_url(QueueName="nobody")
    except sqs.exceptions.QueueDoesNotExist as error:
        check("NonExistentQueue" in error.response["Error"]["Code"], "a queue that does not exist is an error of its own class")
    attributes = {
        "Code": {"DataType": "String", "StringValue": "InvalidRequest"},
        "Bytes": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    sqs.send_message(QueueUrl=url, MessageBody="häl\"lo", MessageAttributes=attributes)
    received = sqs.receive_message(
        QueueUrl=url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"], VisibilityTimeout=600
    )["Messages"][0]
    check(received["Body"] == "häl\"lo" and received["MessageAttributes"] == attributes, "a message arrives unchanged")
    check(received["Attributes"]["ApproximateReceiveCount"] == "1", "with its receive count")
    check("Messages" not in sqs.receive_message(QueueUrl=url), "then it is invisible")
    handle = received["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    again = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"], VisibilityTimeout=0)["Messages"][0]
    check(again["Attributes"]["ApproximateReceiveCount"] == "2", "a visibility timeout of 0 makes it visible")
    check("Messages" not in sqs.receive_message(QueueUrl=url), "after two receives it leaves the queue")
    dead = sqs.receive_message(QueueUrl=dead_url, MessageAttributeNames=["All"], VisibilityTimeout=600)["Messages"][0]
    check(dead["MessageId"] == received["MessageId"] and dead["MessageAttributes"] == attributes, "and is in the dead-letter queue")
    sqs.delete_message(QueueUrl=dead_url, ReceiptHandle=dead["ReceiptHandle"])
    count = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["All"])["Attributes"]
    check(count["ApproximateNumberOfMessagesNotVisible"] == "0", "a deleted message is gone")
    refused(
        lambda: sqs.delete_message(QueueUrl=url, ReceiptHandle="nonsense"), "ReceiptHandleIsInvalid", "an invalid handle"
    )
    refused(
        lambda: sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=43201),
        "InvalidParameterValue",
        "a visibility timeout of more than 12 hours",
    )


def a_snapshot_without_a_volume(aws):
    ebs, ec2 = aws.client("ebs"), aws.client("ec2")
    snapshot = ebs.start_snapshot(VolumeSize=1, Tags=[{"Key": "run", "Value": RUN}])
    check(snapshot["Status"] == "pending" and snapshot["BlockSize"] == 524288, "StartSnapshot makes a pending snapshot")
    block = bytes(snapshot["BlockSize"])
    checksum = base64.b64encode(hashlib.sha256(block).digest()).decode()
    put = {"SnapshotId": snapshot["SnapshotId"], "BlockIndex": 0, "DataLength": len(block), "ChecksumAlgorithm": "SHA256"}
    refused(lambda: ebs.put_snapshot_block(**put, BlockData=block, Checksum="AAAA"), "ValidationException", "a wrong checksum")
    answer = ebs.put_snapshot_block(**put, BlockData=block, Checksum=checksum)
    check(answer["ResponseMetadata"]["HTTPStatusCode"] == 201, "PutSnapshotBlock accepts a block with its checksum")
    refused(lambda: ebs.complete_snapshot(SnapshotId=snapshot["SnapshotId"], ChangedBlocksCount=2), "ValidationException", "a wrong count of blocks")
    check(ebs.complete_snapshot(SnapshotId=snapshot["SnapshotId"], ChangedBlocksCount=1)["Status"] == "pending", "CompleteSnapshot takes a while")
    shown = ec2.describe_snapshots(SnapshotIds=[snapshot["SnapshotId"]])["Snapshots"][0]
    check(shown["VolumeSize"] == 1 and shown["Tags"] == [{"Key": "run", "Value": RUN}], "EC2 shows the snapshot with its tags")
    device = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot["SnapshotId"]}}
    image = register(ec2, "of a snapshot", BlockDeviceMappings=[device], RootDeviceName="/dev/xvda")
    shown = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]
    check(shown["SnapshotId"] == snapshot["SnapshotId"], "an AMI is made of it")
    gone = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)["DeleteSnapshotResults"]
    check([result["ReturnCode"] for result in gone] == ["success"], "and removed with it")
    refused(lambda: ebs.complete_snapshot(SnapshotId=snapshot["SnapshotId"], ChangedBlocksCount=1), "ResourceNotFoundException", "it is gone", 404)


def roles(aws):
    iam, sts = aws.client("iam"), aws.client("sts")
    check(sts.get_caller_identity()["Account"] == ACCOUNT, "STS knows the account")
    name, path = f"role-{RUN}", f"/{RUN}/"
    arn = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    refused(lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}"), "EntityAlreadyExists", "a role of a taken name", 409)
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
    check([role["RoleName"] for role in iam.list_roles(PathPrefix=path)["Roles"]] == [name], "ListRoles finds it by its path")
    given = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    check(given["AccessKeyId"].startswith("ASIA"), "AssumeRole gives keys")
    refused(lambda: iam.delete_role(RoleName=name), "DeleteConflict", "a role with a policy stays", 409)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)
    refused(lambda: iam.delete_role(RoleName=name), "NoSuchEntity", "a role that is gone", 404)
    refused(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="test"), "AccessDenied", "nobody can use it", 403)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    aws = Aws(sys.argv[1])
    for part in (the_example_of_the_cli, copying, the_life_of_an_image, parameters, events, queues, a_snapshot_without_a_volume, roles):
        print(f"-- {part.__name__.replace('_', ' ')}")
        part(aws)
    print("AWS's own clients accept all answers")


if __name__ == "__main__":
    main()
