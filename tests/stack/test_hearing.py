"""What the rules hear, judged by an implementation of EventBridge's patterns: every announcement that is meant, and as little else as can be."""

import pytest
from moto.events.models import EventPattern
from stack import ACCOUNT, REGION, created, of_type, options, outputs, rendered, template


def event(source, kind, detail, region="us-east-1", account=ACCOUNT):
    return {
        "version": "0",
        "id": "8c2b4a7e-0000-4000-8000-000000000000",
        "source": source,
        "detail-type": kind,
        "account": account,
        "region": region,
        "time": "2026-01-01T00:00:00Z",
        "resources": [],
        "detail": detail,
    }


def ami(state, **where):
    return event("aws.ec2", "EC2 AMI State Change", {"ImageId": "ami-1", "State": state, "ErrorMessage": ""}, **where)


def image_builder(status, **where):
    return event("aws.imagebuilder", "EC2 Image Builder Image State Change", {"previous-state": {"status": "TESTING"}, "state": {"status": status}}, **where)


def tag(service="ec2", kind="image", changed=("approved",), tags=None, **where):
    return event("aws.tag", "Tag Change on Resource", {"changed-tag-keys": list(changed), "service": service, "resource-type": kind, "tags": tags or {}}, **where)


OF_A_COPY = {"Name": "golden", "ami-courier:source-image": "ami-1"}
WITHDRAWN = {"changed": ["Name", "ami-courier:withdrawn"], "tags": {**OF_A_COPY, "ami-courier:withdrawn": "bad kernel"}}


def parameter(name="/golden/web", operation="Update", data_type="aws:ec2:image", **where):
    named = {"dataType": data_type} if data_type else {}
    return event("aws.ssm", "Parameter Store Change", {"operation": operation, "name": name, "type": "String", **named}, **where)


def trail(name, **detail):
    return event("aws.ec2", "AWS API Call via CloudTrail", {"eventSource": "ec2.amazonaws.com", "eventName": name, **detail})


REQUEST = event("ci.example", "AMI Copy Request", {"SourceImageId": "ami-1", "SourceRegion": "us-east-1", "Name": "x"}, region=REGION)
NAMED = {**event("ci.example", "AMI Copy Request", {}, region=REGION), "resources": ["arn:aws:ec2:us-east-1::image/ami-1"]}
OWN = event("ami-courier", "AMI Copy Finished", {"Outcome": "Finished"}, region=REGION)

