"""The commands of docs/in-step.md, run with the AWS CLI: each leaves the tags that the page says, and makes an event that the stack hears."""

import re
import subprocess

import boto3
import pytest
from pages import blocks, read
from stack import REGION, options, rendered, template
from test_commands import TARGET, run_here
from test_courier import VERSION_1
from test_hearing import hearing, tag
from aws_on_loopback import Aws

SOURCE_REGION = "us-east-1"
STEPS = [block.script for block in blocks("in-step")]


class Page:
    """Runs the commands in the order of the page, and knows what they changed."""

    def __init__(self, endpoint, folder):
        self.endpoint, self.folder, self.done = endpoint, folder, []

    def tags(self, region, image):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        (found,) = boto3.client("ec2", endpoint_url=self.endpoint, region_name=region, **keys).describe_images(ImageIds=[image])["Images"]
        return {one["Key"]: one["Value"] for one in found.get("Tags", [])}

    def run(self, aws, step):
        """The tags of the source and of the copy after the next step."""
        self.done += [line for line in step.splitlines() if "=ami-" in line]
        aws.shell(VERSION_1 + "\n".join([*self.done, step]), "123456789012", SOURCE_REGION, self.folder)
        return self.tags(SOURCE_REGION, "ami-0abcdef1234567890"), self.tags(REGION, "ami-0fedcba9876543210")


class OnLoopback(Aws):
    """The embedded AWS takes any keys; those of moto's roles it does not know."""

    def credentials(self, account):
        return {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@pytest.fixture
def served(tmp_path):
    server = subprocess.Popen([TARGET / "local", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        endpoint = next(line for line in server.stdout if line.startswith("AWS_ENDPOINT_URL=")).strip().partition("=")[2]
        for region, image, tags in [(SOURCE_REGION, "ami-0abcdef1234567890", {"Channel": "beta"}), (REGION, "ami-0fedcba9876543210", OF_A_COPY)]:
            client = boto3.client("ec2", endpoint_url=endpoint, region_name=region, aws_access_key_id="test", aws_secret_access_key="test")
            specification = {"ResourceType": "image", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            client.register_image(Name="golden", ImageLocation=image, TagSpecifications=[specification])
        yield Page(endpoint, tmp_path), OnLoopback(endpoint)
    finally:
        server.kill()
        server.wait()


OF_A_COPY = {"Channel": "beta", "ami-courier:source-image": "ami-0abcdef1234567890"}
WITHDRAWN = "ami-courier:withdrawn"


def heard(region, before, after):
    """The rules of a stack with the defaults that hear this change of tags."""
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    resources = rendered(template(), {"SourceRegions": SOURCE_REGION})
    return hearing(resources, tag(changed=changed, tags=after, region=region)) if changed else []


def test_promotion_and_going_back_are_tags_that_the_stack_hears(served):
    page, aws = served
    seen = [({"Channel": "beta"}, OF_A_COPY)]
    seen += [page.run(aws, step) for step in STEPS]
    sources, copies = ([pair[side] for pair in seen] for side in (0, 1))
    promoted, back, withdrawn, in_one_region, restored, kept, adopted = seen[1:]
    assert [source["Channel"] for source in sources] == ["beta", "prod", "beta", "beta", "beta", "beta", "beta", "beta"]
    assert withdrawn[0][WITHDRAWN] == "boots too slowly" and WITHDRAWN not in withdrawn[1]
    assert in_one_region[1][WITHDRAWN] == "bad here"
    assert WITHDRAWN not in restored[0] and WITHDRAWN not in restored[1]
    assert kept[1]["ami-courier:skip"] == "quarantine"
    assert adopted[1]["ami-courier:stack"] == "ami-courier"
    of_source = [heard(SOURCE_REGION, *pair) for pair in zip(sources, sources[1:])]
    assert of_source == [["SourceImageRule"], ["SourceImageRule"], ["SourceImageRule"], [], ["SourceImageRule"], [], []]
    # What keeps hands off a copy, and what adopts it, is seen by the next sweep.
    of_copy = [heard(REGION, *pair) for pair in zip(copies, copies[1:])]
    assert of_copy == [[], [], [], ["CopyRule"], ["CopyRule"], [], []]


def test_the_time_line_of_local_shows_a_promotion(tmp_path):
    (script,) = [block.script for block in read("docs/in-step.md").blocks if "--then-tag" in block.script]
    shown = run_here(script, tmp_path).stdout
    assert re.search(r"owner +tags ami-\w+ in us-east-1: Channel=prod", shown), shown
    assert re.search(r"result +the parameter /golden/prod holds ami-\w+", shown), shown


def test_a_tag_that_the_name_does_not_ask_for_changes_no_parameter_and_the_time_line_says_so(tmp_path):
    (script,) = [block.script for block in read("docs/in-step.md").blocks if "--then-tag" in block.script]
    shown = run_here(script.replace("Channel=prod", "Channel=prod --then-tag Chanel=beta"), tmp_path).stdout
    assert "result    no parameter has changed (the log says why): PARAMETER_NAME does not ask for `Chanel`, no other copy can take the place, or DRY_RUN is on" in shown, shown
    assert shown.count("the parameter /golden/prod holds ami-") == 2, shown
