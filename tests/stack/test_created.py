"""The stacks created in moto, an implementation of CloudFormation and of the services that nobody here wrote; then events, from bus to queue.

Moto's CloudFormation skips the types in SKIPPED. Their properties go through the services' own APIs instead.
"""

import json
from contextlib import contextmanager

import boto3
import limits
import pytest
from aws_on_loopback import for_moto, in_this_process
from stack import ACCOUNT, REGION, STACK, created, of_type, options, template
from test_hearing import COURIER, FORWARDER, HEARD_FROM_SENDERS
from test_hearing import name as case_name
from test_limits import STACK_NAMES

SKIPPED = {"AWS::Events::EventBusPolicy", "AWS::SQS::QueuePolicy", "AWS::CloudWatch::Alarm"}
BUSES = {"EventBusArns": "arn:aws:events:eu-west-1:123456789012:event-bus/default"}


def client(service, region=REGION):
    return boto3.client(service, region_name=region, aws_access_key_id="test", aws_secret_access_key="test")


@contextmanager
def stack(parameters, source=None, stack_name=STACK, region=REGION):
    """The stack's resources, by logical id: what moto created, as its type and physical id."""
    source = source or template()
    with in_this_process():
        cloudformation = client("cloudformation", region)
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        cloudformation.create_stack(StackName=stack_name, TemplateBody=json.dumps(for_moto(source)), Parameters=given, Capabilities=["CAPABILITY_IAM"])
        (status,) = [found["StackStatus"] for found in cloudformation.describe_stacks(StackName=stack_name)["Stacks"]]
        assert status == "CREATE_COMPLETE"
        yield {
            found["LogicalResourceId"]: (found["ResourceType"], found.get("PhysicalResourceId"))
            for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name)
            for found in page["StackResourceSummaries"]
            if found["LogicalResourceId"]  # Moto lists what it skipped without a name.
        }


@pytest.mark.parametrize("name", ["template.yaml", "source-region.yaml"])
@pytest.mark.parametrize("stack_name", STACK_NAMES.values(), ids=STACK_NAMES)
@pytest.mark.parametrize("on", [(), ("all",)], ids=["no option", "every option"])
def test_every_resource_is_created(name, stack_name, on):
    source = template(name)
    parameters = options(*on) if name == "template.yaml" else BUSES
    wanted = created(source, parameters, stack_name=stack_name, name_limit=limits.name_limit)
    with stack(parameters, source, stack_name) as resources:
        made = {logical: kind for logical, (kind, _) in resources.items()}
        skipped = {logical: resource["Type"] for logical, resource in wanted.items() if resource["Type"] in SKIPPED}
        assert made | skipped == {logical: resource["Type"] for logical, resource in wanted.items()}


@pytest.mark.parametrize("stack_name", STACK_NAMES.values(), ids=STACK_NAMES)
def test_the_apis_take_what_motos_cloudformation_skips(stack_name):
    """Policies of the queues and of the bus, and alarms."""
    parameters = options("all")
    wanted = created(template(), parameters, stack_name=stack_name, name_limit=limits.name_limit)
    with in_this_process():
        sqs, events, cloudwatch = client("sqs"), client("events"), client("cloudwatch")
        for bus in of_type(wanted, "AWS::Events::EventBus").values():
            events.create_event_bus(Name=bus["Name"])
        for policy in of_type(wanted, "AWS::Events::EventBusPolicy").values():
            document = {"Version": "2012-10-17", "Statement": [{"Sid": policy["StatementId"], **policy["Statement"]}]}
            events.put_permission(EventBusName=policy["EventBusName"], Policy=json.dumps(document))
            made = json.loads(events.describe_event_bus(Name=policy["EventBusName"])["Policy"])["Statement"]
            assert policy["StatementId"] in [statement["Sid"] for statement in made]
        for queue_policy in of_type(wanted, "AWS::SQS::QueuePolicy").values():
            (queue,) = queue_policy["Queues"]
            url = sqs.create_queue(QueueName=queue.rpartition("/")[2])["QueueUrl"]
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(queue_policy["PolicyDocument"])})
        alarms = of_type(wanted, "AWS::CloudWatch::Alarm")
        for name, alarm in alarms.items():
            cloudwatch.put_metric_alarm(AlarmName=name, **alarm)
        assert {found["AlarmName"] for found in cloudwatch.describe_alarms()["MetricAlarms"]} == set(alarms)


def messages(queue_url, region=REGION):
    found = client("sqs", region).receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


def put(event, bus="default", region=REGION):
    entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"]), "EventBusName": bus, "Resources": event.get("resources", [])}
    answer = client("events", region).put_events(Entries=[entry])
    assert answer["Entries"][0]["EventId"]


def local(case):
    """Moto puts the Region and the account of the caller into an event."""
    return case[0]["account"] == ACCOUNT and case[0]["region"] == REGION


@pytest.mark.parametrize(("event", "on", "heard_by"), [pytest.param(*case, id=case_name(case)) for case in COURIER if local(case)])
def test_an_event_on_the_default_bus_gets_into_the_queue_if_a_rule_hears_it(event, on, heard_by):
    # Moto takes a schedule for a rule that hears everything.
    with stack(options(*on, off=["SweepRate"])) as resources:
        put(event)
        assert [message["detail"] for message in messages(resources["Queue"][1])] == [event["detail"]] * len(heard_by)


@pytest.mark.parametrize(("event", "on", "heard"), [pytest.param(*case, id=case_name(case)) for case in HEARD_FROM_SENDERS if local(case)])
def test_an_event_on_the_bus_of_the_senders_gets_into_the_queue_if_its_rule_hears_it(event, on, heard):
    with stack(options("SenderAccounts", *on)) as resources:
        put(event, resources["SenderEventBus"][1])
        assert [message["detail"] for message in messages(resources["Queue"][1])] == [event["detail"]] * heard


def test_nothing_but_the_courier_hears_what_is_on_the_bus_of_the_senders():
    with stack(options("SenderAccounts")) as resources:
        events = client("events")
        bus = resources["SenderEventBus"][1]
        own = {resources[name][1].rpartition("|")[2] for name in ("SenderRule", "SenderRequestRule")}
        assert {rule["Name"] for rule in events.list_rules(EventBusName=bus)["Rules"]} == own
        assert "Policy" not in events.describe_event_bus(Name="default")


@pytest.mark.parametrize(("event", "parameters", "forwarded"), [pytest.param(*case, id=case_name(case)) for case in FORWARDER if case[0]["account"] == ACCOUNT and case[0]["region"] == "us-east-1"])
def test_the_source_region_forwards_to_a_bus_of_another_region(event, parameters, forwarded):
    with stack({**BUSES, **parameters}, template("source-region.yaml"), region="us-east-1"):
        events, sqs = client("events"), client("sqs")
        url = sqs.create_queue(QueueName="heard")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="everything", EventPattern=json.dumps({"source": [{"prefix": ""}]}))
        events.put_targets(Rule="everything", Targets=[{"Id": "Queue", "Arn": arn}])
        put(event, region="us-east-1")
        assert [message["detail"] for message in messages(url)] == [event["detail"]] * forwarded
