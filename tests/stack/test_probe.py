"""The probe's permissions, proven: the policy that it prints allows every call that its tests recorded, and nothing that none of them needs; and its role
has exactly the policy of the template.

The calls are in target/probe-calls.jsonl; `cargo test -p probe` writes them. The policy is what `target/debug/probe --policy` prints.
"""

import json
import subprocess
from copy import deepcopy
from functools import cache

import probe_role
import pytest
from calls import RECORD, requests
from policy import Request, allowing
from stack import ACCOUNT, as_list, pretty
from test_permissions import knows_resources

REGION, SOURCE_REGION = "eu-west-1", "us-east-1"
CALLS = RECORD.with_name("probe-calls.jsonl")
PROBE = RECORD.with_name("debug") / "probe"
RUN = {"aws:RequestTag/ami-courier-probe": "0123456789ab"}
OURS = {"aws:ResourceTag/ami-courier-probe": "0123456789ab"}
IN = {"aws:RequestedRegion": REGION}
IMAGE = f"arn:aws:ec2:{REGION}::image/ami-1"
SNAPSHOT = f"arn:aws:ec2:{REGION}::snapshot/snap-1"
REPORT = f"arn:aws:ec2:{REGION}:{ACCOUNT}:image-usage-report/report-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ami-courier-probe/ami-courier-probe-0123456789ab"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/ami-courier-probe-0123456789ab"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:ami-courier-probe-0123456789ab"
PARAMETER = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ami-courier-probe/0123456789ab"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/admin"
NO_KEY = "key/00000000-0000-0000-0000-000000000000"
# Actions that AWS's list has no resource for.
FIND = {"Look", "FindRulesQueuesAndParameters", "ForPermissionsFindRole"}


@cache
def printed():
    done = subprocess.run(
        [PROBE, "--policy", "--region", REGION, "--source-region", SOURCE_REGION], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)["Statement"]


@cache
def recorded():
    if not CALLS.exists():
        raise FileNotFoundError(f"{CALLS} is not there: run `cargo test -p probe` first, it records the probe's AWS calls")
    calls = {line: json.loads(line) for line in CALLS.read_text().splitlines()}
    return list(calls.values())


def of_user():
    return [call for call in recorded() if not call["by_role"]]


def asked(call):
    """Everything that AWS asks permission for, for one call: docs.aws.amazon.com/service-authorization/latest/reference/."""
    action, region, parameters = call["action"], call["region"], call["parameters"]
    context = {"aws:RequestedRegion": region}
    if call["service"] == "ec2":
        yield from _ec2(call, action, region, parameters, context)
    elif call["service"] == "ebs":
        snapshot = f"arn:aws:ec2:{region}::snapshot/{parameters.get('SnapshotId', 'snap-0123456789abcdef0')}"
        if action == "StartSnapshot":
            tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in parameters["Tags"]}
            keys = {"aws:TagKeys": [tag["Key"] for tag in parameters["Tags"]]}
            yield Request("ebs:StartSnapshot", snapshot, {**context, **tags, **keys})
            yield Request("ec2:CreateTags", snapshot, {**context, **tags, **keys})
        else:
            yield Request(f"ebs:{action}", snapshot, {**context, **_tags_of(call, parameters["SnapshotId"])})
    elif call["service"] == "iam":
        role = f"arn:aws:iam::{ACCOUNT}:role/ami-courier-probe/{parameters.get('RoleName', '')}"
        yield Request(f"iam:{action}", "*" if action == "ListRoles" else role, {})
        if action == "CreateRole":
            yield Request("iam:TagRole", role, {})
    elif call["service"] == "events":
        rule = f"arn:aws:events:{region}:{ACCOUNT}:rule/{parameters.get('Name', parameters.get('Rule'))}"
        yield Request(f"events:{action}", "*" if action == "ListRules" else rule, context)
        if parameters.get("Tags"):
            # docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
            yield Request("events:TagResource", rule, context)
    elif call["service"] == "ssm":
        parameter = f"arn:aws:ssm:{region}:{ACCOUNT}:parameter{parameters.get('Name')}"
        yield Request(f"ssm:{action}", "*" if action == "DescribeParameters" else parameter, context)
    elif call["service"] == "sqs":
        queue = _queue(call)
        yield Request(f"sqs:{action}", "*" if action == "ListQueues" else queue, context)
        if parameters.get("tags"):
            # docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
            yield Request("sqs:TagQueue", queue, context)
    elif action == "AssumeRole":
        yield Request("sts:AssumeRole", parameters["RoleArn"], {})
    else:
        # docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html: no permissions are required.
        assert action == "GetCallerIdentity", action


def _queue(call):
    parameters = call["parameters"]
    name = parameters.get("QueueName") or parameters.get("QueueUrl", "").rsplit("/")[-1]
    return f"arn:aws:sqs:{call['region']}:{ACCOUNT}:{name}"


def _tags_of(call, name):
    return {
        f"aws:ResourceTag/{key}": value
        for target in call["targets"]
        if target["id"] == name
        for key, value in target["tags"].items()
    }


