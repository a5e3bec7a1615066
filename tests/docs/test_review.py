"""docs/security.md: a reviewer makes the template again, and sees whether it is the one of the release. The policy that guards the tag spares the courier."""

import json

import pytest
from pages import read, script
from policy import _matches as matches
from stack import template
from test_commands import run_here
from test_courier import files_of_a_release

# The tests' own environment has the packages.
WITHOUT_PIP = "pip() { :; }\n"


@pytest.fixture
def downloaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("downloaded")
    files_of_a_release(folder, takes_messages=True)
    return folder


def compare(downloaded, folder):
    return run_here(f'{WITHOUT_PIP}DOWNLOADED="{downloaded}"\n' + script("compare"), folder)


def test_the_template_of_the_release_is_made_from_the_source(downloaded, tmp_path):
    done = compare(downloaded, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ami-courier.template.json", "source-region.yaml"])
def test_another_template_is_found(downloaded, tmp_path, name):
    (downloaded / name).write_text((downloaded / name).read_text().replace("ec2:DeregisterImage", "ec2:*").replace("events:PutEvents", "events:*"))
    done = compare(downloaded, tmp_path)
    assert done.returncode != 0 and name in done.stdout + done.stderr


def denied(principal, key):
    """Whether the policy of the page stops this principal from putting a tag on an AMI."""
    (statement,) = [json.loads(block.text) for block in read("docs/security.md").blocks if block.info == "json"][0]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "ec2:CreateTags")
    (keys,) = statement["Condition"]["ForAnyValue:StringEqualsIgnoreCase"].values()
    (spared,) = statement["Condition"]["ArnNotLike"].values()
    return key.lower() in [denied.lower() for denied in keys] and not matches(spared, principal)


@pytest.mark.parametrize("key", ["ami-courier:source-image", "ami-courier:source-region", "ami-courier:source-gone-since", "ami-courier:disabled-with-source", "AMI-Courier:source-image"])
def test_only_the_courier_may_set_its_tags(key):
    # The name as CloudFormation makes it: of the stack, the resource, and letters at random.
    assert "RoleName" not in template()["Resources"]["Role"]["Properties"]
    assert not denied("arn:aws:iam::123456789012:role/ami-courier-Role-0123456789AB", key)
    assert denied("arn:aws:iam::123456789012:role/Developer", key)


@pytest.mark.parametrize("key", ["ami-courier:skip", "team"])
def test_everybody_may_set_other_tags(key):
    assert not denied("arn:aws:iam::123456789012:role/Developer", key)
