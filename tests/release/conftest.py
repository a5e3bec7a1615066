"""The release's script and its files, tested with the packages of tests/requirements.txt."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "release"), str(ROOT / "tests" / "stack"), str(ROOT / "tests" / "docs")]


def pytest_configure(config):
    # tests/stack/test_created.py names what moto skips.
    config.addinivalue_line("filterwarnings", "ignore:Tried to parse .* but it's not supported by moto:UserWarning")


@pytest.fixture(scope="session")
def binary():
    """A stand-in for the function's binary: nothing here runs it."""
    return b"\x7fELF" + bytes(range(256)) * 40


@pytest.fixture(scope="session")
def released(tmp_path_factory, binary):
    """A folder with the files of a release, as the workflow makes them."""
    import release

    folder = tmp_path_factory.mktemp("release")
    bootstrap = tmp_path_factory.mktemp("build") / "bootstrap"
    bootstrap.write_bytes(binary)
    for architecture in release.ARCHITECTURES:
        release.zip_code(bootstrap, architecture, folder)
    release.write_template(folder)
    release.write_sums(folder)
    return folder