COURIER = [
    # (event, the options that are on, the rules that hear it)
    (ami("available"), [], ["SourceImageRule"]),
    (ami("available", region="ap-south-1"), [], ["SourceImageRule"]),
    (ami("available", account="999999999999"), [], ["SourceImageRule"]),
    (ami("available"), ["SourceRegions"], ["SourceImageRule"]),
    (ami("available", region="ap-south-1"), ["SourceRegions"], []),
    (ami("failed"), [], []),
    (ami("disabled"), [], []),
    (ami("disabled"), ["RetireWithSource"], ["SourceImageRule"]),
    (ami("deregistered"), [], []),
    (ami("deregistered"), ["RetireWithSource"], ["SourceImageRule"]),
    (ami("available", region=REGION), [], ["CopyRule"]),
    (ami("failed", region=REGION), [], ["CopyRule"]),
    (ami("deregistered", region=REGION), ["RetireWithSource"], []),
    (ami("available", region=REGION, account="999999999999"), [], []),
    (image_builder("AVAILABLE"), [], ["ImageBuilderRule"]),
    (image_builder("TESTING"), [], []),
    (image_builder("FAILED"), [], []),
    (image_builder("AVAILABLE", region=REGION), [], []),
    (image_builder("AVAILABLE", region="ap-south-1"), ["SourceRegions"], []),
    (tag(), [], []),
    (tag(), ["RequiredTags"], ["SourceImageRule"]),
    (tag(), ["Reconcile"], ["SourceImageRule"]),
    # A tag that is taken away, when no tag is left.
    (tag(changed=["Channel"]), ["Reconcile", "SourceRegions"], ["SourceImageRule"]),
    (tag(changed=["ami-courier:withdrawn"], tags={"ami-courier:withdrawn": ""}), ["Reconcile"], ["SourceImageRule"]),
    (tag(region="ap-south-1"), ["Reconcile", "SourceRegions"], []),
    (tag(kind="snapshot"), ["Reconcile"], []),
    (tag(tags=OF_A_COPY), ["Reconcile", "RequiredTags"], []),
    (tag(**WITHDRAWN), ["Reconcile"], []),
    (tag(**WITHDRAWN, region=REGION), ["Reconcile"], ["CopyRule"]),
    (tag(changed=["ami-courier:withdrawn"], tags=OF_A_COPY, region=REGION), ["Reconcile"], ["CopyRule"]),
    (tag(**WITHDRAWN, region=REGION), ["RequiredTags"], []),
    (tag(**WITHDRAWN, region=REGION, account="999999999999"), ["Reconcile"], []),
    (tag(changed=["ami-courier:finished", "ami-courier:withdrawn-source"], tags=OF_A_COPY, region=REGION), ["Reconcile"], []),
    (tag(changed=["ami-courier:withdrawn"], tags={"ami-courier:withdrawn": ""}, region=REGION), ["Reconcile"], []),
    (tag(**WITHDRAWN, kind="snapshot", region=REGION), ["Reconcile"], []),
    (tag(kind="instance"), ["RequiredTags"], []),
    (tag(service="rds"), ["RequiredTags"], []),
    (tag(region=REGION), ["RequiredTags"], []),
    (parameter(), [], []),
    (parameter(), ["SourceParameterPath"], ["ParameterRule"]),
    (parameter(operation="Create"), ["SourceParameterPath"], ["ParameterRule"]),
    (parameter(operation="Delete"), ["SourceParameterPath"], []),
    (parameter(name="/other"), ["SourceParameterPath"], []),
    (parameter(data_type="text"), ["SourceParameterPath"], ["ParameterRule"]),
    (parameter(data_type=None), ["SourceParameterPath"], ["ParameterRule"]),
    (parameter(region=REGION), ["SourceParameterPath"], []),
    (trail("CreateImage"), [], []),
    (trail("CreateImage"), ["CloudTrailEvents"], ["CloudTrailRule"]),
    (trail("CopyImage"), ["CloudTrailEvents"], ["CloudTrailRule"]),
    (trail("CreateRestoreImageTask"), ["CloudTrailEvents"], ["CloudTrailRule"]),
    (trail("CopyImage", errorCode="Client.X"), ["CloudTrailEvents"], []),
    (trail("RunInstances"), ["CloudTrailEvents"], []),
    (REQUEST, [], ["RequestRule"]),
    (NAMED, [], ["RequestRule"]),
    (OWN, ["all"], []),
]