def _request_tags(parameters):
    """Those of the first tag specification: all of a call are the same."""
    tags = {}
    for name, value in parameters.items():
        if name.startswith("TagSpecification.1.Tag.") and name.endswith(".Key"):
            tags[f"aws:RequestTag/{value}"] = parameters[name.removesuffix("Key") + "Value"]
    return tags


def _ec2(call, action, region, parameters, context):
    image = f"arn:aws:ec2:{region}::image/ami-0123456789abcdef0"
    if action == "RegisterImage":
        snapshot = parameters["BlockDeviceMapping.1.Ebs.SnapshotId"]
        tags = _request_tags(parameters)
        yield Request("ec2:RegisterImage", image, {**context, **tags})
        yield Request("ec2:RegisterImage", f"arn:aws:ec2:{region}::snapshot/{snapshot}", {**context, **_tags_of(call, snapshot)})
        yield Request("ec2:CreateTags", image, {**context, **tags, "ec2:CreateAction": action})
    elif action == "DisableImageDeregistrationProtection":
        yield Request(f"ec2:{action}", f"arn:aws:ec2:{region}::image/{parameters['ImageId']}", {**context, **_tags_of(call, parameters["ImageId"])})
    elif action in ("DeregisterImage", "DeleteSnapshot", "DeleteImageUsageReport", "CreateTags") and not call["targets"]:
        # The AMI is invisible or gone: nothing has tags by which the call could be allowed. The probe takes any such error for "not yet".
        return
    else:
        tags = _request_tags(parameters)
        for request in requests({**call, "here": region}):
            # The copy under a key that does not exist fails with and without a permission for it.
            if request.resource.endswith(NO_KEY):
                continue
            yield Request(request.action, request.resource, {**request.context, **context, **(tags if request.action == "ec2:CreateTags" else {})})


