"""docs/security.md: a reviewer makes the template again, and sees whether it is the one of the release."""

import pytest
from pages import script
from test_commands import run_here
from test_courier import files_of_a_release

# The tests' own environment has the packages.
WITHOUT_PIP = "pip() { :; }\n"


@pytest.fixture
def downloaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("downloaded")
    files_of_a_release(folder, takes_messages=True)
    return folder


def compare(downloaded, folder):
    return run_here(f'{WITHOUT_PIP}DOWNLOADED="{downloaded}"\n' + script("compare"), folder)


def test_the_template_of_the_release_is_made_from_the_source(downloaded, tmp_path):
    done = compare(downloaded, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ami-courier.template.json", "source-region.yaml"])
def test_another_template_is_found(downloaded, tmp_path, name):
    (downloaded / name).write_text((downloaded / name).read_text().replace("ec2:DeregisterImage", "ec2:*").replace("events:PutEvents", "events:*"))
    done = compare(downloaded, tmp_path)
    assert done.returncode != 0 and name in done.stdout + done.stderr
