"""What the deployed rules hear: the cases of tests/stack/test_hearing.py, put onto deployed buses. What arrives in the queue is counted."""

import json

import pytest
from aws import EU, US, until
from courier import SOURCE, STACK
from stack import ACCOUNT, REGION, options, template
from test_hearing import COURIER, FORWARDER, HEARD_FROM_SENDERS, NAMED, REQUEST, ami, name
from test_limits import longest

# These options need things that exist, and change nothing in what is heard.
OTHERS = ("KmsKeyId", "QueueKmsKeyArn", "PermissionsBoundaryArn", "AlarmTopicArn", "VpcSubnetIds")
# What the longest patterns are made of.
HEARING = ("SourceRegions", "RequiredTags", "SourceParameterPath", "CloudTrailEvents", "RetireWithSource", "SenderAccounts")
SENDERS = "ami-courier"
_sets = sorted({tuple(on) for _, on, _ in [*COURIER, *HEARD_FROM_SENDERS]})


@pytest.fixture(scope="module")
def courier(new_courier):
    """In the account of the cases. Nothing takes the messages out of its queue."""
    courier = new_courier(ACCOUNT).create(**parameters(()))
    assert courier.region == REGION
    with courier.at_rest():
        yield courier
    log = courier.outputs["LogGroupName"]
    courier.aws.delete(EU, STACK)
    # The stack keeps it, and other tests use this account, too.
    courier.client("logs").delete_log_group(logGroupName=log)


def parameters(on):
    chosen = options("all", off=OTHERS) if on == ("all",) else options("SenderAccounts", *on)
    return chosen | {"SweepRate": "off"}


class Queue:
    """A queue, and events whose arrival in it is counted."""

    def __init__(self, courier, url):
        self.courier, self.url, self.sent = courier, url, []

    def put(self, what, times, bus="default", region=EU):
        number = f"event-{len(self.sent)}"
        self.sent.append((number, what, times))
        self.courier.tell(what["source"], what["detail-type"], what["detail"], region, [*what["resources"], number], what["region"], what["account"], bus)

    def counted(self):
        """Each event that arrived more or less often than meant, once the last event arrived. The queue is empty afterwards."""

        def arrived():
            resources = [json.loads(message["Body"])["resources"] for message in self.courier.aws.messages(self.url)]
            return [found[-1] for found in resources]

        until(lambda: self.sent[-1][0] in arrived(), "the last event")
        wrong = lambda: [(name((what, "", times)), f"wanted {times}", f"seen {arrived().count(number)}") for number, what, times in self.sent if arrived().count(number) != times]  # noqa: E731
        try:
            until(lambda: not wrong(), "as many as meant", 5)
        except AssertionError:
            pass
        found = wrong()
        self.courier.client("sqs").purge_queue(QueueUrl=self.url)
        self.sent = []
        return found


@pytest.mark.parametrize("on", _sets, ids=lambda on: "+".join(on) or "no option")
def test_what_is_meant_to_be_heard_and_nothing_else_arrives_in_the_queue(courier, on):
    courier.update(**parameters(on))
    queue = Queue(courier, courier.outputs["QueueUrl"])
    for what, options_on, heard_by in COURIER:
        if tuple(options_on) == on:
            queue.put(what, len(heard_by))
    for what, options_on, heard in HEARD_FROM_SENDERS:
        if tuple(options_on) == on:
            queue.put(what, int(heard), SENDERS)
    queue.put(NAMED, 1, SENDERS)
    queue.put(REQUEST, 1)
    assert queue.counted() == []


def test_a_request_of_the_senders_is_heard_if_any_request_is_carried_out(courier):
    courier.update(**parameters(()), Requests="Any")
    queue = Queue(courier, courier.outputs["QueueUrl"])
    for what in (REQUEST, NAMED):
        queue.put(what, 1, SENDERS)
    assert queue.counted() == []
    courier.update(Requests="Selected")


def test_at_the_longest_parameters_the_first_and_the_last_region_are_heard_and_no_other(courier):
    values = longest(template())
    courier.update(**{option: values[option] for option in HEARING})
    regions, queue = values["SourceRegions"].split(","), Queue(courier, courier.outputs["QueueUrl"])
    for region, times in ((regions[0], 1), ("us-gov-west-9999", 0), (regions[-1], 1)):
        queue.put(ami("available", region=region), times)
        queue.put(ami("available", region=region), times, SENDERS)
    assert queue.counted() == []


_forwarded = sorted({tuple(sorted(given.items())) for _, given, _ in FORWARDER})


@pytest.fixture(scope="module")
def listener(courier):
    """A bus in another Region, and a queue that hears all that is on it."""
    events, sqs = courier.client("events"), courier.client("sqs")
    events.create_event_bus(Name="listener")
    url = sqs.create_queue(QueueName="listener")["QueueUrl"]
    events.put_rule(Name="all", EventBusName="listener", EventPattern=json.dumps({"version": ["0"]}))
    events.put_targets(Rule="all", EventBusName="listener", Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{EU}:{ACCOUNT}:listener"}])
    yield url
    courier.aws.delete(US, SOURCE)


@pytest.mark.parametrize("given", _forwarded, ids=lambda given: "+".join(f"{key}={value}" for key, value in given) or "no option")
def test_the_source_region_forwards_what_is_meant_and_nothing_else(courier, listener, given):
    usual = {"ForwardTagChanges": "true", "SourceParameterPath": "", "CloudTrailEvents": "false"}
    bus = f"arn:aws:events:{EU}:{ACCOUNT}:event-bus/listener"
    courier.aws.deploy(US, SOURCE, courier.source_template, {"EventBusArns": bus, **usual, **dict(given)})
    queue = Queue(courier, listener)
    for what, options_on, forwarded in FORWARDER:
        if tuple(sorted(options_on.items())) == given:
            queue.put(what, int(forwarded), region=US)
    queue.put(ami("available"), 1, region=US)
    assert queue.counted() == []


def test_the_longest_source_region_forwards_to_each_of_its_buses(courier, listener):
    values = longest(template("source-region.yaml"))
    kept = ("ForwardTagChanges", "SourceParameterPath", "CloudTrailEvents")
    bus = f"arn:aws:events:{EU}:{ACCOUNT}:event-bus/listener"
    courier.aws.deploy(US, SOURCE, courier.source_template, {"EventBusArns": ",".join([bus] * 5), **{key: values[key] for key in kept}})
    queue = Queue(courier, listener)
    queue.put(ami("available"), 5, region=US)
    assert queue.counted() == []
