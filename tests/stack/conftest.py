"""The checks of the templates. They need the packages of tests/requirements.txt and, for the permissions, the calls that `cargo test` recorded."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config):
    # tests/stack/test_created.py names what moto skips, and tests it in another way.
    config.addinivalue_line("filterwarnings", "ignore:Tried to parse .* but it's not supported by moto:UserWarning")
