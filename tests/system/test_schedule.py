"""The sweep of the schedule, and the questions about the status through Lambda."""

import pytest
from aws import until


@pytest.fixture(scope="module")
def courier(new_courier):
    return new_courier().create(SweepRate="rate(1 minute)", CopyName="{name}-{tag:Role}")


def test_the_status_names_an_ami_that_nobody_announced_and_the_widget_shows_it(courier):
    image = courier.unheard("nobody-announces", Role="web")

    def row():
        _, status = courier.invoke({"Status": {}})
        return next((row for row in status["Images"] if row["SourceImageId"] == image), None)

    assert until(row, "a row for the AMI")["State"] == "Awaited"
    error, page = courier.invoke({"widgetContext": {"dashboardName": "ami-courier", "width": 900, "height": 400, "theme": "light"}})
    assert error is None and image in page, page


def test_the_schedule_sends_a_sweep_which_copies_what_nobody_announced(courier):
    image = courier.unheard("for-the-sweep", Role="web")
    copy = courier.finished(image)
    assert copy["Name"].endswith("-web")
    assert [line for line in courier.lines() if line.get("message") == "swept"]
    courier.update(SweepRate="off")


def test_what_a_sweep_announced_and_the_function_rejects_is_no_letter(courier):
    # The tag `Role` is a part of the copy's name, and no name has this character.
    image = courier.unheard("with-a-strange-role", Role="a?")
    until(lambda: image in str(courier.client("ec2", "us-east-1").describe_images(Owners=["self"])), "the AMI to be visible")
    courier.send({"Sweep": {}})
    assert "COPY_NAME makes a name" in courier.outcome(image, "Rejected")["explanation"]
    until(lambda: courier.waiting() == [], "an empty queue")
    courier.letters(0)
