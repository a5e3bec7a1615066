"""The gaps of LocalStack that plugin/as_process fills. Each look below fails in a LocalStack whose gaps are open, and succeeds in that of the other tests.

When LocalStack has learnt one, the first of its two tests fails. Then remove its function, and its look.
"""

import json
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from aws import EU, US, Aws, until
from courier import Courier
from servers import PYTHON, Servers

_accounts = count(300000000001)


@pytest.fixture(scope="module")
def systems(servers, release, tmp_path_factory):
    """LocalStack with its gaps filled, and with its gaps open, in the state after the same updates."""
    bare = Servers(tmp_path_factory.mktemp("bare"), gaps="open")
    yield SimpleNamespace(filled=_looked_at(servers, release), open=_looked_at(bare, release))
    bare.stop()


def _looked_at(servers, release):
    account = str(next(_accounts))
    return SimpleNamespace(aws=Aws(servers, account), courier=Courier(servers, release, account), stacks={})


def _deployed(system, name, *templates):
    """The stack after updates from each of the templates to the next. One that LocalStack cannot make is left as it is."""
    if name not in system.stacks:
        problem = None
        for template in templates:
            try:
                system.aws.deploy(EU, name, json.dumps({"Parameters": {}, **template}))
            except Exception as error:
                problem = error
                break
        system.stacks[name] = problem
    return system.stacks[name]


def _before_and_after(kind, before, after, **more):
    return [{"Resources": {"It": {"Type": kind, "Properties": properties}, **more}} for properties in (before, after)]


def the_log_group_that_the_function_names(system):
    courier = _with_a_courier(system)
    return bool(until(lambda: courier.lines() or [name for name in _log_groups(courier) if name.startswith("/aws/lambda/")], "a line") and courier.lines())


def _log_groups(courier):
    return [group["logGroupName"] for group in courier.client("logs").describe_log_groups()["logGroups"] if courier.client("logs").describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]]


def the_metrics_in_the_log(system):
    courier = _with_a_courier(system)
    look = lambda: courier.client("cloudwatch").list_metrics(Namespace="ami-courier")["Metrics"]  # noqa: E731
    # What another look waits for is written after the metrics.
    the_log_group_that_the_function_names(system)
    return bool(look())


def _with_a_courier(system):
    """A courier that has rejected a request, told by its answer."""
    if "courier" not in system.stacks:
        system.courier.create()
        error, _ = system.courier.invoke({"SourceImageId": "ami-xyz"})
        assert error
        system.stacks["courier"] = None
    return system.courier