def _forbidden():
    """What the policy must still refuse."""
    for action, arn in [("DeregisterImage", IMAGE), ("DisableImage", IMAGE), ("EnableImage", IMAGE), ("DeleteSnapshot", SNAPSHOT), ("CreateTags", IMAGE)]:
        yield Request(f"ec2:{action}", arn, {**IN, "aws:TagKeys": ["Name"]})
        yield Request(f"ec2:{action}", arn, {**OURS, "aws:RequestedRegion": "ap-south-1", "aws:TagKeys": ["ec2:SharedTag/ami-courier-probe"]})
    yield Request("ec2:CreateTags", IMAGE, {**IN, **OURS, "aws:TagKeys": ["Name"]})
    yield Request("ec2:CreateTags", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1", {**IN, **RUN})
    yield Request("ec2:CreateImageUsageReport", IMAGE, IN)
    yield Request("ec2:DeleteImageUsageReport", REPORT, IN)
    yield Request("ec2:DisableImageDeregistrationProtection", IMAGE, IN)
    yield Request("ec2:RegisterImage", SNAPSHOT, IN)
    yield Request("ec2:DescribeImages", "*", {"aws:RequestedRegion": "ap-south-1"})
    yield Request("ebs:StartSnapshot", SNAPSHOT, IN)
    for action in ["PutSnapshotBlock", "CompleteSnapshot"]:
        yield Request(f"ebs:{action}", SNAPSHOT, IN)
    for action in ["PutRule", "TagResource", "PutTargets", "RemoveTargets", "DeleteRule"]:
        yield Request(f"events:{action}", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/of-the-user", IN)
        yield Request(f"events:{action}", RULE, {"aws:RequestedRegion": "ap-south-1"})
    for action in ["CreateQueue", "TagQueue", "ReceiveMessage", "DeleteQueue"]:
        yield Request(f"sqs:{action}", f"arn:aws:sqs:{REGION}:{ACCOUNT}:of-the-user", IN)
        yield Request(f"sqs:{action}", QUEUE, {"aws:RequestedRegion": "ap-south-1"})
    for action in ["PutParameter", "DeleteParameter"]:
        yield Request(f"ssm:{action}", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/of-the-user", IN)
        yield Request(f"ssm:{action}", PARAMETER, {"aws:RequestedRegion": "ap-south-1"})
    yield Request("ssm:DescribeParameters", "*", {"aws:RequestedRegion": "ap-south-1"})
    for action in ["ListRules", "ListQueues"]:
        yield Request(f"{'events' if action == 'ListRules' else 'sqs'}:{action}", "*", {"aws:RequestedRegion": "ap-south-1"})
    for action in ["CreateRole", "PutRolePolicy", "DeleteRolePolicy", "DeleteRole", "TagRole"]:
        yield Request(f"iam:{action}", OTHER_ROLE, {})
    yield Request("sts:AssumeRole", OTHER_ROLE, {})
    yield Request("iam:AttachRolePolicy", ROLE, {})


def problems(change=lambda policy: policy):
    """Everything that is wrong with the policy, after `change`."""
    policy = change(deepcopy(printed()))
    found, used = [], set()
    for call in of_user():
        for request in asked(call):
            statement = allowing(policy, request)
            if statement is None:
                found.append(f"not allowed: {request}")
            else:
                used.add((statement["Sid"], request.action))
    for statement in policy:
        actions = as_list(statement["Action"])
        found += [f"{statement['Sid']}: {action} is a pattern" for action in actions if "*" in action]
        found += [f"{statement['Sid']}: no test uses {action}" for action in actions if (statement["Sid"], action) not in used]
        if "*" in as_list(statement["Resource"]) and statement["Sid"] not in FIND:
            found += [f"{statement['Sid']}: {action} could be on certain resources" for action in actions if knows_resources(action)]
    found += [f"allowed, but must not be: {request}" for request in _forbidden() if allowing(policy, request)]
    return found


def test_the_printed_policy_allows_every_call_and_every_permission_is_needed():
    assert len(of_user()) > 100, "the tests recorded too few calls"
    found = problems()
    assert not found, "\n".join(sorted(set(found))[:40])


@pytest.mark.parametrize("number", range(19))
def test_a_statement_fewer_is_found(number):
    assert len(printed()) == 19
    assert problems(lambda policy: policy[:number] + policy[number + 1 :])


@pytest.mark.parametrize("number", [n for n, statement in enumerate(printed())] if PROBE.exists() else [])
def test_a_statement_without_its_conditions_is_found(number):
    if "Condition" not in printed()[number]:
        pytest.skip("it has none")

    def without(policy):
        del policy[number]["Condition"]
        return policy

    if printed()[number]["Sid"] in ("CopyImage", "RegisterImage", "OrderUsageReport"):
        pytest.skip("its condition is the Region alone, and what it makes needs the tag of the run in another statement")
    assert problems(without), printed()[number]["Sid"]


def test_the_role_of_the_probe_has_the_policy_of_the_template():
    assert probe_role.FILE.read_text() == probe_role.text(), "run `python tests/stack/probe_role.py` to write it again"


RUN_ID = "0123456789ab"
ROLE_QUEUE, ROLE_DEAD_LETTERS = (f"arn:aws:sqs:{REGION}:{ACCOUNT}:ami-courier-probe-{RUN_ID}-{kind}" for kind in ("queue", "dead-letters"))


def role_policy():
    text = probe_role.FILE.read_text()
    places = {"${Account}": ACCOUNT, "${Region}": REGION, "${SourceRegion}": SOURCE_REGION, "${Partition}": "aws"}
    for placeholder, value in {**places, "${Queue}": ROLE_QUEUE, "${DeadLetterQueue}": ROLE_DEAD_LETTERS}.items():
        text = text.replace(placeholder, value)
    return json.loads(text)["Statement"]


def by_role():
    return [call for call in recorded() if call["by_role"]]


def asked_by_role(call):
    if call["service"] == "sqs":
        return [Request(f"sqs:{call['action']}", _queue(call), {"aws:RequestedRegion": call["region"]})]
    return requests({**call, "here": REGION})


def must_be_refused(call):
    """The calls of `is_each_other_call_refused_to_the_role`."""
    action, parameters = call["action"], call["parameters"]
    if action == "CreateTags":
        return all("ami-courier:source-image" not in target["tags"] for target in call["targets"])
    if action == "ReceiveMessage":
        return _queue(call) == ROLE_DEAD_LETTERS
    if action == "GetParameter":
        return parameters["Name"] == "/ami-courier-elsewhere"
    return action == "PutEvents" and parameters["Entries"][0]["Source"] != "ami-courier"


def refused_to_role(policy):
    return [(call, request) for call in by_role() for request in asked_by_role(call) if allowing(policy, request) is None]


def test_every_call_under_the_role_is_allowed_by_it_or_refused_as_it_must_be():
    policy = role_policy()
    assert len({call["action"] for call in by_role()}) > 25, "the tests recorded too few calls under the role"
    wrong = [str(request) for call, request in refused_to_role(policy) if not must_be_refused(call)]
    assert not wrong, "\n".join(wrong)
    refused = {request.action for _, request in refused_to_role(policy)}
    assert refused == {"ec2:CreateTags", "sqs:ReceiveMessage", "ssm:GetParameter", "events:PutEvents"}
    allowed = [call["action"] for call in by_role() if must_be_refused(call) and all(allowing(policy, request) for request in asked_by_role(call))]
    assert not allowed, allowed
    assert len(pretty({"Version": "2012-10-17", "Statement": policy})) < 10_240, "IAM's limit for the inline policies of a role"


@pytest.mark.parametrize("sid", ["TakeMessages", "SendItselfMessages", "SetAsideRejected", "PublishInParameter", "ReadAnnouncedParameters", "TellEventBus"])
def test_the_role_needs_each_of_its_statements_for_other_services(sid):
    policy = role_policy()
    fewer = [statement for statement in policy if statement["Sid"] != sid]
    assert len(fewer) == len(policy) - 1
    assert any(not must_be_refused(call) for call, _ in refused_to_role(fewer))
