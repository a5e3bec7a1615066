"""The whole templates of the pages are ones that CloudFormation accepts, as far as cfn-lint knows, and the pages tell what ours create."""

import re

import pytest
from cfnlint.api import lint_all
from pages import pages, read
from stack import plain_of, template

TEMPLATES = [block for page in pages() for block in page.blocks if block.info == "yaml" and block.text.startswith("AWSTemplateFormatVersion")]


def complaints(text):
    """Errors and warnings; I4010 asks for metadata that a short example does not need."""
    return [match.message for match in lint_all(text) if match.rule.id != "I4010"]


@pytest.mark.parametrize("block", TEMPLATES, ids=lambda block: block.place)
def test_cfn_lint_finds_nothing(block):
    assert complaints(block.text) == []


@pytest.mark.parametrize(
    ("text", "instead"),
    [("AWS::Events::Rule", "AWS::Events::Rules"), ("!Ref CentralBusArn", "!Ref CentralBus"), ("events:PutEvents", "events:PutEvent"), ("EventPattern:", "Pattern:")],
)
def test_cfn_lint_complains_of(text, instead):
    (template,) = [block.text for block in TEMPLATES if text in block.text and "CentralBusArn" in block.text]
    assert complaints(template.replace(text, instead, 1))


@pytest.mark.parametrize(("stack", "name"), [("the courier", "template.yaml"), ("`source-region.yaml`", "source-region.yaml")])
def test_who_deploys_reads_each_type_that_the_stack_creates(stack, name):
    (told,) = [types for told, types in read("docs/security.md").table("Who may deploy it") if told == stack]
    assert re.findall(r"AWS::\w+::\w+", told) == sorted({resource["Type"] for resource in plain_of(template(name))["Resources"].values()})
