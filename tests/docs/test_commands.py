"""Every command of README and docs/ is run by a test, or marked with the reason why not. pages.py explains the marks."""

import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pages import ROOT, Page, blocks, pages, read

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
NEEDS = {"needs-aws", "needs-docker", "needs-github", "needs-localstack", "needs-sam"}
SCRIPTS = [".ci/run", "tests/sam_local/run.py"]
# In place of cargo, which would build: what the gate built already.
STAND_IN = f"""
cargo() {{
    [ "$1 $2 $3 $4" = "run -p local --" ] || {{ echo "cargo $*: this cannot run here" >&2; return 1; }}
    shift 4
    case "$1" in
        invoke | copy-image) "{TARGET}/local" "$@" --function "{TARGET}/ami-courier" ;;
        probe) "{TARGET}/probe" "${{@:2}}" ;;
        *) "{TARGET}/local" "$@" ;;
    esac
}}
aws() {{ echo "aws $*: this needs AWS" >&2; return 1; }}
"""


def scenarios():
    """The marks that a test in this folder asks for."""
    sources = "".join(path.read_text() for path in sorted(Path(__file__).parent.glob("test_*.py")))
    return set(re.findall(r'\b(?:script|blocks)\("([a-z-]+)"', sources))


def code_of_the_gate():
    """The scripts of the gate without their comments."""
    return "\n".join(re.sub(r"^\s*#.*$", "", (ROOT / name).read_text(), flags=re.MULTILINE) for name in SCRIPTS)


def complaints(of, gate, known):
    """Blocks that nobody runs, and that are not marked."""
    for block in (block for page in of for block in page.blocks):
        if not block.is_console:
            if block.info in ("sh", "bash", "shell") or re.search(r"^\$ ", block.text, re.MULTILINE):
                yield f"{block.place}: commands belong into a block `console`"
        elif not block.commands:
            yield f"{block.place}: no line begins with `$`"
        elif block.mark == "gate":
            for command in block.commands:
                if not re.search(rf"(?<!\S){re.escape(command)}(?!\S)", gate):
                    yield f"{block.place}: the gate does not run `{command}`"
        elif block.mark not in {"", *NEEDS} | known:
            yield f"{block.place}: no test runs blocks `console {block.mark}`"


def run_here(script, folder):
    """Runs a script in a folder that looks like the repository; what it writes stays there."""
    for path in ROOT.iterdir():
        (folder / path.name).symlink_to(path)
    return subprocess.run(["bash", "-euo", "pipefail", "-c", STAND_IN + script], cwd=folder, capture_output=True, text=True, timeout=120)


def test_every_block_is_run_or_marked():
    assert list(complaints(pages(), code_of_the_gate(), scenarios())) == []


