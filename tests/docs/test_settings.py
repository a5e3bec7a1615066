"""The tables of docs/settings.md and docs/deploying.md name what the function and the templates have, with the same defaults."""

import re

import pytest
from pages import read
from stack import template
from test_rules import STACK_ONLY, pascal, settings_of_the_function

PAGE = read("docs/settings.md")
# Defaults that the table says in words, for an empty value of the template.
WORDS = {"none", "nobody", "as the source", "EBS default key", "best effort", "SQS's own encryption", "no VPC"}
WORDS |= {"the source's, otherwise the source's id and Region"}


def names_and_defaults(rows):
    """(name, default) of each row; a row can explain several names, with a default each or one for all."""
    for names, default, *_ in rows:
        names, defaults = re.findall(r"`([^`]+)`", names), re.findall(r"`([^`]*)`", default) or [default]
        yield from zip(names, defaults * len(names) if len(defaults) == 1 else defaults, strict=True)


GROUPS = {group["Label"]["default"]: group["Parameters"] for group in template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]}


def rows():
    return [row for group in GROUPS for row in names_and_defaults(PAGE.table(f"### {group}"))]


@pytest.mark.parametrize("group", GROUPS)
def test_every_parameter_is_explained_in_the_group_where_the_console_shows_it(group):
    assert [name for name, _ in names_and_defaults(PAGE.table(f"### {group}"))] == GROUPS[group]


def test_every_setting_of_the_function_is_a_parameter_or_set_by_the_template():
    parameters = {name for name, _ in rows()} - STACK_ONLY
    of_the_template = {name for name, default in names_and_defaults(PAGE.table("### Set by the template")) if default == "set by the template"}
    settings = settings_of_the_function()
    assert parameters == {pascal(name) for name in settings - of_the_template} and of_the_template <= settings


@pytest.mark.parametrize(("name", "default"), rows())
def test_the_default_is_that_of_the_template(name, default):
    value = str(template()["Parameters"][name].get("Default", "required"))
    assert value == default or (value == "" and default in WORDS)


def test_the_limits_are_those_of_the_template():
    parameters = template()["Parameters"]
    for name, limit in names_and_defaults([[names, ", ".join(f"`{n.strip()}`" for n in limits.split(","))] for names, limits, _ in PAGE.table("## Limits of the settings")]):
        assert str(parameters[name]["MaxLength"]) == limit, name


def test_every_output_is_explained():
    assert {name for name, *_ in (re.findall(r"`([^`]+)`", row[0]) for row in read("docs/deploying.md").table("## Outputs"))} == set(template()["Outputs"])


def test_every_parameter_of_the_source_region_is_named():
    named = re.search(r"^`source-region.yaml` has (.+)\.$", PAGE.text, re.MULTILINE)[1]
    assert set(re.findall(r"`([A-Z]\w+)`", named)) == set(template("source-region.yaml")["Parameters"])
