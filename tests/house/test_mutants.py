"""The mutants by hand fit the sources: a mutant whose text is gone breaks nothing, and so proves nothing."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = tomllib.loads((ROOT / "tests/mutants/mutants.toml").read_text())["mutant"]


def times(mutant):
    return (ROOT / mutant["file"]).read_text().count(mutant["was"])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["shows"])
def test_what_a_mutant_changes_is_once_in_its_file(mutant):
    assert times(mutant) == 1 and mutant["is"] != mutant["was"]


def test_a_text_that_is_gone_is_found():
    assert times({"file": "src/lib.rs", "was": "fn no_such_function()"}) == 0
