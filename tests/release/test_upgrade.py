"""The stack of the last release, updated to this template: what an update replaces, and that users' parameters still hold.

Nothing is released yet. In the place of the last release stands the last commit before the redesign (177d9a2): tests/release/last has its template
and messages as its queues hold them, which core/tests/it/announcement/last_release.rs reads.
"""

from copy import deepcopy

import limits
import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from samtranslator.yaml_helper import yaml_parse
from stack import REGION, ROOT, created, options, template

LAST = yaml_parse((ROOT / "tests" / "release" / "last" / "template.yaml").read_text())

# What the update replaces, on purpose. CHANGELOG.md names each.
REPLACED = {
    ("Queue", "QueueName"): "The announcements queue is named",
    # It is the mapping of that queue. The new one begins where the new queue begins.
    ("FunctionAnnouncements", "EventSourceArn"): "The announcements queue is named",
    # Only with SenderAccounts.
    ("SenderEventBusPolicy", "EventBusName"): "`SenderAccounts` makes an event bus",
    ("SenderEventBusPolicy", "StatementId"): "`SenderAccounts` makes an event bus",
}


def create_only(kind):
    """Properties whose change replaces the resource, from CloudFormation's own schema."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    return {path.removeprefix("/properties/").partition("/")[0] for path in schema.get("createOnlyProperties", [])}


def replaced(last, source, on=("all",)):
    """(resource, property) that an update from `last` to `source` replaces, with the parameters that the last release knew."""
    parameters = {name: value for name, value in options(*on).items() if name in last["Parameters"]}
    before, after = (created(stack, parameters, name_limit=limits.name_limit) for stack in (last, source))
    found = set()
    for name in set(before) & set(after):
        kind = after[name]["Type"]
        if before[name]["Type"] != kind:
            found.add((name, "Type"))
            continue
        for property in create_only(kind):
            if before[name]["Properties"].get(property) != after[name]["Properties"].get(property):
                found.add((name, property))
    return found


@pytest.mark.parametrize("on", [(), ("all",)], ids=["no option", "every option"])
def test_an_update_replaces_nothing_but_what_the_changelog_names(on):
    expected = {(name, property) for name, property in REPLACED if on or not name.startswith("Sender")}
    assert replaced(LAST, template(), on) == expected
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for words in REPLACED.values():
        assert words in changelog, words


@pytest.mark.parametrize(
    ("name", "property", "value"),
    [
        ("SourceImageRule", "Name", "announcements"),
        ("DeadLetterQueue", "QueueName", "letters"),
        ("Role", "RoleName", "courier"),
        ("LogGroup", "LogGroupName", "courier"),
        ("Dashboard", "DashboardName", "courier"),
        ("Function", "FunctionName", "courier"),
    ],
)
def test_a_new_name_is_noticed(name, property, value):
    changed = template()
    changed["Resources"][name]["Properties"][property] = value
    assert (name, property) in replaced(template(), changed)


def test_what_an_update_replaces_or_removes_keeps_its_messages_and_its_log():
    resources = template()["Resources"]
    for name in ("Queue", "DeadLetterQueue", "LogGroup"):
        assert resources[name]["UpdateReplacePolicy"] == "Retain", name
    unnamed = set(LAST["Resources"]) - set(resources)
    assert not unnamed, "an update deletes these"


def refused(last, source):
    """Parameters of the last release that this one does not know, or whose allowed values it no longer takes."""
    found = set()
    for name, before in last["Parameters"].items():
        after = source["Parameters"].get(name)
        if after is None or after["Type"] != before["Type"] or set(before.get("AllowedValues", [])) - set(after.get("AllowedValues", before.get("AllowedValues", []))):
            found.add(name)
    return found | {name for name in set(source["Parameters"]) - set(last["Parameters"]) if "Default" not in source["Parameters"][name]}


def test_the_parameters_of_the_last_release_still_hold():
    # CHANGELOG.md: LogLevel is INFO or DEBUG.
    assert refused(LAST, template()) == {"LogLevel"}
    assert "`LogLevel` is `INFO` or `DEBUG`" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "change",
    [
        lambda parameters: parameters.pop("ShareWith"),
        lambda parameters: parameters["CopyTags"].update(AllowedValues=["true"]),
        lambda parameters: parameters.update(New={"Type": "String"}),
        lambda parameters: parameters["BackfillDays"].update(Type="String"),
    ],
    ids=["removed", "an allowed value", "without a default", "another type"],
)
def test_a_parameter_that_no_longer_holds_is_noticed(change):
    changed = deepcopy(template())
    change(changed["Parameters"])
    assert refused(template(), changed)
