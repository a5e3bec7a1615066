"""LocalStack enforces no policy. So what is deployed is judged here: each rule may send where its targets are, and the function may do what Lambda and it need."""

import json

import pytest
from aws import EU, US
from courier import SOURCE, STACK
from policy import Request, allowing


@pytest.fixture(scope="module")
def courier(new_courier):
    return new_courier().create(SenderAccounts="111122223333", RequiredTags="approved=true", SourceParameterPath="/golden/", CloudTrailEvents="true").forward()


def queue_policies(courier, region, stack):
    """The Allow statements of each queue of a stack, by its ARN. (The others deny what is not encrypted on the way.)"""
    sqs, found = courier.client("sqs", region), {}
    for url in courier.aws.resources(region, stack, "AWS::SQS::Queue").values():
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn", "Policy"])["Attributes"]
        statements = json.loads(attributes["Policy"])["Statement"]
        found[attributes["QueueArn"]] = [statement for statement in statements if statement["Effect"] == "Allow"]
    return found


def rules(courier, region, stack):
    """Each rule of a stack: its ARN, and its targets."""
    events = courier.client("events", region)
    for found in courier.aws.resources(region, stack, "AWS::Events::Rule").values():
        bus, _, name = found.rpartition("|")
        where = {"EventBusName": bus} if bus else {}
        targets = events.list_targets_by_rule(Rule=name, **where)["Targets"]
        yield events.describe_rule(Name=name, **where)["Arn"], targets


def test_each_rule_may_send_to_the_queue_that_is_its_target(courier):
    policies, count = queue_policies(courier, EU, STACK), 0
    for rule, targets in rules(courier, EU, STACK):
        assert targets
        for target in targets:
            request = Request("sqs:SendMessage", target["Arn"], {"aws:SourceArn": rule})
            statement = allowing([_for_events(statement) for statement in policies[target["Arn"]] if _names_events(statement)], request)
            assert statement, f"no statement allows {request}"
            count += 1
    assert count >= 8


def _names_events(statement):
    return statement["Principal"] == {"Service": "events.amazonaws.com"}


def _for_events(statement):
    return {key: value for key, value in statement.items() if key != "Principal"}


def test_the_forwarder_may_put_events_onto_the_bus_that_is_its_target(courier):
    iam = courier.client("iam")
    ((_, targets),) = rules(courier, US, SOURCE)
    for target in targets:
        statements = _statements(iam, target["RoleArn"])
        assert allowing(statements, Request("events:PutEvents", target["Arn"])), f"{target['RoleArn']} may not put onto {target['Arn']}"


def test_the_function_may_take_messages_hide_them_and_send_to_both_queues(courier):
    statements = _statements(courier.client("iam"), courier.outputs["RoleArn"])
    queue, letters = courier.outputs["QueueArn"], courier.outputs["DeadLetterQueueArn"]
    takes = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
    for action, resource in [*((action, queue) for action in takes), ("sqs:SendMessage", queue), ("sqs:SendMessage", letters)]:
        assert allowing(statements, Request(action, resource)), f"the function has no {action} on {resource}"


def _statements(iam, role):
    name = role.rpartition("/")[2]
    documents = [iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]]
    return [statement for document in documents for statement in document["Statement"]]


def test_the_function_may_go_round_in_the_loop_of_its_own_queue(courier):
    """Lambda ends what it takes for an endless loop after 16 rounds, unless the function says otherwise."""
    found = courier.client("lambda").get_function_recursion_config(FunctionName=courier.outputs["FunctionName"])
    assert found["RecursiveLoop"] == "Allow"
