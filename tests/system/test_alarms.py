"""The metrics that the function really emits are those that the alarms name, with the same dimensions."""

import json
import time

import pytest
from aws import EU, US, until

OWN = "ami-courier"


@pytest.fixture(scope="module")
def courier(new_courier):
    return new_courier().create(SweepRate="rate(1 hour)", RetireWithSource="true", CopyName="{name}-{tag:Role}").forward()


def of_alarms(courier, region=EU):
    """The metrics of the deployed alarms: namespaces, names and dimensions."""
    for alarm in courier.client("cloudwatch", region).describe_alarms()["MetricAlarms"]:
        metrics = [alarm] if alarm.get("MetricName") else [part["MetricStat"]["Metric"] for part in alarm["Metrics"] if "MetricStat" in part]
        yield from ((metric["Namespace"], metric["MetricName"], _dimensions(metric)) for metric in metrics)


def _dimensions(metric):
    return tuple(sorted((one["Name"], one["Value"]) for one in metric["Dimensions"]))


def seen(courier):
    pages = courier.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace=OWN)
    return {(metric["MetricName"], _dimensions(metric)) for page in pages for metric in page["Metrics"]}


# Emitted only when somebody has waited for weeks, which nothing here can do: tests/stack and tests/it compare its name.
NOT_HERE = {"RetirementHeldDays"}


def test_each_metric_of_an_alarm_is_emitted_with_the_dimensions_of_the_alarm(courier):
    # A message that is tried again, and what a sweep announces and the function rejects: no name of a copy has the character of this tag.
    courier.send(courier.request("ami-0123456789abcdef0", "absent"))
    courier.unheard("with-a-strange-role", Role="a?")
    names = {(name, dimensions) for namespace, name, dimensions in of_alarms(courier) if namespace == OWN and name not in NOT_HERE}
    assert len(names) >= 4, names

    def all_seen():
        # A copy in progress, for the sweep to see.
        image = courier.register(f"golden-{time.monotonic_ns()}", Role="web")
        until(lambda: "Started" in courier.outcomes(image), "the copy to start")
        courier.send({"Sweep": {}})
        courier.finished(image)
        return names <= seen(courier)

    until(all_seen, lambda: f"{names - seen(courier)} among {sorted(name for name, _ in seen(courier))}")


def rules(courier, region=EU):
    """Each rule of the account with its bus, as the metrics of EventBridge name them: the default bus has no name there."""
    events = courier.client("events", region)
    for bus in events.list_event_buses()["EventBuses"]:
        named = () if bus["Name"] == "default" else (("EventBusName", bus["Name"]),)
        yield from ((*named, ("RuleName", rule["Name"])) for rule in events.list_rules(EventBusName=bus["Name"])["Rules"])


def test_the_alarms_name_each_queue_rule_and_function_of_the_stacks_and_nothing_else(courier):
    courier.update(RequiredTags="Role", SenderAccounts="111122223333", SourceParameterPath="/golden/", CloudTrailEvents="true")
    named = {(namespace, dimensions) for namespace, _, dimensions in of_alarms(courier) if namespace != OWN}
    queues = {(("QueueName", url.rpartition("/")[2]),) for url in courier.resources("AWS::SQS::Queue").values()}
    found = set(rules(courier))
    assert (len(found), len(queues)) == (len(courier.resources("AWS::Events::Rule")), 2)
    assert {dimensions for namespace, dimensions in named if namespace == "AWS/Events"} == found
    assert {dimensions for namespace, dimensions in named if namespace == "AWS/SQS"} == queues
    assert {dimensions for namespace, dimensions in named if namespace == "AWS/Lambda"} == {(("FunctionName", courier.outputs["FunctionName"]),)}
    assert {dimensions for _, _, dimensions in of_alarms(courier, US)} == set(rules(courier, US))


def test_the_topic_of_the_alarms_gets_the_reason_of_each_failure(new_courier):
    courier = new_courier()
    sns, sqs = courier.client("sns"), courier.client("sqs")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    mails = sqs.create_queue(QueueName="mails")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=mails, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    courier.create(AlarmTopicArn="alarms").forward()
    courier.finished(courier.register("golden-and-well"))
    courier.send({"SourceImageID": "ami-0123456789abcdef0"})

    def reasons():
        """Mails of the rule. Those of alarms have no outcome."""
        found = [json.loads(found["Body"]) for found in courier.aws.messages(mails, EU)]
        return [mail for mail in found if "Outcome" in mail]

    until(reasons, "a mail")
    ((_, letter),) = courier.letters()
    (mail,) = reasons()
    assert (mail["Outcome"], mail["Code"]) == ("Rejected", letter["Code"])
    assert "did you mean `SourceImageId`?" in mail["Explanation"] and mail["Advice"]
