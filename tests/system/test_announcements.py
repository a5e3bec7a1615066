"""Each way to announce an AMI, from where it is built to its finished copy."""

import json

import pytest
from aws import EU, US, WEST, until
from courier import FINISHED, SOURCE_IMAGE, tags_of
from stack import ROOT

@pytest.fixture(scope="module")
def courier(new_courier):
    return new_courier().create(SourceParameterPath="/golden/", CloudTrailEvents="true").forward(SourceParameterPath="/golden/")


def test_an_ami_that_is_registered_in_the_source_region_becomes_a_finished_copy_with_its_tags(courier):
    image = courier.register("golden-1", Role="web")
    copy = courier.finished(image)
    (snapshot,) = [device["Ebs"]["SnapshotId"] for device in copy["BlockDeviceMappings"]]
    (found,) = courier.client("ec2").describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    for thing in (copy, found):
        assert {"Role": "web", SOURCE_IMAGE: image}.items() <= tags_of(thing).items()
    courier.outcome(image, "Finished")
    assert [outcome for outcome in courier.outcomes(image) if outcome != "Retry"] == ["Started", "Finished"]


def test_the_same_announcement_again_makes_no_second_copy(courier):
    image = courier.register("golden-2")
    copy = courier.finished(image)
    courier.announce(image)
    courier.outcome(image, "AlreadyCopied")
    assert [found["ImageId"] for found in courier.copies(image)] == [copy["ImageId"]]


def test_an_ami_of_a_region_that_is_no_source_is_not_heard_of(courier):
    elsewhere, here = courier.register("golden-3", WEST), courier.register("golden-4")
    courier.finished(here)
    courier.announce(elsewhere, WEST)
    courier.announce(here)
    courier.outcome(here, "AlreadyCopied")
    assert courier.outcomes(elsewhere) == []


def test_the_couriers_own_events_are_no_messages_to_it(courier):
    courier.finished(courier.register("golden-5"))
    assert [line for line in courier.lines() if line.get("outcome") == "Ignored" and "AMI Copy" in str(line.get("reason"))] == []


def test_an_ami_of_image_builder_is_copied_when_image_builder_says_that_its_tests_passed(courier):
    arn = f"arn:aws:imagebuilder:{US}:{courier.aws.account}:image/golden-linux/1.4.0/3"
    image = courier.register("built-1", Ec2ImageBuilderArn=arn, CreatedBy="EC2 Image Builder")
    courier.outcome(image, "Ignored")
    assert courier.copies(image) == []
    detail = {"previous-state": {"status": "DISTRIBUTING"}, "state": {"status": "AVAILABLE"}}
    courier.tell("aws.imagebuilder", "EC2 Image Builder Image State Change", detail, US, [arn])
    courier.finished(image)


def test_a_change_of_an_ssm_parameter_announces_its_ami_if_it_is_one_and_under_the_path(courier):
    other, image = courier.unheard("in-another-parameter"), courier.unheard("in-a-parameter")
    ssm = courier.client("ssm", US)
    ssm.put_parameter(Name="/other/latest", Type="String", Value=other)
    ssm.put_parameter(Name="/golden/text", Type="String", Value=other)
    ssm.put_parameter(Name="/golden/linux/latest", Type="String", DataType="aws:ec2:image", Value=image)
    courier.finished(image)
    assert courier.outcomes(other) == []


def test_cloudtrails_record_of_a_call_announces_the_ami_that_it_made(courier):
    image = courier.unheard("in-a-trail")
    detail = json.loads((ROOT / "events/cloudtrail-create-image.json").read_text())["detail"]
    detail["responseElements"]["imageId"] = image
    courier.tell("aws.ec2", "AWS API Call via CloudTrail", detail, event_region=US)
    courier.finished(image)


