"""Promotion and withdrawal by a tag on the source, in two Regions at once: what each Region's parameter holds."""

import pytest
from aws import EU, US, until
from courier import tags_of

ASIA = "ap-southeast-2"
WITHDRAWN = "ami-courier:withdrawn"


@pytest.fixture(scope="module")
def couriers(new_courier):
    """One courier in each Region, of one account, and the forwarder to both."""
    first = new_courier()
    both = [first, new_courier(first.aws.account, region=ASIA)]
    for courier in both:
        courier.create(ParameterName="/golden/{tag:Channel}", SweepRate="off")
    first.forward(EventBusArns=",".join(courier.outputs["EventBusArn"] for courier in both))
    return both


@pytest.fixture(scope="module")
def builds(couriers):
    """Two builds, the first of which is in production, and their copies in each Region."""
    images, copies = [], {}
    for number, channel in ((1, "prod"), (2, "beta")):
        # The second is built after the first is finished: the newest is the one that was built last.
        images.append(couriers[0].register(f"golden-{number}", Channel=channel))
        copies[images[-1]] = {courier.region: courier.finished(images[-1])["ImageId"] for courier in couriers}
    return images, copies


def held(couriers, channel):
    """What the parameter of the channel holds, by Region."""
    found = {}
    for courier in couriers:
        ssm = courier.client("ssm")
        try:
            found[courier.region] = ssm.get_parameter(Name=f"/golden/{channel}")["Parameter"]["Value"]
        except ssm.exceptions.ParameterNotFound:
            found[courier.region] = None
    return found


def holds(couriers, channel, wanted):
    until(lambda: held(couriers, channel) == wanted, lambda: f"/golden/{channel} to hold {wanted}, not {held(couriers, channel)}")


def test_a_tag_on_the_source_promotes_its_copy_in_each_region(couriers, builds):
    (first, second), copies = builds
    holds(couriers, "prod", copies[first])
    holds(couriers, "beta", copies[second])
    couriers[0].tag(second, Channel="prod")
    holds(couriers, "prod", copies[second])
    for courier in couriers:
        until(lambda: tags_of(courier.copies(second)[0])["Channel"] == "prod", "the tag on the copy")


def test_a_withdrawn_copy_gives_its_region_alone_the_image_before(couriers, builds):
    (first, second), copies = builds
    couriers[0].tag(copies[second][EU], EU, **{WITHDRAWN: "it does not boot here"})
    holds(couriers, "prod", {EU: copies[first][EU], ASIA: copies[second][ASIA]})


def test_a_withdrawn_source_gives_each_region_the_image_before_and_waits_to_come_back(couriers, builds):
    (first, second), copies = builds
    couriers[0].tag(second, **{WITHDRAWN: "it does not boot"})
    holds(couriers, "prod", copies[first])
    couriers[0].client("ec2", US).delete_tags(Resources=[second], Tags=[{"Key": WITHDRAWN}])
    # EC2 may still show the source as withdrawn for that long. (The copy in Europe has a tag of its own.)
    there = couriers[1]
    waits = lambda: [line for line in there.lines() if line.get("outcome") == "Retry" and "cannot look withdrawn any more" in str(line.get("explanation"))]  # noqa: E731
    until(waits, lambda: f"a message that waits, not {there.outcomes(second)}")
    assert held(couriers, "prod") == copies[first]
