"""The checks of README and docs/: their commands, links and tables. They share the templates and moto with tests/stack."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "stack")]


def pytest_configure(config):
    # tests/stack/test_created.py names what moto skips, and tests it in another way.
    config.addinivalue_line("filterwarnings", "ignore:Tried to parse .* but it's not supported by moto:UserWarning")