def test_a_request_through_the_queue_makes_the_copy_that_it_describes(courier):
    image = courier.unheard("requested-through-the-queue")
    courier.send(courier.request(image, "by-queue", Encrypted=True))
    copy = courier.finished(image)
    assert (copy["Name"], copy["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]) == ("by-queue", True)


def test_a_request_on_the_bus_makes_the_copy_that_it_describes(courier):
    image = courier.unheard("requested-on-the-bus")
    courier.tell("com.example", "AMI Copy Request", courier.request(image, "by-bus"))
    assert courier.finished(image)["Name"] == "by-bus"


def test_an_event_of_ones_own_that_names_an_ami_in_its_resources_announces_it(courier):
    image = courier.unheard("in-resources")
    courier.tell("com.example", "AMI Copy Request", {}, resources=[f"arn:aws:ec2:{US}::image/{image}"])
    courier.finished(image)


def test_a_direct_request_is_answered_with_its_outcome(courier):
    image = courier.unheard("requested-directly")
    error, answer = courier.invoke(courier.request(image, "directly"))
    while error:
        # EC2 does not show the AMI yet.
        assert "InvalidAMIID.NotFound" in json.dumps(answer), answer
        error, answer = courier.invoke(courier.request(image, "directly"))
    assert answer["Outcome"] == "Started"
    assert courier.finished(image)["ImageId"] == answer["ImageId"]


def test_a_direct_request_that_is_wrong_fails_at_once_and_says_why(courier):
    error, answer = courier.invoke({"SourceImageID": "ami-0123456789abcdef0"})
    assert error and "did you mean `SourceImageId`?" in json.dumps(answer), answer


def test_packers_manifest_through_the_queue_announces_its_amis(courier):
    image = courier.unheard("by-packer")
    build = {"name": "x", "builder_type": "amazon-ebs", "artifact_id": f"{US}:{image}", "packer_run_uuid": "1"}
    courier.send({"builds": [build], "last_run_uuid": "1"})
    courier.finished(image)


@pytest.fixture(scope="module")
def topic(courier):
    """A topic that invokes the function."""
    sns, function = courier.client("sns"), courier.client("lambda").get_function(FunctionName=courier.outputs["FunctionName"])["Configuration"]
    arn = sns.create_topic(Name="images")["TopicArn"]
    permission = {"StatementId": "images", "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com", "SourceArn": arn}
    courier.client("lambda").add_permission(FunctionName=function["FunctionName"], **permission)
    sns.subscribe(TopicArn=arn, Protocol="lambda", Endpoint=function["FunctionArn"])
    return lambda message: sns.publish(TopicArn=arn, Message=json.dumps(message))


def test_a_topic_that_invokes_the_function_announces_the_ami_of_its_notification(courier, topic):
    image = courier.unheard("by-topic")
    topic(courier.request(image, "by-topic"))
    courier.finished(image)


def test_image_builders_notification_through_a_topic_announces_the_ami_of_its_build(courier, topic):
    image = courier.unheard("built-2")
    build = json.loads((ROOT / "events/image-builder-sns.json").read_text())
    build["outputResources"] = {"amis": [{"region": US, "image": image, "name": "built-2", "accountId": courier.aws.account}]}
    topic(build)
    courier.finished(image)


def test_with_required_tags_tagging_an_ami_announces_it(new_courier):
    courier = new_courier().create(RequiredTags="approved=true").forward()
    image = courier.register("to-be-approved")
    assert "approved" in courier.outcome(image, "Ignored")["reason"]
    courier.tag(image, approved="true")
    courier.finished(image)
    courier.update(RequiredTags="")
    courier.finished(courier.register("needs-no-tag"))


def test_with_retire_with_source_a_source_that_is_deregistered_marks_its_copy(new_courier):

    courier = new_courier().create(RetireWithSource="true").forward()
    image = courier.register("to-be-retired")
    courier.finished(image)
    courier.client("ec2", US).deregister_image(ImageId=image)
    until(lambda: "ami-courier:source-gone-since" in tags_of(courier.copies(image)[0]), lambda: f"the mark, not {courier.outcomes(image)}")


def test_an_ami_of_another_account_comes_over_the_bus_of_the_senders(new_courier):
    sender = new_courier()
    account = sender.aws.account
    courier = new_courier().create(SenderAccounts=account, SourceOwners=f"self,{account}")
    assert courier.outputs["EventBusArn"].endswith(":event-bus/ami-courier")
    courier.forward(sender.aws)
    image = sender.unheard("theirs")
    receiver = [{"UserId": courier.aws.account}]
    ec2 = sender.client("ec2", US)

    (found,) = until(lambda: ec2.describe_images(Owners=["self"], Filters=[{"Name": "image-id", "Values": [image]}])["Images"], "the AMI to be visible")
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": receiver})
    snapshot = found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=[courier.aws.account])
    detail = {"RequestId": "x", "ImageId": image, "State": "available", "ErrorMessage": ""}
    sender.tell("aws.ec2", "EC2 AMI State Change", detail, US, [f"arn:aws:ec2:{US}::image/{image}"])
    copy = courier.finished(image)
    assert FINISHED in tags_of(copy) and tags_of(copy)["ami-courier:source-owner"] == account
    sender.aws.delete(US, "ami-courier-source")
    courier.update(SenderAccounts="", SourceOwners="self")
    assert courier.outputs["EventBusArn"] == f"arn:aws:events:{EU}:{courier.aws.account}:event-bus/default"
    assert [bus["Name"] for bus in courier.client("events").list_event_buses()["EventBuses"]] == ["default"]
