"""Dead letters: of the function, of Lambda and of SQS, and how they go back."""

import json

import pytest
from aws import US, WEST, until
from pages import script
from shell import Shell


@pytest.fixture(autouse=True)
def no_letters(courier):
    yield
    courier.forget_letters()


def test_a_message_that_the_function_rejects_is_a_letter_as_it_came_with_the_reason(courier, tmp_path):
    courier.send({"SourceImageId": "ami-xyz", "SourceRegion": US, "Name": "a?"})
    courier.send("no json at all")
    letters = dict(courier.letters(2))
    assert letters["no json at all"]["Code"] and letters["no json at all"]["Explanation"]
    said = Shell(courier, tmp_path).run(script("courier", having="$ output()"), script("courier", having="receive-message"))
    assert '"Why": ' in said and "no json at all" in said


def test_a_copy_that_ec2_cannot_make_is_removed_and_a_letter_with_ec2s_reason(courier):
    image = courier.unheard("cannot-be-copied")
    courier.send(courier.request(image, "cannot-be-copied", Encrypted=True, KmsKeyId="alias/missing"))
    line = courier.outcome(image, "Rejected")
    assert line["code"] == "CopyFailed" and "Given key ID is not accessible" in line["explanation"]
    ((_, attributes),) = courier.letters(1)
    assert attributes["Code"] == "CopyFailed"
    # EC2 shows it for a while, as deregistered.
    until(lambda: {copy["State"] for copy in courier.copies(image)} <= {"deregistered"}, "the failed copy to be removed")


def test_an_asynchronous_invocation_that_fails_three_times_is_a_letter_of_lambda_as_it_came(courier):
    payload = {"SourceImageId": "ami-xyz"}
    courier.invoke_later(payload)
    ((body, attributes),) = courier.letters(1)
    assert json.loads(body) == payload
    assert "ErrorMessage" in attributes and "Code" not in attributes


def test_a_message_that_nobody_could_handle_200_times_is_a_letter_of_sqs(courier):
    sqs, url = courier.client("sqs"), courier.outputs["QueueUrl"]
    with courier.at_rest():
        courier.send("nobody takes it")
        receives = 0
        while sqs.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages"):
            receives += 1
            assert receives <= 200
        assert courier.letters(1) == [("nobody takes it", {})]
        assert (receives, courier.waiting()) == (200, [])


def test_letters_that_are_sent_back_after_the_repair_are_carried_out(courier, tmp_path):
    image = courier.unheard("repaired", WEST)
    courier.send(courier.request(image, "repaired", WEST))
    courier.letters(1)
    courier.update(SourceRegions=f"{US},{WEST}")
    said = Shell(courier, tmp_path).run(script("courier", having="$ output()"), script("letters"))
    assert "1 dead letters sent back" in said
    courier.finished(image)
    courier.letters(0)
