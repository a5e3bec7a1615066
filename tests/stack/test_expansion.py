"""SAM expands the template for every combination of options, without a warning, and changes nothing but the function."""

from itertools import combinations, product

import pytest
from stack import OPTIONS, expanded, options, rendered, template

# What the SAM part of the template reads besides the environment variables, which it only passes on.
READ_BY_SAM = {
    "Architecture": ["x86_64", "arm64"],
    "LogLevel": ["INFO", "DEBUG"],
    "MaximumConcurrency": ["2", "1000"],
    "VpcSubnetIds": list(OPTIONS["VpcSubnetIds"]),
    "VpcSecurityGroupIds": ["", "sg-0123456789abcdef0"],
}


def refs(node):
    """The names that `node` refers to, in whatever function."""
    if isinstance(node, dict):
        if "Ref" in node:
            yield node["Ref"]
        if "Fn::If" in node:
            yield node["Fn::If"][0]
        for value in node.values():
            yield from refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from refs(value)


def test_sam_leaves_everything_but_the_function_as_it_is():
    source = template()
    result, warnings = expanded(source)
    assert not warnings
    made = {"Function", "FunctionAnnouncements"}
    assert set(result["Resources"]) == set(source["Resources"]) | made
    for name in set(source["Resources"]) - made:
        assert result["Resources"][name] == source["Resources"][name], name
    for section in ("Parameters", "Conditions", "Outputs", "Rules", "Metadata"):
        assert result[section] == source[section], section


def test_the_function_reads_no_other_option():
    function = dict(template()["Resources"]["Function"]["Properties"])
    del function["Environment"]
    parameters = set(template()["Parameters"])
    assert set(refs(function)) & parameters == set(READ_BY_SAM)


@pytest.mark.parametrize("values", list(product(*READ_BY_SAM.values())))
def test_sam_expands_every_combination_that_it_can_tell_apart(values):
    parameters = {**options("all"), **dict(zip(READ_BY_SAM, values, strict=True))}
    result, warnings = expanded(template(), parameters)
    assert not warnings
    assert result["Resources"]["Function"]["Type"] == "AWS::Lambda::Function"
    assert result["Resources"]["FunctionAnnouncements"]["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def combinations_of_three():
    """Sets of options that are on, such that any three options meet in all eight ways."""
    names = list(OPTIONS)
    wanted = {(trio, states) for trio in combinations(names, 3) for states in product([False, True], repeat=3)}
    # A fixed sequence (x → 25173 x + 13849 mod 2¹⁶ and its high bits) picks candidates, so that every run tests the same.
    state, chosen = 1, [[], names]
    for on in chosen:
        wanted -= {(trio, tuple(name in on for name in trio)) for trio in combinations(names, 3)}
    while wanted:
        on = []
        for name in names:
            state = (25173 * state + 13849) % 65536
            if state & 0x8000:
                on.append(name)
        met = {(trio, tuple(name in on for name in trio)) for trio in combinations(names, 3)} & wanted
        if met:
            chosen.append(on)
            wanted -= met
    return chosen


@pytest.mark.parametrize("on", combinations_of_three(), ids=",".join)
def test_the_options_go_together(on):
    """Every reference that is left in the rendered stack is to a resource that is there."""
    _, warnings = expanded(template(), options(*on))
    assert not warnings
    resources = rendered(template(), options(*on))
    declared = set(template()["Resources"])
    text = repr(resources)
    for absent in declared - set(resources):
        assert f"'{absent}.Arn'" not in text and f"'{absent}'" not in text, f"{absent} is referred to, but not there"
