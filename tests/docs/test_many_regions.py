"""Couriers in several Regions of one account, with a release: the commands of docs/many-regions-and-accounts.md, then those of docs/recipes.md for one more Region.

Moto cannot update the stack of the source Region, so the commands that add a bus to it are not run.
"""

from unittest.mock import patch

import pytest
from aws_on_loopback import started
from moto.core.config import default_user_config
from pages import script
from test_courier import ZIP, Deployed, files_of_a_release

# One of its own: moto keeps the buckets of the other tests in this process.
ACCOUNT = "444455556666"
FIRST, LATER = ["eu-west-1", "ap-northeast-1"], "ap-southeast-2"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    files_of_a_release(folder)
    with patch.dict(default_user_config["lambda"], use_docker=False), started() as aws:
        deployed = Deployed(aws, folder, ACCOUNT)
        deployed.run(script("many-regions") + "\n" + script("add-region"))
        yield deployed


def parameters_of(stack):
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}


@pytest.mark.parametrize("region", [*FIRST, LATER])
def test_a_courier_stands_in_the_region_and_only_reports(deployed, region):
    stack = deployed.stacks(region)["ami-courier"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert parameters_of(stack)["DryRun"] == "true"
    assert parameters_of(stack)["BackfillDays"] == ("365" if region == LATER else "7")


@pytest.mark.parametrize("region", [*FIRST, LATER])
def test_its_code_is_in_a_bucket_of_the_region(deployed, region):
    s3, bucket = deployed.client("s3", region), f"ami-courier-code-{ACCOUNT}-{region}"
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == region
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [ZIP]


def test_the_source_region_forwards_to_each_bus(deployed):
    stack = deployed.stacks("us-east-1")["ami-courier-source"]
    assert parameters_of(stack)["EventBusArns"] == ",".join(f"arn:aws:events:{region}:{ACCOUNT}:event-bus/default" for region in FIRST)
