"""An update from the stack before the redesign keeps what holds messages, and surprises nobody.

Nothing was released before 0.1.0. So `last-release.json` is of the template of commit 29f8df3, the last one before the redesign.
"""

import re
from copy import deepcopy

import pytest
from replacement import digest, last_release, replaced, stricter
from stack import ROOT, plain_of, template

# Each replacement that the update makes, with its reason.
KNOWN = {
    # Its name no longer depends on the length of the stack's name (docs/upgrading-and-removing.md).
    "Queue": ["QueueName"],
    # A policy holds no messages. It moves to the courier's own bus.
    "SenderEventBusPolicy": ["EventBusName", "StatementId"],
    # `Dashboard` is a parameter; what was shown there is OperatorDashboard, with another name.
    "Dashboard": ["removed"],
}
HOLDS_DATA = {"AWS::SQS::Queue", "AWS::Logs::LogGroup"}


@pytest.fixture
def new():
    return digest(template())


def test_the_older_template_is_a_whole_one():
    old = last_release()
    assert {"Queue", "DeadLetterQueue", "Function", "Role", "LogGroup", "CopyRule"} <= old["Resources"].keys()
    assert old["Parameters"]["LogLevel"]["AllowedValues"] != template()["Parameters"]["LogLevel"]["AllowedValues"]


def test_only_known_resources_are_replaced_or_removed(new):
    assert replaced(last_release(), new) == KNOWN


def test_going_back_replaces_the_same_and_removes_only_what_the_update_added_and_nothing_with_data(new):
    old = last_release()
    back = replaced(new, old)
    added = new["Resources"].keys() - old["Resources"].keys()
    assert {name: why for name, why in back.items() if why != ["removed"]} == {name: why for name, why in KNOWN.items() if why != ["removed"]}
    assert {name for name, why in back.items() if why == ["removed"]} == added
    assert added and not [name for name in added if new["Resources"][name]["Type"] in HOLDS_DATA]


def test_the_queue_keeps_its_name_so_that_going_back_keeps_the_queue():
    """The part before the stack's UUID: docs/upgrading-and-removing.md promises it from 0.1.0 on."""
    name, parts = template()["Resources"]["Queue"]["Properties"]["QueueName"]["Fn::Sub"]
    assert name == "ami-courier-${Uuid}" and list(parts) == ["Uuid"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda resources: resources["DeadLetterQueue"]["OnlyAtCreation"].update(QueueName="letters"), {"DeadLetterQueue": ["QueueName"]}),
        (lambda resources: resources["CopyRule"]["OnlyAtCreation"].update(Name="copies"), {"CopyRule": ["Name"]}),
        (lambda resources: resources["Role"]["OnlyAtCreation"].update(RoleName="courier"), {"Role": ["RoleName"]}),
        (lambda resources: resources["OperatorDashboard"]["OnlyAtCreation"].pop("DashboardName"), {"OperatorDashboard": ["DashboardName"]}),
        (lambda resources: resources.pop("LogGroup"), {"LogGroup": ["removed"]}),
        (lambda resources: resources["Queue"].update(Type="AWS::SNS::Topic"), {"Queue": ["Type"]}),
    ],
)
def test_a_replacement_is_found(new, change, found):
    changed = deepcopy(new)
    change(changed["Resources"])
    assert replaced(new, new) == {}
    assert replaced(new, changed) == found


def test_a_name_in_the_template_itself_is_found():
    changed = template()
    changed["Resources"]["DeadLetterQueue"]["Properties"]["QueueName"] = "letters"
    assert "DeadLetterQueue" in replaced(digest(template()), digest(changed))


def without_retention(plain):
    """The resources with data that an update would not keep when it replaces them."""
    held = {name: resource for name, resource in plain["Resources"].items() if resource["Type"] in HOLDS_DATA}
    assert held
    return sorted(name for name, resource in held.items() if resource.get("UpdateReplacePolicy") != "Retain")


def test_what_holds_data_is_kept_when_it_is_replaced():
    assert without_retention(plain_of(template())) == []
    changed = template()
    del changed["Resources"]["Queue"]["UpdateReplacePolicy"]
    assert without_retention(plain_of(changed)) == ["Queue"]


def test_every_output_is_still_there(new):
    assert set(last_release()["Outputs"]) <= set(new["Outputs"])


def unexplained(found, named):
    """The parameters that accept less, and of which the page does not say so."""
    return sorted(name for name in found if f"`{name}`" not in named)


def test_the_page_names_each_parameter_that_accepts_less(new):
    found = stricter(last_release(), new)
    assert "LogLevel" in found
    page = (ROOT / "docs/upgrading-and-removing.md").read_text()
    (count, named) = re.search(r"^- (\d+) parameters accept less than before: (.+?)\. ", page, re.MULTILINE | re.DOTALL).groups()
    assert unexplained(found, named) == []
    assert int(count) == len(re.findall(r"`\w+`", named)) == len(found)
    assert unexplained(found, named.replace("`ExtraTags`", "")) == ["ExtraTags"]


def test_no_parameter_is_removed_or_needs_a_value(new):
    assert {name: why for name, why in stricter(last_release(), new).items() if {"removed", "Default"} & set(why)} == {}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda parameters: parameters.pop("ShareWith"), {"ShareWith": ["removed"]}),
        (lambda parameters: parameters.update(Added={"Type": "String"}), {"Added": ["Default"]}),
        (lambda parameters: parameters["Architecture"].update(AllowedValues=["arm64"]), {"Architecture": ["AllowedValues"]}),
        (lambda parameters: parameters["CopyName"].update(MaxLength=10), {"CopyName": ["MaxLength"]}),
        (lambda parameters: parameters["BackfillDays"].update(MinValue=2), {"BackfillDays": ["MinValue"]}),
        (lambda parameters: parameters["ExtraTags"].update(AllowedPattern="^$"), {"ExtraTags": ["AllowedPattern"]}),
    ],
)
def test_a_parameter_that_accepts_less_is_found(new, change, found):
    changed = deepcopy(new)
    change(changed["Parameters"])
    assert stricter(new, new) == {}
    assert stricter(new, changed) == found


def test_a_parameter_that_accepts_more_is_not_found(new):
    changed = deepcopy(new)
    changed["Parameters"]["CopyName"]["MaxLength"] += 1
    changed["Parameters"]["Architecture"]["AllowedValues"].append("riscv")
    del changed["Parameters"]["KmsKeyId"]["AllowedPattern"]
    assert stricter(new, changed) == {}
