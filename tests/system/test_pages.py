"""README and docs/, followed by a user with a new account: the commands of a page in their order, with the files of a release."""

import shutil

import pytest
from aws import EU, US
from courier import Courier
from pages import ROOT, read, script
from shell import Shell
from stack import ACCOUNT

DESTINATIONS = (EU, "ap-southeast-2")


def folder_of_a_release(release, folder):
    for path in release.iterdir():
        shutil.copy(path, folder)
    return folder


def test_readmes_commands_lead_to_a_courier_that_copies(new_courier, release, tmp_path):
    courier = new_courier()
    image = courier.register("golden-2026-01")
    shell = Shell(courier, folder_of_a_release(release, tmp_path))
    # The AMI of the pages, by the id that it has here.
    commands = "\n".join([script("release"), script("courier")]).replace("ami-0abcdef1234567890", image)
    shell.run(commands, script("source-region"))
    assert '"Images"' in (tmp_path / "status.json").read_text()
    courier.update(DryRun="false")
    courier.finished(image)
    courier.finished(courier.register("golden-2026-02"))


def test_readmes_steps_from_a_clone_lead_to_a_courier_that_is_updated_to_a_release_and_copies_nothing_twice(new_courier, release, tmp_path):
    """With SAM itself. What `sam build` makes is put together here: it builds the function for minutes."""
    courier, built = new_courier(), tmp_path / ".aws-sam" / "build"
    (code,) = release.glob("*.zip")
    shutil.unpack_archive(code, built / "Function")
    (built / "template.yaml").write_text((ROOT / "template.yaml").read_text().replace("CodeUri: .\n", "CodeUri: Function\n"))
    for name, folder in (("samconfig.toml", tmp_path), ("LICENSE", built), ("README.md", built)):
        shutil.copy(ROOT / name, folder)
    image = courier.register("golden-2026-01")
    steps = [block.script for block in read("README.md").blocks if block.mark in ("clone", "courier") or "sam deploy" in block.script]
    # Nobody confirms the change set.
    Shell(courier, tmp_path).run('sam() { command sam "$@" --no-confirm-changeset; }', *(step.replace("ami-0abcdef1234567890", image) for step in steps))
    assert '"Images"' in (tmp_path / "status.json").read_text()
    copy, before = courier.finished(image), courier.resources()
    courier.update(**courier.upload())
    assert courier.resources() == before
    courier.forward()
    courier.announce(image)
    courier.outcome(image, "AlreadyCopied")
    assert courier.copies(image) == [copy]
    others, another = courier.register("others"), courier.register("golden-2026-02")
    courier.finished(another)
    assert "matches none of `golden-*`, `base-*`" in courier.outcome(others, "Ignored")["reason"]


@pytest.fixture(scope="module")
def production(new_courier, release, tmp_path_factory):
    """The commands of docs/production.md, in the account that has the keys of `local serve`, with one approved AMI."""
    courier = new_courier(ACCOUNT)
    folder = folder_of_a_release(release, tmp_path_factory.mktemp("production"))
    (policy,) = [block.text for block in read("docs/production.md").blocks if block.info == "json"]
    (folder / "key-policy.json").write_text(policy.replace("111122223333", courier.aws.account))
    image = courier.register("golden", approved="true")
    shell = Shell(courier, folder)
    shell.run(script("production").replace("ami-0abcdef1234567890", image))
    yield courier, shell, image
    for region, stack in ((US, "ami-courier-source"), *((region, "ami-courier") for region in DESTINATIONS)):
        if courier.aws.stack(region, stack):
            courier.aws.delete(region, stack)


def in_region(courier, region):
    return Courier(courier.aws.servers, courier.release, courier.aws.account, region=region)


def test_the_commands_of_production_make_one_shared_copy_in_each(production):
    courier, _, image = production
    for region in DESTINATIONS:
        there = in_region(courier, region)
        copy = there.finished(image)
        permissions = there.client("ec2").describe_image_attribute(ImageId=copy["ImageId"], Attribute="launchPermission")["LaunchPermissions"]
        assert {"UserId": "444455556666"} in permissions


def test_after_going_live_an_ami_that_gets_the_tag_is_copied_to_both_regions(production):
    courier, _, _ = production
    for region in DESTINATIONS:
        in_region(courier, region).update(DryRun="false")
    image = courier.register("golden-2")
    for region in DESTINATIONS:
        in_region(courier, region).outcome(image, "Ignored")
        assert in_region(courier, region).copies(image) == []
    courier.tag(image, approved="true")
    for region in DESTINATIONS:
        in_region(courier, region).finished(image)


def test_its_removal_leaves_what_its_file_names(production):
    courier, shell, _ = production
    head = script("production", having="$ output()").split("\n\n")[0]
    shell.run(head, script("production-removal"))
    left = [line.split() for line in (shell.folder / "left.txt").read_text().splitlines()]
    assert [(line[0], len(line)) for line in left] == [(US, 2), *((region, 3) for region in DESTINATIONS)]
    assert courier.aws.stack(US, "ami-courier-source") is None
    for region, letters, log in left[1:]:
        there = in_region(courier, region)
        assert there.aws.stack(region, "ami-courier") is None
        assert letters in there.client("sqs").list_queues()["QueueUrls"]
        assert [group["logGroupName"] for group in there.client("logs").describe_log_groups()["logGroups"]] == [log]
