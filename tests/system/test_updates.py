"""Updates of a stack that is at work: each option, the queue itself, the templates of before and back. Nothing that waits is lost."""

import json
import subprocess

import boto3
import pytest
import release
from aws import EU, US
from samtranslator.yaml_helper import yaml_parse
from stack import OPTIONS, ROOT, options, plain_of, template


@pytest.fixture(scope="module")
def real(courier):
    """Values of options that name something which must exist."""
    ec2 = _moto_ec2(courier)
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    anything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    key = courier.client("kms").create_key()["KeyMetadata"]["Arn"]
    return {
        "KmsKeyId": key,
        "QueueKmsKeyArn": key,
        "PermissionsBoundaryArn": courier.client("iam").create_policy(PolicyName="boundary", PolicyDocument=json.dumps(anything))["Policy"]["Arn"],
        "AlarmTopicArn": courier.client("sns").create_topic(Name="alarms")["TopicArn"],
        "VpcSubnetIds": ec2.create_subnet(VpcId=network, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"],
        "VpcSecurityGroupIds": ec2.create_security_group(GroupName="courier", Description="x", VpcId=network)["GroupId"],
        "SourceRegions": "us-east-1",
    }


def _moto_ec2(courier):
    """LocalStack's own EC2, which its Lambda asks for networks."""
    keys = {"aws_access_key_id": courier.aws.account, "aws_secret_access_key": "test"}
    return boto3.client("ec2", region_name=EU, endpoint_url=courier.aws.servers.endpoint, **keys)


@pytest.fixture(scope="module")
def off():
    """Every option off."""
    return {name: without for name, (without, _) in OPTIONS.items()} | {"VpcSecurityGroupIds": "", "SourceRegions": "us-east-1"}


@pytest.fixture(scope="module")
def waiting(courier):
    """A message that is tried again and again, and a dead letter."""
    courier.send(courier.request("ami-0123456789abcdeff", "waits"))
    courier.send("a letter")
    courier.letters(1)


def held(courier):
    """What waits in the queues: nothing that an update may lose."""
    bodies = [message["Body"] for message in courier.waiting()]
    return [json.loads(body)["Name"] for body in bodies if "waits" in body], [body for body, _ in courier.letters(1)]


def identities(courier):
    """What the stack's resources are. An update that replaces one changes it."""
    return courier.resources()


@pytest.mark.parametrize("option", [name for name in OPTIONS if name != "SourceRegions"])
def test_an_option_is_switched_on_and_off_and_replaces_nothing(courier, real, off, waiting, option):
    courier.update(**off)
    before = identities(courier)
    more = {"VpcSecurityGroupIds": real["VpcSecurityGroupIds"]} if option == "VpcSubnetIds" else {}
    courier.update(**{option: real.get(option, OPTIONS[option][1])}, **more)
    on = identities(courier)
    assert {name: (found, on.get(name)) for name, found in before.items() if on.get(name) != found} == {}
    courier.update(**{option: off[option]}, VpcSecurityGroupIds="")
    assert identities(courier) == before
    assert held(courier) == (["waits"], ["a letter"])


def test_all_options_are_switched_on_at_once_and_off_at_once(courier, real, off, waiting):
    courier.update(**off)
    before, sqs = identities(courier), courier.client("sqs")
    attributes = lambda: sqs.get_queue_attributes(QueueUrl=courier.outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]  # noqa: E731
    courier.update(**{**options("all"), **real})
    assert attributes()["KmsMasterKeyId"] == real["QueueKmsKeyArn"] and attributes().get("SqsManagedSseEnabled") != "true"
    courier.update(**off)
    assert not attributes().get("KmsMasterKeyId") and attributes()["SqsManagedSseEnabled"] == "true"
    assert identities(courier) == before
    assert held(courier) == (["waits"], ["a letter"])
    courier.forward()
    courier.finished(courier.register("after-all-updates"))


def test_an_update_that_replaces_the_queue_keeps_the_old_one_with_its_messages(new_courier):
    courier = new_courier().create(SweepRate="off")
    old = courier.outputs["QueueUrl"]
    renamed = json.loads(courier.template)
    (queue,) = [name for name, url in courier.resources("AWS::SQS::Queue").items() if url == old]
    renamed["Resources"][queue]["Properties"]["QueueName"] = "another-name"
    for name, resource in renamed["Resources"].items():
        if resource["Type"] == "AWS::SQS::Queue" and name != queue:
            resource["Properties"].pop("RedriveAllowPolicy", None)
    courier.send("waits", DelaySeconds=900)
    courier.update(renamed)
    assert courier.outputs["QueueUrl"].endswith("/another-name")
    assert [message["Body"] for message in courier.aws.messages(old)] == ["waits"]
    image = courier.unheard("after-the-replacement")
    courier.send(courier.request(image, "after-the-replacement"))
    courier.finished(image)


def older_template(code):
    """The template of the main branch before the present one: of the last commit that makes another stack. As plain CloudFormation with this code."""
    git = lambda *arguments: subprocess.run(["git", "-c", "safe.directory=*", *arguments], cwd=ROOT, capture_output=True, text=True)  # noqa: E731
    main = next((found.stdout.strip() for name in ("origin/main", "main") if not (found := git("merge-base", "HEAD", name)).returncode), "HEAD")
    present = template()["Resources"]
    for commit in git("rev-list", "--first-parent", main, "--", "template.yaml").stdout.split():
        for candidate in (commit, f"{commit}^"):
            text = git("show", f"{candidate}:template.yaml")
            if text.returncode == 0 and (older := yaml_parse(text.stdout))["Resources"] != present:
                return _plain(older, code)
    raise AssertionError("the history does not reach back to another template: fetch more of it")


def _plain(source, code):
    plain = plain_of(source)
    (function,) = [resource for resource in plain["Resources"].values() if resource["Type"] == "AWS::Lambda::Function"]
    function["Properties"]["Code"] = {"S3Bucket": code["CodeBucket"], "S3Key": f"ami-courier-{release.version()}-x86_64.zip"}
    return plain


def test_the_template_of_before_is_updated_to_the_present_one_and_back_and_loses_nothing(new_courier):
    """Both run the present function: to build that of before would take minutes."""
    courier = new_courier()
    code = courier.upload()
    older = older_template(code)
    courier.update(older, SourceRegions=US, SweepRate="off")
    courier.forward()
    first = courier.finished(courier.register("of-before"))
    before = courier.outputs
    courier.send(courier.request("ami-0123456789abcdeff", "waits"))
    courier.send("a letter")
    courier.letters(1)
    courier.update(**code)
    assert courier.outputs["DeadLetterQueueUrl"] == before["DeadLetterQueueUrl"]
    assert held(courier) == (["waits"], ["a letter"])
    second = courier.finished(courier.register("of-now"))
    courier.update(older)
    assert {name: courier.outputs[name] for name in before} == before
    assert held(courier) == (["waits"], ["a letter"])
    third = courier.finished(courier.register("of-before-again"))
    images = {image["ImageId"]: image for image in courier.client("ec2").describe_images(Owners=["self"])["Images"]}
    assert images.keys() == {copy["ImageId"] for copy in (first, second, third)}
    assert images[first["ImageId"]] == first and images[second["ImageId"]] == second