# What other accounts send to the bus that is open to them: (event, the options that are on besides SenderAccounts, whether the courier hears it)
SENDER = "999999999999"
HEARD_FROM_SENDERS = [
    (ami("available", account=SENDER), [], True),
    (ami("available", account=SENDER), ["SourceRegions"], True),
    (ami("available", account=SENDER, region="ap-south-1"), ["SourceRegions"], False),
    (ami("available", account=SENDER, region=REGION), [], False),
    (ami("available", region=REGION), [], False),
    (ami("failed", account=SENDER), [], False),
    (ami("deregistered", account=SENDER), [], False),
    (ami("deregistered", account=SENDER), ["RetireWithSource"], True),
    (image_builder("AVAILABLE", account=SENDER), [], True),
    (image_builder("TESTING", account=SENDER), [], False),
    (tag(account=SENDER), [], False),
    (tag(account=SENDER), ["RequiredTags"], True),
    (tag(account=SENDER), ["Reconcile"], True),
    (tag(account=SENDER, tags=OF_A_COPY), ["Reconcile", "RequiredTags"], False),
    (tag(service="rds", account=SENDER), ["RequiredTags"], False),
    (parameter(account=SENDER), [], False),
    (parameter(account=SENDER), ["SourceParameterPath"], True),
    (parameter(data_type=None, account=SENDER), ["SourceParameterPath"], True),
    (parameter(name="/other", account=SENDER), ["SourceParameterPath"], False),
    (trail("CreateImage"), [], False),
    (trail("CreateImage"), ["CloudTrailEvents"], True),
    (trail("CreateRestoreImageTask"), ["CloudTrailEvents"], True),
    (trail("RunInstances"), ["CloudTrailEvents"], False),
    # An announcement is heard, a request is not.
    (NAMED, [], True),
    (REQUEST, [], False),
    ({**REQUEST, "resources": NAMED["resources"]}, [], False),
    (OWN, [], False),
    (event("aws.ec2", "EC2 Instance State-change Notification", {"state": "running"}, account=SENDER), ["RetireWithSource"], False),
]

FORWARDER = [
    (ami("available"), {}, True),
    (ami("deregistered"), {}, True),
    (ami("disabled"), {}, True),
    (ami("failed"), {}, False),
    (ami("available", region="eu-central-1"), {}, False),
    (ami("available", account="999999999999"), {}, False),
    (image_builder("AVAILABLE"), {}, True),
    (image_builder("TESTING"), {}, False),
    (tag(), {}, True),
    (tag(), {"ForwardTagChanges": "false"}, False),
    (tag(kind="instance"), {}, False),
    (tag(tags=OF_A_COPY), {}, False),
    (tag(**WITHDRAWN), {}, False),
    (tag(changed=["ami-courier:withdrawn"], tags={"ami-courier:withdrawn": ""}), {}, True),
    (parameter(), {}, False),
    (parameter(), {"SourceParameterPath": "/golden/"}, True),
    (parameter(data_type=None), {"SourceParameterPath": "/golden/"}, True),
    (parameter(name="/other"), {"SourceParameterPath": "/golden/"}, False),
    (trail("CreateImage"), {}, False),
    (trail("CreateImage"), {"CloudTrailEvents": "true"}, True),
    (trail("CreateRestoreImageTask"), {"CloudTrailEvents": "true"}, True),
    (REQUEST, {}, False),
]


def hearing(resources, what, bus="default"):
    rules = of_type(resources, "AWS::Events::Rule").items()
    patterns = {name: rule["EventPattern"] for name, rule in rules if "EventPattern" in rule and rule.get("EventBusName", "default") == bus}
    return [name for name, pattern in patterns.items() if EventPattern(None, pattern).matches_event(what)]


def name(case):
    what, on, heard = case
    return f"{what['detail-type']} {what['detail'].get('State', '')} {what['region']} {what['account']} {on} {heard}"


@pytest.mark.parametrize(("what", "on", "heard_by"), [pytest.param(*case, id=name(case)) for case in COURIER])
def test_the_courier_hears(what, on, heard_by):
    assert hearing(rendered(template(), options(*on)), what) == heard_by


@pytest.mark.parametrize(("what", "on", "heard"), [pytest.param(*case, id=name(case)) for case in HEARD_FROM_SENDERS])
def test_the_courier_hears_of_the_sender_accounts(what, on, heard):
    resources = rendered(template(), options("SenderOrganizationId", *on))
    assert hearing(rendered(template(), options("SenderAccounts", *on)), what, "SenderEventBus") == hearing(resources, what, "SenderEventBus")
    rule = "SenderRequestRule" if what["detail-type"] == "AMI Copy Request" else "SenderRule"
    assert hearing(resources, what, "SenderEventBus") == ([rule] if heard else [])


