"""The first deployment, the first request, the commands of the runbook, and the removal: run with the AWS CLI against moto, from a folder with the files of a release.

Moto does not run the function, so its answers and its log are not tested here.
"""

import hashlib
import json
import shutil
from unittest.mock import patch

import pytest
from aws_on_loopback import for_moto, started
from moto.core.config import default_user_config
from pages import ROOT, script
from stack import ACCOUNT, REGION, template

ZIP = "ami-courier-0.1.0-x86_64.zip"
# The tests use version 1 of the AWS CLI: it takes payloads as they are, which version 2 does only with this option.
VERSION_1 = """
aws() {
    local option options=()
    for option; do case "$option" in --cli-binary-format | raw-in-base64-out) ;; *) options+=("$option") ;; esac; done
    command aws --endpoint-url "$AWS_ENDPOINT_URL" "${options[@]}"
}
"""


def files_of_a_release(folder):
    plain = for_moto(template())
    plain["Parameters"]["CodeBucket"] = {"Type": "String"}
    # The AWS CLI sends 51,200 bytes at most. The checks of the release see to the size of the true template.
    del plain["Metadata"]
    for part in (*plain["Parameters"].values(), *plain["Resources"].values()):
        part.pop("Description", part.pop("Metadata", None))
    (folder / "ami-courier.template.json").write_text(json.dumps(plain, separators=(",", ":")))
    (folder / ZIP).write_bytes(b"a zip")
    names = ["ami-courier.template.json", ZIP]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))
    shutil.copy(ROOT / "source-region.yaml", folder)


class Deployed:
    def __init__(self, aws, folder, account=ACCOUNT):
        self.aws, self.folder, self.account = aws, folder, account

    def run(self, commands):
        return self.aws.shell(VERSION_1 + commands, self.account, REGION, self.folder)

    def client(self, service, region=REGION):
        return self.aws.client(service, self.account, region)

    def stacks(self, region=REGION):
        return {stack["StackName"]: stack for stack in self.client("cloudformation", region).describe_stacks()["Stacks"]}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """The documented commands, run in the order of the pages."""
    folder = tmp_path_factory.mktemp("release")
    files_of_a_release(folder)
    with patch.dict(default_user_config["lambda"], use_docker=False), started() as aws:
        deployed = Deployed(aws, folder)
        deployed.printed = deployed.run(script("courier") + "\n" + script("source-region"))
        yield deployed


def test_the_stack_stands(deployed):
    stack = deployed.stacks()["ami-courier"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert ("SourceRegions", "us-east-1") in [(parameter["ParameterKey"], parameter["ParameterValue"]) for parameter in stack["Parameters"]]


def test_the_queue_has_the_first_request(deployed):
    outputs = {output["OutputKey"]: output["OutputValue"] for output in deployed.stacks()["ami-courier"]["Outputs"]}
    messages = deployed.client("sqs").receive_message(QueueUrl=outputs["QueueUrl"], MaxNumberOfMessages=10)["Messages"]
    bodies = [json.loads(message["Body"]) for message in messages]
    assert {"SourceImageId": "ami-0abcdef1234567890", "SourceRegion": "us-east-1", "Name": "golden-2026-01"} in bodies
    assert {"Sweep": {}} in bodies


def test_a_direct_request_is_answered_in_a_file(deployed):
    assert (deployed.folder / "answer.json").exists()


def test_the_forwarder_stands_in_the_source_region(deployed):
    assert deployed.stacks("us-east-1")["ami-courier-source"]["StackStatus"] == "CREATE_COMPLETE"


def test_a_release_that_was_changed_is_not_deployed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changed")
    files_of_a_release(folder)
    (folder / ZIP).write_bytes(b"another zip")
    with started() as aws:
        changed = Deployed(aws, folder, account="444455556666")
        with pytest.raises(AssertionError, match=f"{ZIP}: FAILED"):
            changed.run(script("courier", having="sha256sum"))
        assert changed.stacks() == {}


def test_the_stack_is_removed(deployed):
    """Moto deletes the queue and the log group, too, although their DeletionPolicy keeps them."""
    deployed.run(script("courier", having="$ output()") + "\n" + script("remove"))
    assert "ami-courier" not in deployed.stacks()
