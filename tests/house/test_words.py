"""Plain English: the expressions of expressions.toml are in no file. Each of them is seen to be found."""

from pathlib import Path
import subprocess

import pytest

from words import LIST, Source, expressions

ROOT = Path(__file__).resolve().parents[2]
EXPRESSIONS = expressions()


def is_ours(path):
    """Whether the text is written here: not by cargo, by AWS or by the benchmark, and not the list itself."""
    name = path.relative_to(ROOT).as_posix()
    written_elsewhere = name in ("LICENSE", "benches/figures.md", "benches/figures.svg") or path.name == "Cargo.lock"
    return not written_elsewhere and not (name.startswith("events/") and name.endswith(".json")) and path != LIST


def files():
    """Every file that is, or could be, in a commit."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted(path for name in set(names) if name and (path := ROOT / name).is_file() and is_ours(path))


@pytest.fixture(scope="module")
def sources():
    return {path.relative_to(ROOT): Source(path.read_text(errors="replace"), path.suffix == ".rs") for path in files()}


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.sample)
def test_nobody_writes(expression, sources):
    found = [f"{path}:{line}: {words}" for path, source in sources.items() for line, words in expression.found_in(source)]
    if found:
        pytest.fail(f"write instead: {expression.instead}\n" + "\n".join(found), pytrace=False)


def test_the_files_that_a_reader_meets_are_read(sources):
    names = {path.as_posix() for path in sources}
    assert {"README.md", "CONTRIBUTING.md", "src/lib.rs", "template.yaml", ".ci/run", ".github/workflows/ci.yml"} <= names
    assert len(names) > 100


# ---------------------------------------------------------------------------------------------------- the checker itself


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.sample)
def test_the_expression_is_found_in_its_samples_and_not_in_what_is_fine(expression):
    for sample in [expression.sample, *expression.samples]:
        assert expression.found_in(Source(sample, is_rust=True)), sample
        if expression.text:
            assert expression.found_in(Source(sample.upper())), sample
    assert not expression.found_in(Source(expression.fine, is_rust=True))
    assert bool(expression.text) != bool(expression.name) and expression.instead


# An expression in two parts, so that this file does not have it.
FIRST = "coming"
SECOND = "upon"


@pytest.mark.parametrize(
    "written",
    [
        "// made by hand, and {0}\n// {1} by others",
        "    /// made by hand, and {0}\n    /// {1} by others",
        "//! made by hand, and {0}\n//! {1} by others",
        "/* made by hand, and {0}\n * {1} by others */",
        "# made by hand, and {0}\n# {1} by others",
        "made by hand, and {0}\n  {1} by others",
        "> made by hand, and {0}\n> {1} by others",
        "it is **{0}** {1}",
        'format!("it is {0} \\\n         {1} by others")',
        '"it is {0} "\n    "{1} by others"',
        "fn it_is_{0}_{1}()",
        "struct ItIs{2}{3};",
    ],
)
def test_an_expression_is_found_across_lines_and_in_names(written):
    (expression,) = [one for one in EXPRESSIONS if one.found_in(Source(f"{FIRST} {SECOND}"))]
    assert expression.found_in(Source(written.format(FIRST, SECOND, FIRST.title(), SECOND.title()))), written


def test_a_paragraph_ends_an_expression():
    text = f"// {FIRST}\n//\n// {SECOND}\n\n{FIRST}\n\n{SECOND}"
    assert not any(one.found_in(Source(text)) for one in EXPRESSIONS)


def test_the_line_is_the_one_where_the_expression_begins():
    source = Source(f"# one\n\n# two {FIRST}\n# {SECOND}\n# {FIRST} {SECOND}\n")
    found = f"{FIRST} {SECOND}"
    assert [place for one in EXPRESSIONS for place in one.found_in(source)] == [(3, found), (5, found)]
