"""The small IAM itself."""

import pytest
from policy import Request, allowing


def statement(**parts):
    return [{"Sid": "S", "Effect": "Allow", "Action": "ec2:CopyImage", "Resource": "arn:aws:ec2:*::image/*", **parts}]


def asked(resource="arn:aws:ec2:eu-west-1::image/ami-1", action="ec2:CopyImage", **context):
    return Request(action, resource, {key.replace("__", ":"): value for key, value in context.items()})


def test_action_and_resource_must_both_match():
    assert allowing(statement(), asked())
    assert allowing(statement(Action=["ec2:X", "EC2:copyimage"]), asked())
    assert not allowing(statement(), asked(action="ec2:CopySnapshot"))
    assert not allowing(statement(), asked(resource="arn:aws:ec2:eu-west-1::snapshot/snap-1"))
    assert not allowing(statement(Resource="arn:aws:ec2:*::image/ami"), asked())


def test_every_condition_must_hold():
    both = statement(Condition={"StringEquals": {"a:b": ["x", "y"]}, "StringLike": {"c:d": "ami-*"}})
    assert allowing(both, asked(a__b="y", C__D="ami-1"))
    assert not allowing(both, asked(a__b="z", c__d="ami-1"))
    assert not allowing(both, asked(a__b="y", c__d="i-1"))


@pytest.mark.parametrize("operator", ["StringEquals", "StringLike", "ArnEquals", "ArnLike", "Bool", "ForAnyValue:StringEquals"])
def test_a_key_that_is_absent_fails_a_condition(operator):
    assert not allowing(statement(Condition={operator: {"a:b": "true"}}), asked())
    assert allowing(statement(Condition={operator: {"a:b": "true"}}), asked(a__b="true"))


def test_null_asks_for_absence():
    absent = statement(Condition={"Null": {"ec2:Add/group": "true"}})
    assert allowing(absent, asked())
    assert not allowing(absent, Request("ec2:CopyImage", "arn:aws:ec2:eu-west-1::image/ami-1", {"ec2:Add/group": "all"}))


def test_many_values():
    every = statement(Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["finished"]}})
    assert allowing(every, asked(aws__TagKeys=["finished"]))
    assert allowing(every, asked())
    assert not allowing(every, asked(aws__TagKeys=["finished", "other"]))
    one = statement(Condition={"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/x"}})
    assert allowing(one, asked(kms__ResourceAliases=["alias/y", "alias/x"]))
    assert not allowing(one, asked(kms__ResourceAliases=["alias/y"]))


def test_ignoring_case():
    named = statement(Condition={"StringEqualsIgnoreCaseIfExists": {"ec2:Attribute": ["description", "imdsSupport"]}})
    for value, allowed in [("Description", True), ("imdssupport", True), ("launchPermission", False)]:
        assert bool(allowing(named, asked(ec2__Attribute=value))) == allowed
    assert allowing(named, asked())
    others = statement(Condition={"ForAllValues:StringNotEqualsIgnoreCase": {"aws:TagKeys": ["source-image", "source-owner"]}})
    for keys, allowed in [(["a"], True), (["a", "Source-Image"], False), (["source-owner"], False), ([], True)]:
        assert bool(allowing(others, asked(aws__TagKeys=keys))) == allowed
    assert allowing(others, asked())


@pytest.mark.parametrize(
    "unknown",
    [
        statement(Effect="Deny"),
        statement(NotAction="x"),
        statement(Condition={"DateLessThan": {"a:b": "2030-01-01"}}),
        statement(Condition={"StringEquals": {"aws:TagKeys": "x"}}),
    ],
)
def test_what_it_does_not_know_it_refuses_to_judge(unknown):
    with pytest.raises(NotImplementedError):
        allowing(unknown, asked(a__b="x", aws__TagKeys=["x"]))