def the_kind_of_a_changed_parameter(system):
    aws, detail = system.aws, None
    events, sqs = aws.client("events", US), aws.client("sqs", US)
    url = sqs.create_queue(QueueName="changes")["QueueUrl"]
    events.put_rule(Name="changes", EventPattern=json.dumps({"source": ["aws.ssm"]}))
    events.put_targets(Rule="changes", Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{US}:{aws.account}:changes"}])
    aws.client("ssm", US).put_parameter(Name="/a", Type="String", Value="x", Overwrite=True)
    (message,) = until(lambda: aws.messages(url, US), "the event")
    detail = json.loads(message["Body"])["detail"]
    return detail.get("dataType") == "text"


def the_id_of_key_material(system):
    if sys.version_info >= (3, 12):
        pytest.skip("this gap is one of Python 3.11")
    try:
        return bool(system.aws.client("kms").create_key())
    except system.aws.client("kms").exceptions.ClientError:
        return False


def conditional_resources_that_refer_to_each_other(system):
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}
    policy = {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    # The appended colons keep Select within the list, also before the ARN is known.
    name = {"Fn::Select": [5, {"Fn::Split": [":", {"Fn::Sub": "${Queue.Arn}:::::"}]}]}
    parameter = {"Name": "/conditional", "Type": "String", "Value": {"Fn::If": ["IsWanted", name, "none"]}}
    template = {
        "Parameters": {"Wanted": {"Type": "String"}},
        "Conditions": {"IsWanted": {"Fn::Equals": [{"Ref": "Wanted"}, "true"]}},
        "Resources": {
            "Always": {"Type": "AWS::SSM::Parameter", "Properties": parameter},
            "Queue": {"Type": "AWS::SQS::Queue", "Condition": "IsWanted", "Properties": {"QueueName": "conditional"}},
            "Policy": {"Type": "AWS::SQS::QueuePolicy", "Condition": "IsWanted", "Properties": policy},
        },
    }
    sqs, ssm, seen = system.aws.client("sqs"), system.aws.client("ssm"), []
    try:
        for wanted in ("false", "true", "false"):
            system.aws.deploy(EU, "conditional", json.dumps(template), {"Wanted": wanted})
            queues = sqs.list_queues(QueueNamePrefix="conditional").get("QueueUrls", [])
            seen.append((len(queues), ssm.get_parameter(Name="/conditional")["Parameter"]["Value"]))
    except (AssertionError, system.aws.client("cloudformation").exceptions.ClientError):
        pass
    return seen == [(0, "none"), (1, "conditional"), (0, "none")]


def what_a_stack_keeps(system):
    kept = {"Type": "AWS::SQS::Queue", "DeletionPolicy": "Retain", "Properties": {"QueueName": "kept"}}
    topic = {"Type": "AWS::SNS::Topic"}
    assert _deployed(system, "keeps", {"Resources": {"It": kept, "Topic": topic}}) is None
    system.aws.delete(EU, "keeps")
    return bool(system.aws.client("sqs").list_queues(QueueNamePrefix="kept").get("QueueUrls"))


def replacements_that_follow_from_a_replacement(system):
    function = _function(system, "follows")

    def template(name):
        queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}
        mapping = {"FunctionName": {"Ref": "Function"}, "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]}}
        return {"Resources": {"Function": function, "Queue": queue, "It": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping}}}

    assert _deployed(system, "follows", template("first"), template("second")) is None
    mappings = system.aws.client("lambda").list_event_source_mappings(FunctionName="follows")["EventSourceMappings"]
    return [mapping["EventSourceArn"].rpartition(":")[2] for mapping in mappings] == ["second"]


def _function(system, name, **more):
    (code,) = system.courier.release.glob("ami-courier-*-x86_64.zip")
    usual = {"FunctionName": name, "Handler": "bootstrap", "Runtime": "provided.al2023", "Role": f"arn:aws:iam::{system.aws.account}:role/any"}
    code = {"S3Bucket": system.courier.upload()["CodeBucket"], "S3Key": code.name}
    return {"Type": "AWS::Lambda::Function", "Properties": {**usual, "Code": code, **more}}


def updates_of_rules(system):
    pattern = lambda source: {"Name": "updated", "EventPattern": {"source": [source]}}  # noqa: E731
    _deployed(system, "rule", *_before_and_after("AWS::Events::Rule", pattern("before"), pattern("after")))
    return "after" in system.aws.client("events").describe_rule(Name="updated")["EventPattern"]


def updates_of_alarms(system):
    alarm = lambda threshold: {"AlarmName": "updated", "Namespace": "x", "MetricName": "x", "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1, "Threshold": threshold, "ComparisonOperator": "GreaterThanThreshold"}  # noqa: E731
    _deployed(system, "alarm", *_before_and_after("AWS::CloudWatch::Alarm", alarm(1), alarm(2)))
    (found,) = system.aws.client("cloudwatch").describe_alarms(AlarmNames=["updated"])["MetricAlarms"]
    return found["Threshold"] == 2


def the_retention_of_log_groups(system):
    _deployed(system, "group", *_before_and_after("AWS::Logs::LogGroup", *({"LogGroupName": "updated", "RetentionInDays": days} for days in (7, 14))))
    (found,) = system.aws.client("logs").describe_log_groups(logGroupNamePrefix="updated")["logGroups"]
    return found.get("retentionInDays") == 14


def _policy(action):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def updates_of_managed_policies(system):
    _deployed(system, "managed", *_before_and_after("AWS::IAM::ManagedPolicy", *({"ManagedPolicyName": "updated", "PolicyDocument": _policy(action)} for action in ("sqs:Before", "sqs:After"))))
    iam = system.aws.client("iam")
    (policy,) = [policy for policy in iam.list_policies(Scope="Local")["Policies"] if policy["PolicyName"] == "updated"]
    return "After" in json.dumps(iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]["Document"])


