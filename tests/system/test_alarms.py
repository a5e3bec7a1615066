"""The metrics that the function really emits are those that the alarms name, with the same dimensions."""

import json
import time

import pytest
from aws import until

OWN = "ami-courier"


@pytest.fixture(scope="module")
def courier(new_courier):
    return new_courier().create(SweepRate="rate(1 hour)", RetireWithSource="true", CopyName="{name}-{tag:Role}").forward()


def wanted(courier):
    """The own metrics of the deployed alarms: names and dimensions."""
    found = set()
    for alarm in courier.client("cloudwatch").describe_alarms()["MetricAlarms"]:
        metrics = [alarm] if alarm.get("MetricName") else [part["MetricStat"]["Metric"] for part in alarm["Metrics"] if "MetricStat" in part]
        found |= {(metric["MetricName"], _dimensions(metric)) for metric in metrics if metric["Namespace"] == OWN}
    return found


def _dimensions(metric):
    return tuple(sorted((one["Name"], one["Value"]) for one in metric["Dimensions"]))


def seen(courier):
    pages = courier.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace=OWN)
    return {(metric["MetricName"], _dimensions(metric)) for page in pages for metric in page["Metrics"]}


# Emitted only when somebody has waited for weeks, which nothing here can do: tests/stack and tests/it compare its name.
NOT_HERE = {"RetirementHeldDays"}


def test_each_metric_of_an_alarm_is_emitted_with_the_dimensions_of_the_alarm(courier):
    # A message that is tried again, and what a sweep announces and the function rejects: its copy has no name without the tag.
    courier.send(courier.request("ami-0123456789abcdef0", "absent"))
    courier.unheard("without-a-role")
    names = {(name, dimensions) for name, dimensions in wanted(courier) if name not in NOT_HERE}
    assert len(names) >= 4, names

    def all_seen():
        # A copy in progress, for the sweep to see.
        image = courier.register(f"golden-{time.monotonic_ns()}", Role="web")
        until(lambda: "Started" in courier.outcomes(image), "the copy to start")
        courier.send({"Sweep": {}})
        courier.finished(image)
        return names <= seen(courier)

    until(all_seen, lambda: f"{names - seen(courier)} among {sorted(name for name, _ in seen(courier))}")


def test_the_alarms_that_name_queues_name_the_queues_of_the_stack(courier):
    queues = {url.rpartition("/")[2] for url in courier.resources("AWS::SQS::Queue").values()}
    named = set()
    for alarm in courier.client("cloudwatch").describe_alarms()["MetricAlarms"]:
        metrics = [alarm] if alarm.get("MetricName") else [part["MetricStat"]["Metric"] for part in alarm["Metrics"] if "MetricStat" in part]
        named |= {one["Value"] for metric in metrics for one in metric["Dimensions"] if one["Name"] == "QueueName"}
    assert named == queues, json.dumps(sorted(named))
