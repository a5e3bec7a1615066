"""The removal of the page, what it leaves, and a courier that is deployed again."""

import pytest
from aws import EU, US
from courier import FINISHED, SOURCE, STACK, tags_of
from pages import script
from shell import Shell


def left(courier):
    """What exists of a courier: the names of resources, by kind."""

    def names(service, operation, key, name, region=EU, **arguments):
        found = getattr(courier.client(service, region), operation)(**arguments).get(key, [])
        return [one if name is None else one[name] for one in found]

    both = (EU, US)
    return {
        "queues": [url.rpartition("/")[2] for region in both for url in names("sqs", "list_queues", "QueueUrls", None, region)],
        "logs": names("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "rules": [name for region in both for name in names("events", "list_rules", "Rules", "Name", region)],
        "buses": names("events", "list_event_buses", "EventBuses", "Name"),
        "functions": names("lambda", "list_functions", "Functions", "FunctionName"),
        "mappings": names("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
        "roles": names("iam", "list_roles", "Roles", "RoleName"),
        "policies": names("iam", "list_policies", "Policies", "PolicyName", Scope="Local"),
        "alarms": [name for region in both for name in names("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName", region)],
    }


@pytest.fixture(scope="module")
def removed(new_courier, tmp_path_factory):
    """Both stacks are removed with the commands of the page: the courier, its outputs before, and a source AMI with its copy."""
    courier = new_courier().create(SenderAccounts="111122223333", RetireWithSource="true").forward()
    image = courier.register("stays-behind")
    copy = courier.finished(image)
    courier.send("a letter")
    courier.letters(1)
    outputs = courier.outputs
    forwarding = courier.aws.outputs(US, SOURCE)["DeadLetterQueueUrl"]
    output = script("courier", having="$ output()")
    Shell(courier, tmp_path_factory.mktemp("removal")).run(output, script("remove-source"), script("remove"))
    assert (courier.aws.stack(EU, STACK), courier.aws.stack(US, SOURCE)) == (None, None)
    return courier, outputs, forwarding, image, copy


def test_the_removal_leaves_the_letters_and_the_log_and_nothing_else(removed):
    courier, outputs, forwarding, _, _ = removed
    kept = {url.rpartition("/")[2] for url in (outputs["DeadLetterQueueUrl"], forwarding)}
    found = left(courier)
    assert set(found.pop("queues")) == kept
    assert found.pop("logs") == [outputs["LogGroupName"]]
    assert found.pop("buses") == ["default"]
    assert found == {kind: [] for kind in found}
    assert [message["Body"] for message in courier.aws.messages(outputs["DeadLetterQueueUrl"])] == ["a letter"]


def test_a_courier_that_is_deployed_again_copies_nothing_twice(removed):
    courier, _, _, image, copy = removed
    assert FINISHED in tags_of(copy)
    courier.create().forward()
    courier.announce(image)
    courier.outcome(image, "AlreadyCopied")
    assert courier.copies(image) == [copy]
    courier.aws.delete(US, SOURCE)
    courier.aws.delete(EU, STACK)


def test_a_second_courier_in_the_account_makes_no_second_copy_and_leaves_the_first_alone(new_courier):
    courier = new_courier().create(SenderAccounts="111122223333").forward()
    second = {**courier.upload(), "SourceRegions": US, "SenderAccounts": "111122223333", "SenderEventBusName": "second"}
    courier.aws.deploy(EU, "second", courier.template, second)
    # (Both hear the default bus. The forwarder sends to that of the first, so the second hears it again.)
    images = [courier.register(f"for-two-{number}") for number in range(5)]
    for image in images:
        courier.announce(image)
    for image in images:
        courier.finished(image)
    courier.aws.delete(EU, "second")
    assert sorted(bus["Name"] for bus in courier.client("events").list_event_buses()["EventBuses"]) == ["ami-courier", "default"]
    courier.finished(courier.register("for-the-first"))