def updates_of_roles(system):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = lambda action: {"RoleName": "updated", "AssumeRolePolicyDocument": trust, "Policies": [{"PolicyName": "own", "PolicyDocument": _policy(action)}]}  # noqa: E731
    _deployed(system, "role", *_before_and_after("AWS::IAM::Role", role("sqs:Before"), role("sqs:After")))
    return "After" in json.dumps(system.aws.client("iam").get_role_policy(RoleName="updated", PolicyName="own")["PolicyDocument"])


def updates_of_the_policies_of_buses(system):
    system.aws.client("events").create_event_bus(Name="open")
    arn = f"arn:aws:events:{EU}:{system.aws.account}:event-bus/open"
    statement = lambda account: {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "events:PutEvents", "Resource": arn}  # noqa: E731
    policy = lambda account: {"EventBusName": "open", "StatementId": "it", "Statement": statement(account)}  # noqa: E731
    _deployed(system, "bus-policy", *_before_and_after("AWS::Events::EventBusPolicy", policy("111122223333"), policy("444455556666")))
    return "444455556666" in system.aws.client("events").describe_event_bus(Name="open").get("Policy", "")


def the_recursive_loop_of_a_function(system):
    assert _deployed(system, "loop", {"Resources": {"It": _function(system, "loops", RecursiveLoop="Allow")}}) is None
    return system.aws.client("lambda").get_function_recursion_config(FunctionName="loops")["RecursiveLoop"] == "Allow"


GAPS = [
    the_log_group_that_the_function_names,
    the_metrics_in_the_log,
    the_kind_of_a_changed_parameter,
    the_id_of_key_material,
    conditional_resources_that_refer_to_each_other,
    what_a_stack_keeps,
    replacements_that_follow_from_a_replacement,
    updates_of_rules,
    updates_of_alarms,
    the_retention_of_log_groups,
    updates_of_managed_policies,
    updates_of_roles,
    updates_of_the_policies_of_buses,
    the_recursive_loop_of_a_function,
]


@pytest.mark.parametrize("look", GAPS, ids=lambda look: look.__name__)
def test_localstack_has_not_learnt_what_the_plugin_does_for_it(systems, look):
    assert not look(systems.open)


@pytest.mark.parametrize("look", GAPS, ids=lambda look: look.__name__)
def test_the_plugin_fills_the_gap(systems, look):
    assert look(systems.filled)


def test_the_servers_listen_on_loopback_only(servers):
    """Both, as Linux's table of sockets has them: address and port in hexadecimal digits, and the state 0A of a listener."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listeners = [local.split(":") for _, local, _, state, *_ in sockets if state == "0A"]
    for endpoint in (servers.endpoint, servers.ec2_endpoint):
        port = f"{int(endpoint.rpartition(':')[2]):04X}"
        assert [address for address, listening in listeners if listening == port] == ["0100007F"]


@pytest.mark.parametrize(
    ("module", "gap"),
    [
        # loopback_only
        ("localstack.runtime.server.twisted", "TCP4ServerEndpoint(reactor, host_and_port.port)"),
        # the_files_of_s3
        ("localstack.services.s3.provider", 'DEFAULT_S3_TMP_DIR = "/'),
    ],
)
def test_localstack_has_not_learnt_what_the_plugin_does_for_it_when_it_starts(module, gap):
    """These gaps are never open. So the look is into LocalStack's source."""
    look = f"import importlib.util; print(open(importlib.util.find_spec({module!r}).origin).read())"
    assert gap in subprocess.run([PYTHON, "-c", look], capture_output=True, text=True, check=True, timeout=120).stdout
