"""Every link of README, docs/ and the pages beside them leads to a file that exists, and to an anchor in it."""

import re
from pathlib import PurePosixPath

import pytest
from pages import ROOT, Page, pages, read
from stack import of_type, template

OTHERS = ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
TEMPLATES = ["template.yaml", "source-region.yaml"]


def broken(page):
    """The links of a page that lead nowhere in this repository."""
    folder = PurePosixPath(page.name).parent
    for link in page.links:
        if re.match(r"https://[a-z0-9.-]+\.[a-z]+(/|$)", link):
            continue
        file, _, anchor = link.partition("#")
        path = (ROOT / folder / file).resolve() if file else ROOT / page.name
        if not path.is_relative_to(ROOT) or not path.exists():
            yield f"{page.name}: {link}: no such file"
        elif anchor and anchor not in (page if not file else read(path.relative_to(ROOT).as_posix())).anchors:
            yield f"{page.name}: {link}: no such anchor"


@pytest.mark.parametrize("page", [*pages(), *map(read, OTHERS)], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    assert list(broken(page)) == []


def test_the_index_has_every_page():
    links = {link.partition("#")[0] for link in read("docs/README.md").links}
    named = {page.name.removeprefix("docs/") for page in pages() if page.name.count("/") == 1 and page.name != "docs/README.md"}
    assert sorted(named - links) == []


def too_long(text):
    """Lines of over 200 characters that are no row of a table and no picture."""
    return [line for line in text.splitlines() if len(line) > 200 and not line.lstrip().startswith(("|", "<", "!["))]


@pytest.mark.parametrize("page", [*pages(), *map(read, OTHERS)], ids=lambda page: page.name)
def test_no_line_is_too_long_to_read(page):
    assert too_long(page.text) == []


def test_a_long_line_is_found_and_a_long_table_is_not():
    assert len(too_long("x" * 201 + "\n| " + "x" * 201 + " |\n" + "y" * 200)) == 1


def test_every_sample_of_the_messages_exists():
    named = [cell.strip("`") for _, cell, _ in read("docs/messages.md").table("## What you can send")]
    assert [name for name in named if not (ROOT / "events" / name).is_file()] == []
    assert len(named) >= 10


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_template_names_pages_and_anchors_that_exist(name):
    text = (ROOT / name).read_text()
    named = re.findall(r"(?<![/\w.])((?:docs/)?[A-Za-z0-9-]+\.md)(#[a-z0-9-]+)?", text)
    alarms = of_type(template(name)["Resources"], "AWS::CloudWatch::Alarm")
    assert len(named) >= len(alarms) > 0
    assert [link for file, anchor in named for link in broken(Page("template", f"[page]({file}{anchor})"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "[page](docs/no-such-page.md)",
        "[page](docs/operations.md#no-such-heading)",
        "[page](#no-such-heading)",
        "[page](../outside.md)",
        "[page](https://)",
        '<img src="no-such-picture.svg">',
        "# A heading\n[second](#a-heading-1)",
    ],
)
def test_it_finds_a_link_that_leads_nowhere(text):
    assert len(list(broken(Page("README.md", text)))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[page](docs/operations.md#runbook)",
        "[page](LICENSE)",
        "[page](https://example.com/)",
        "# A `heading`, with *marks*\n[here](#a-heading-with-marks)",
        "# Twice\n# Twice\n[second](#twice-1)",
        "```console\n$ echo '[no link](nowhere)'\n```\n",
        "`[no link](nowhere)`",
    ],
)
def test_it_accepts(text):
    assert list(broken(Page("README.md", text))) == []
