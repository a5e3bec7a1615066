"""The files of a release, and the ways in. They need the packages of tests/requirements.txt."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "release"), str(ROOT / "tests" / "stack")]


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore:Tried to parse .* but it's not supported by moto:UserWarning")
