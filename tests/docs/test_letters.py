"""How dead letters go back: the runbook's commands, run with the AWS CLI against moto's SQS."""

import json

import pytest
from aws_on_loopback import started
from pages import script
from stack import ACCOUNT, REGION, template

STRANGE = 'a tab\t, a "quote", a \\ backslash, a line\nbreak, {braces}, $(id), `id`, ümlaut, 名'
# Each kind of letter: who put it there, its body, its attributes.
LETTERS = {
    "the function rejected it": ('{"SourceImageId": "ami-1", "Name": "x"}', {"Code": "InvalidAMIName.Duplicate", "Explanation": "the name is taken"}),
    "SQS moved it after too many receives": ('{"Sweep": {}}', {}),
    "a rule could not deliver it": ('{"detail-type": "EC2 AMI State Change", "detail": {"State": "available"}}', {"ERROR_CODE": "NO_PERMISSIONS", "RULE_ARN": "arn:x"}),
    "Lambda gave an asynchronous invocation up": ('{"detail": {"imageId": "ami-2"}}', {"RequestID": "1", "ErrorCode": "200", "ErrorMessage": "timed out"}),
    "it holds characters that a shell treats specially": (json.dumps(STRANGE), {}),
    "it is no JSON": (STRANGE, {}),
    "it is large": (json.dumps("x" * 100_000), {}),
}


@pytest.fixture(scope="module")
def aws():
    with started() as aws:
        yield aws


@pytest.fixture
def queues(aws):
    sqs = aws.client("sqs", ACCOUNT, REGION)
    made = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("announcements", "letters")}
    yield sqs, made["announcements"], made["letters"]
    for url in made.values():
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def send_back(aws, tmp_path):
    commands = script("letters")

    def run(queue, letters):
        output = f"""output() {{ case "$1" in QueueUrl) echo {queue};; DeadLetterQueueUrl) echo {letters};; esac; }}"""
        return aws.shell(f"{output}\n{commands}", ACCOUNT, REGION, tmp_path)

    return run


def received(sqs, url):
    bodies = []
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [message["Body"] for message in found]
    return bodies


def put(sqs, url, body, attributes):
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes={key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()})


def test_every_kind_of_letter_goes_back_as_it_came(send_back, queues):
    sqs, queue, letters = queues
    for body, attributes in LETTERS.values():
        put(sqs, letters, body, attributes)
    printed = send_back(queue, letters)
    back = received(sqs, queue)
    assert printed.startswith(f"{len(LETTERS)} dead letters sent back.")
    assert [kind for kind, (body, _) in LETTERS.items() if body not in back] == []
    assert len(back) == len(LETTERS)
    assert received(sqs, letters) == []


def test_a_letter_that_cannot_be_sent_stays(send_back, queues):
    sqs, _, letters = queues
    put(sqs, letters, "a", {})
    with pytest.raises(AssertionError, match="NonExistentQueue"):
        send_back("http://127.0.0.1/123456789012/gone", letters)
    (attributes,) = [sqs.get_queue_attributes(QueueUrl=letters, AttributeNames=["All"])["Attributes"]]
    assert int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"]) == 1


def test_an_empty_queue_is_left_alone(send_back, queues):
    sqs, queue, letters = queues
    assert "0 dead letters sent back. A letter that was read in the last 30 seconds is hidden" in send_back(queue, letters)
    assert received(sqs, queue) == []


def test_a_hidden_letter_is_visible_again_after_the_time_that_the_commands_name():
    """The queue has SQS's default: docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html (30 seconds)."""
    assert "VisibilityTimeout" not in template()["Resources"]["DeadLetterQueue"]["Properties"]