def test_the_senders_bus_hears_requests_only_if_any_request_is_carried_out():
    for requests, heard in [("Selected", []), ("Off", []), ("Any", ["SenderRequestRule"])]:
        resources = rendered(template(), {**options("SenderAccounts"), "Requests": requests})
        assert hearing(resources, REQUEST, "SenderEventBus") == heard, requests
        assert hearing(resources, NAMED, "SenderEventBus") == ["SenderRequestRule"], requests
        assert hearing(resources, REQUEST) == ["RequestRule"], "this account's own are heard, and pass the gate"


@pytest.mark.parametrize("on", [(), ("Reconcile",), ("SenderAccounts",), ("all",)], ids=str)
def test_every_or_has_two_branches_at_least(on):
    """EventBridge takes an $or of one for the name of a field (github.com/aws/event-ruler, "The $or Primitive"), and moto does not."""
    rules = of_type(rendered(template(), options(*on)), "AWS::Events::Rule")
    branches = {name: len(rule["EventPattern"]["$or"]) for name, rule in rules.items() if "$or" in rule.get("EventPattern", {})}
    assert {"SourceImageRule", "CopyRule"} <= branches.keys()
    assert all(count >= 2 for count in branches.values()), branches


def test_the_own_region_is_heard_once_source_regions_names_it():
    on = ["SenderAccounts", "RequiredTags", "Reconcile", "SourceParameterPath", "RetireWithSource"]
    resources = rendered(template(), {**options(*on), "SourceRegions": f"us-east-1,{REGION}"})
    for what in [ami("available", region=REGION, account=SENDER), ami("deregistered", region=REGION, account=SENDER), tag(region=REGION, account=SENDER)]:
        assert hearing(resources, what, "SenderEventBus") == ["SenderRule"]
    assert hearing(resources, parameter(region=REGION)) == ["ParameterRule"]
    assert hearing(resources, ami("available", region=REGION)) == ["CopyRule", "SourceImageRule"]
    assert hearing(resources, tag(**WITHDRAWN, region=REGION)) == ["CopyRule"]


def test_the_source_regions_of_any_account_forward_to_the_output_of_the_courier():
    own = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/"
    assert outputs(template(), options())["EventBusArn"] == own + "default"
    for senders in ("SenderAccounts", "SenderOrganizationId"):
        assert outputs(template(), options(senders))["EventBusArn"] == "SenderEventBus.Arn"
    assert created(template(), options("SenderAccounts"))["SenderEventBus"]["Properties"]["Name"] == "ami-courier"


BUSES = "arn:aws:events:eu-west-1:123456789012:event-bus/default,arn:aws:events:eu-central-1:111122223333:event-bus/default"


@pytest.mark.parametrize(("what", "parameters", "forwarded"), [pytest.param(*case, id=name(case)) for case in FORWARDER])
def test_the_source_region_forwards(what, parameters, forwarded):
    resources = rendered(template("source-region.yaml"), {"EventBusArns": BUSES, **parameters}, region="us-east-1")
    assert hearing(resources, what) == (["Rule"] if forwarded else [])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_the_source_region_forwards_to_as_many_as_are_named_and_may_do_no_more(count):
    buses = [f"arn:aws:events:eu-west-{n}:11112222333{n}:event-bus/default" for n in range(count)]
    resources = rendered(template("source-region.yaml"), {"EventBusArns": ",".join(buses)}, region="us-east-1")
    targets = resources["Rule"]["Properties"]["Targets"]
    assert [target["Arn"] for target in targets] == buses
    assert all(target["DeadLetterConfig"] == {"Arn": "DeadLetterQueue.Arn"} for target in targets)
    (policy,) = resources["Role"]["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("events:PutEvents", buses)


def test_the_sweep_says_what_the_function_understands():
    (target,) = rendered(template(), options("SweepRate"))["SweepRule"]["Properties"]["Targets"]
    assert target["Input"] == '{"Sweep":{}}'
    assert "SweepRule" not in rendered(template(), options())
