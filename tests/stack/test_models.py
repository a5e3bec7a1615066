"""What the courier checks of CopyImage, against the API model: the fields, and each length that the model has."""

import re

import pytest
from limits import shape
from stack import ROOT

RULES = ROOT / "core/src/copy_image.rs"
REQUEST = ROOT / "core/src/announcement/request.rs"
# The model's length, and the rule that errors show: (field, the part of the rule with the number).
LENGTHS = {
    "ClientToken": r"a client token \(1 to (\d+) ASCII characters\)",
    "Description": r"a description \(at most (\d+) characters\)",
    "Name": r"an AMI name \(\d+ to (\d+) of",
}
LOWEST = {"Name": r"an AMI name \((\d+) to \d+ of"}


def number(pattern):
    return int(re.search(pattern, RULES.read_text())[1])


def test_a_request_has_exactly_the_fields_of_the_api():
    fields = re.search(r"pub const FIELDS[^=]*= \[(.*?)\];", REQUEST.read_text(), re.DOTALL)[1]
    assert set(re.findall(r'"(\w+)"', fields)) == set(shape("ec2", "CopyImage").members)


@pytest.mark.parametrize("field", LENGTHS)
def test_a_text_can_be_as_long_as_the_api_takes(field):
    assert number(LENGTHS[field]) == shape("ec2", "CopyImage", field).metadata["max"]


@pytest.mark.parametrize("field", LOWEST)
def test_a_text_must_be_as_long_as_the_api_needs(field):
    assert number(LOWEST[field]) == shape("ec2", "CopyImage", field).metadata["min"]


def test_each_length_of_the_model_is_checked():
    limited = {name for name, member in shape("ec2", "CopyImage").members.items() if "max" in member.metadata}
    assert limited == set(LENGTHS)
