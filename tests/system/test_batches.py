"""Many messages at once: partial failures, back-off, and a burst while the function is killed."""

import json
from datetime import datetime

from aws import until
from courier import FINISHED, SOURCE_IMAGE, tags_of
from stack import ROOT

BURST, KILLS = 60, 8


def test_of_a_batch_only_what_failed_stays_in_the_queue_and_is_tried_again_within_seconds(courier):
    good = [courier.unheard(f"in-a-batch-{number}") for number in range(4)]
    absent = [f"ami-0123456789abcde{number:02}" for number in range(3)]
    ignored = json.loads((ROOT / "events/other-ec2-event.json").read_text())
    bodies = [courier.request(image, f"in-a-batch-{image}") for image in good + absent] + [{"SourceImageId": "ami-xyz"}, {"Nonsense": 1}, ignored]
    entries = [{"Id": str(number), "MessageBody": json.dumps(body)} for number, body in enumerate(bodies)]
    courier.client("sqs").send_message_batch(QueueUrl=courier.outputs["QueueUrl"], Entries=entries)

    assert all(FINISHED in tags_of(courier.finished(image)) for image in good)
    assert {body for body, _ in courier.letters(2)} == {json.dumps(body) for body in bodies[7:9]}

    def tries(image):
        lines = [line for line in courier.lines() if line.get("source_image") == image and line.get("outcome") == "Retry"]
        return sorted(datetime.fromisoformat(line["at"]) for line in lines)

    until(lambda: all(len(tries(image)) >= 3 for image in absent), lambda: f"three tries of each, not {[tries(image) for image in absent]}")
    # Without the function's own back-off, SQS shows a message again after the visibility timeout of the queue: six minutes.
    assert all((tries(image)[2] - tries(image)[0]).total_seconds() < 60 for image in absent)
    waiting = [json.loads(message["Body"])["SourceImageId"] for message in courier.waiting()]
    assert sorted(waiting) == absent
    assert courier.mapping["BatchSize"] == 10


def test_a_burst_is_copied_once_each_while_the_function_is_killed_again_and_again(new_courier):
    courier = new_courier().create().forward()
    queue = courier.outputs["QueueUrl"]
    # Lambda's poller leaves the messages of a killed function hidden for the queue's visibility timeout.
    courier.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "3"})
    images = [courier.register(f"burst-{number}") for number in range(BURST)]
    for image in images:
        courier.announce(image)
    for _ in range(KILLS):
        until(lambda: courier.kill(), "a process of the function to kill")

    def copies():
        found = {}
        for copy in courier.client("ec2").describe_images(Owners=["self"])["Images"]:
            found.setdefault(tags_of(copy).get(SOURCE_IMAGE), []).append(FINISHED in tags_of(copy))
        return found

    def all_finished():
        found = copies()
        return all(any(found.get(image, [])) for image in images)

    until(all_finished, lambda: f"a finished copy of each, not {copies()}", 240)
    until(lambda: courier.waiting() == [], lambda: f"an empty queue, not {courier.waiting()}", 240)
    assert copies() == {image: [True] for image in images}
