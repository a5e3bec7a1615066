"""The new function reads what the function before the redesign left in the queues.

That function wrote two kinds of messages itself: the sweep of its schedule, and the dead letter of a failed copy (`messages/`). Every other dead letter has
the body of the message as it came, and those are the files of `events/`, which tests/it/corpus.rs sends to the function.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from stack import ROOT

HERE = Path(__file__).parent
# Cargo builds both before this stage of the gate.
PROGRAMS = Path(os.environ.get("PROGRAMS", ROOT / "target" / "debug"))


def invoke(message):
    """Gives the function a message in an SQS batch. `local` prints the answer and the AMIs, and with --logs the log."""
    record = {"messageId": "m1", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:queue", "body": message}
    record |= {"receiptHandle": "r1", "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1790000000000"}, "awsRegion": "eu-west-1"}
    command = [PROGRAMS / "local", "invoke", "-", "--function", PROGRAMS / "ami-courier", "--set", "SOURCE_REGIONS=us-east-1", "--logs"]
    return subprocess.run([str(part) for part in command], input=json.dumps({"Records": [record]}), capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", ["letter-of-a-failed-copy.json", "sweep.json"])
def test_a_message_of_the_older_function_is_done(name):
    done = invoke((HERE / "messages" / name).read_text())
    assert done.returncode == 0, done.stderr
    assert "Rejected" not in done.stdout + done.stderr, done.stdout + done.stderr
    assert "ami-courier starts" in done.stderr


def test_the_letter_of_a_failed_copy_makes_the_copy():
    done = invoke((HERE / "messages" / "letter-of-a-failed-copy.json").read_text())
    assert "ami-courier:source-image=ami-0abcdef1234567890" in done.stdout, done.stdout


@pytest.mark.parametrize(
    "message",
    [
        '{"AmiCourier": {"Unknown": {}}}',
        '{"AmiCourier": {"Missed": {"SourceImageId": "ami-0abcdef1234567890", "SourceRegion": "us-east-1", "Unknown": 1}}}',
    ],
)
def test_a_message_of_a_newer_courier_is_rejected_and_so_kept_as_a_dead_letter(message):
    done = invoke(message)
    assert "Rejected" in done.stdout + done.stderr
    assert "Unknown" in done.stdout + done.stderr
