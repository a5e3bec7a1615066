"""The stacks as a system, on LocalStack and on the EC2 of `local serve`: docs/system.md.

It needs the packages of tests/requirements.txt, the built programs (`cargo test --workspace`), and LocalStack in an environment of its own (requirements.txt).
"""

import sys
from itertools import count
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "stack"), str(HERE.parent / "docs"), str(HERE.parents[1] / "release")]

from courier import Courier
from release_files import write_release
from servers import Servers

_accounts = count(200000000001)


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def new_courier(servers, release):
    """A courier in an account that has nothing yet."""
    return lambda account=None, **more: Courier(servers, release, account or str(next(_accounts)), **more)


@pytest.fixture(scope="module")
def courier(new_courier):
    """A courier and the forwarder of its source Region, shared by the tests of a module."""
    return new_courier().create().forward()