@pytest.mark.parametrize("block", blocks(""), ids=lambda block: block.place)
def test_a_block_without_a_mark_runs_in_the_repository(block, tmp_path):
    done = run_here(block.script, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


def printed():
    """(the block of commands, what the page says it prints)."""
    for page in pages():
        for before, block in zip(page.blocks, page.blocks[1:], strict=False):
            if block.info == "text printed":
                yield before, block


def missing(sample, output):
    """The first line of the sample that the output does not have after those before it. The start of a line is enough: columns are cut on a page."""
    lines = iter(output.splitlines())
    for line in sample.splitlines():
        pattern = re.compile(re.escape(line.rstrip()).replace("…", ".*"))
        if not any(pattern.match(found) for found in lines):
            return line
    return None


@pytest.mark.parametrize(("commands", "sample"), list(printed()), ids=lambda block: block.place)
def test_a_block_prints_what_the_page_says(commands, sample, tmp_path):
    assert commands.mark == ""
    done = run_here(commands.script, tmp_path)
    assert missing(sample.text, done.stdout + done.stderr) is None, done.stdout + done.stderr


def test_readme_is_short():
    assert (ROOT / "README.md").read_text().count("\n") <= 150


def test_readme_shows_what_is_printed():
    assert sum(block.place.startswith("README.md") for _, block in printed()) >= 2


@pytest.mark.parametrize("name", ["docs/how-it-works.svg", "docs/life-of-a-copy.svg", "benches/figures.svg", "benches/cold-start.svg"])
def test_a_picture_has_colours_for_light_and_dark(name):
    svg = ElementTree.parse(ROOT / name).getroot()
    style = svg.find("{http://www.w3.org/2000/svg}style").text
    assert svg.tag.endswith("svg") and svg.get("viewBox")
    light, dark = style.replace(" ", "").split("@media(prefers-color-scheme:dark)")
    for name in re.findall(r"\.ground|text(?=\{)", light):
        assert name in dark


def test_the_chart_of_readme_has_the_figures_of_the_benchmark():
    chart, figures = (re.findall(r'text-anchor="end">(.+?)</text>\n<rect.*\n<text[^>]*>(.+?)</text>', (ROOT / "benches" / name).read_text()) for name in ("cold-start.svg", "figures.svg"))
    assert len(chart) == 4 and set(chart) <= set(figures)
    cold = {row[0]: row for row in read("docs/figures.md").table("# Figures")}
    assert "A cold start takes 7 ms and 9 MiB; a new AMI takes four calls of EC2 and one event\n(five calls with several source Regions)" in (ROOT / "README.md").read_text()
    assert (round(float(cold["ami-courier, a batch of one"][3])), round(float(cold["ami-courier, a batch of one"][8]))) == (7, 9)
    assert [row[1:] for row in read("docs/figures.md").table("| Python, a batch of ten | 259 | 2464 | 2707 |\n") if row[0] == "a new AMI"] == [["4 (5 with several source Regions)", "1"]]


# ---------------------------------------------------------------------------------------------------- the checker itself


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```console nobody\n$ true\n```\n", "no test runs blocks `console nobody`"),
        ("```console gate\n$ sam bild\n```\n", "the gate does not run `sam bild`"),
        ("```console gate\n$ sam build     # comment\n$ sam buil\n```\n", "the gate does not run `sam buil`"),
        ("```sh\ntrue\n```\n", "commands belong into a block `console`"),
        ("```\n$ true\n```\n", "commands belong into a block `console`"),
        ("```console\ntrue\n```\n", "no line begins with `$`"),
    ],
)
def test_it_complains_of(text, complaint):
    (found,) = complaints([Page("page.md", text)], code_of_the_gate(), scenarios())
    assert found == f"page.md:1: {complaint}"


@pytest.mark.parametrize(
    "text", ["```console courier\n$ true\n```\n", "```console gate\n$ sam build     # minutes\n```\n", "```console needs-aws\n$ true\n```\n", "```json\n{}\n```\n"]
)
def test_it_accepts(text):
    assert not list(complaints([Page("page.md", text)], code_of_the_gate(), scenarios()))


@pytest.mark.parametrize(
    ("sample", "output", "line"),
    [
        ("one\ntwo\n", "zero\none\ntwo\n", None),
        ("  a … b\n", "  a x y b c\n", None),
        ("two\none\n", "one\ntwo\n", "one"),
        ("one\n", " one\n", "one"),
    ],
)
def test_it_finds_a_line_that_is_not_printed(sample, output, line):
    assert missing(sample, output) == line


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("cargo run -p local -- invoke events/no-such-event.json", "no-such-event"),
        ("cargo run -p local -- invoke events/sweep.json --no-such-option", "--no-such-option"),
        ("cargo run -p local -- invoke events/sweep.json --set DEPRECATE=Sometimes", "DEPRECATE"),
        ("cargo run -p lokal -- invoke events/sweep.json", "cannot run here"),
        ("aws sqs list-queues", "needs AWS"),
        ("sam_ build", "sam_"),
    ],
)
def test_a_wrong_command_fails(command, error, tmp_path):
    done = run_here(f"{command}\n", tmp_path)
    assert done.returncode != 0 and error in done.stderr
