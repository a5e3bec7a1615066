"""The parameters that the pages give to `aws cloudformation` exist in the template of the same command, and take the values of the example."""

import json
import re

import pytest
from pages import pages
from release import code_parameters
from stack import template
from test_not_run import commands_of

PARAMETERS = {
    "ami-courier.template.json": {**code_parameters(), **template()["Parameters"]},
    "source-region.yaml": template("source-region.yaml")["Parameters"],
}


def named(arguments):
    """The template of a command. In a bucket, the name of a release's template has the version."""
    words = [word.replace("ami-courier-$version.", "ami-courier.") for word in arguments]
    return next((name for name in PARAMETERS if any(name in word for word in words)), None)


DEPLOYMENTS = [
    (block.place, named(arguments), arguments)
    for page in pages()
    for block in page.blocks
    if block.is_console
    for arguments in commands_of(block.script, "aws")
    if arguments[0] == "cloudformation" and named(arguments)
]


def given(arguments):
    """(name, value) of each parameter: `Name=value` of deploy, `ParameterKey=Name,ParameterValue=value` of the stack sets."""
    option = ""
    for word in arguments:
        option = word if word.startswith("--") else option
        if option not in ("--parameter-overrides", "--parameters"):
            continue
        if found := re.fullmatch(r"ParameterKey=([A-Za-z]+),ParameterValue=(.*)", word) or re.fullmatch(r"([A-Z][A-Za-z]+)=(.*)", word):
            yield found.groups()
        elif word.startswith("[{"):
            yield from ((one["ParameterKey"], one["ParameterValue"]) for one in json.loads(word))


def complaints(name, parameters):
    """What CloudFormation would refuse. A value with a variable of the shell is not looked at."""
    for key, value in parameters:
        known = PARAMETERS[name].get(key)
        if known is None:
            yield f"{name} has no parameter {key}"
        elif "$" in value:
            continue
        elif "AllowedValues" in known and value not in map(str, known["AllowedValues"]):
            yield f"{key} does not take {value}"
        elif not re.search(known.get("AllowedPattern", ""), value) or len(value) > known.get("MaxLength", 4096):
            yield f"{key} does not take {value}"
        elif known["Type"] == "Number" and not known.get("MinValue", 0) <= int(value) <= known.get("MaxValue", int(value)):
            yield f"{key} does not take {value}"


@pytest.mark.parametrize(("place", "name", "arguments"), DEPLOYMENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_template_takes_the_parameters(place, name, arguments):
    assert list(complaints(name, given(arguments))) == []


@pytest.mark.parametrize(("place", "name", "arguments"), DEPLOYMENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_template_of_a_release_goes_through_a_bucket(place, name, arguments):
    """It is larger than CloudFormation takes inline."""
    assert name == "source-region.yaml" or {"--s3-bucket", "--template-url"} & set(arguments)


def test_the_pages_give_parameters_of_many_kinds():
    keys = {key for _, _, arguments in DEPLOYMENTS for key, _ in given(arguments)}
    assert {"DryRun", "SourceRegions", "NamePatterns", "RequiredTags", "AlarmTopicArn", "ShareWith", "KmsKeyId", "BackfillDays", "EventBusArns"} <= keys


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ([("DryRuns", "true")], "ami-courier.template.json has no parameter DryRuns"),
        ([("DryRun", "yes")], "DryRun does not take yes"),
        ([("SourceRegions", "us-east-1, us-west-2")], "SourceRegions does not take us-east-1, us-west-2"),
        ([("SourceRegions", "us-esat-1")], "SourceRegions does not take us-esat-1"),
        ([("RequiredTags", "approved=true,")], "RequiredTags does not take approved=true,"),
        ([("BackfillDays", "0")], "BackfillDays does not take 0"),
        ([("RequiredTags", "x" * 257)], f"RequiredTags does not take {'x' * 257}"),
    ],
)
def test_it_complains_of(parameters, complaint):
    assert list(complaints("ami-courier.template.json", parameters)) == [complaint]


def test_it_reads_each_form():
    arguments = ["--auto-deployment", "Enabled=true", "--parameter-overrides", "RequiredTags=a=b", "--region", "x"]
    arguments += ["--parameters", "ParameterKey=DryRun,ParameterValue=true", '[{"ParameterKey": "K", "ParameterValue": "v"}]']
    assert list(given(arguments)) == [("RequiredTags", "a=b"), ("DryRun", "true"), ("K", "v")]
