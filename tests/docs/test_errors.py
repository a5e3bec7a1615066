"""docs/errors-and-metrics.md names each code and each metric that the code has, and no other."""

import re

import pytest
from pages import ROOT, read

PAGE = read("docs/errors-and-metrics.md")


def source(*names):
    return "".join((ROOT / name).read_text() for name in names)


def rust(*folders):
    return "".join(path.read_text() for folder in folders for path in sorted((ROOT / folder).rglob("*.rs")))


def own_codes():
    """The constants of `code`, and what SNS's messages are called."""
    constants = re.search(r"pub mod code \{(.*?)\n\}", source("core/src/error.rs"), re.DOTALL)[1]
    return set(re.findall(r'= "([^"]+)";', constants)) | set(re.findall(r'"(\w+Confirmation)" =>', source("core/src/announcement/recognise.rs")))


def sorted_codes():
    """The words in the form of a code in the table that sorts AWS's codes, without its tests."""
    table = source("src/aws/error.rs")
    functions = [re.search(rf"fn {name}\b.*?\n\}}", table, re.DOTALL)[0] for name in ("is_limit", "advice")]
    named = set(re.findall(r'"([A-Z][A-Za-z]+(?:\.[A-Z]\w+)*)"', "".join(functions)))
    return named | {re.search(r'CATCH_ALL: &str = "(\w+)"', source("core/src/refusal.rs"))[1], *re.findall(r'Some\("(\w+)"\) =>', table)}


def outcomes():
    return set(re.findall(r'=> "(\w+)"', re.search(r"pub fn name.*?\n    \}", source("core/src/outcome.rs"), re.DOTALL)[0]))


def metrics():
    written = set(re.findall(r'(?:counter|histogram)!\("(\w+)"', rust("src")))
    measured = set(re.findall(r'\("(\w+Seconds)", \w+_seconds\)', source("src/courier/log.rs")))
    return written | measured | outcomes()


def named(heading):
    return [name for row in PAGE.table(heading) for name in re.findall(r"`([^`]+)`", row[0])]


@pytest.mark.parametrize(
    ("heading", "real", "least"),
    [("## The courier's own codes", own_codes, 28), ("## Codes of AWS that the courier sorts", lambda: sorted_codes() - own_codes(), 20), ("## Metrics", metrics, 15)],
)
def test_the_page_has_each_and_no_other(heading, real, least):
    names = named(heading)
    assert len(real()) >= least
    assert set(names) == real()
    assert len(names) == len(set(names))


@pytest.mark.parametrize("heading", ["## The courier's own codes", "## Codes of AWS that the courier sorts", "## Metrics"])
def test_each_row_says_what_happened_and_what_to_do(heading):
    assert all(cell for row in PAGE.table(heading) for cell in row)


def test_the_metrics_of_the_code_are_those_that_its_alarms_and_dashboard_use():
    used = set(re.findall(r'"ami-courier", "(\w+)"', source("template.yaml"))) | set(re.findall(r"Namespace: ami-courier\n\s+MetricName: (\w+)", source("template.yaml")))
    assert used and used <= metrics()


def test_each_outcome_is_explained_and_on_the_dashboard():
    rows = {row[0].strip("`"): row[1] for row in read("docs/messages.md").table("## Outcomes")}
    assert len(outcomes()) == 7
    assert set(rows) == outcomes()
    assert outcomes() <= set(re.findall(r'\["ami-courier", "(\w+)", "FunctionName"', source("template.yaml")))
    parts = re.search(r"pub enum Part \{(.*?)\n\}", source("core/src/in_step.rs"), re.DOTALL)[1]
    assert re.findall(r"`(\w+)`", rows["Updated"])[1:] == re.findall(r"^    (\w+),$", parts, re.MULTILINE)


def test_each_state_of_a_copy_is_explained_in_the_order_of_the_answer():
    states = re.search(r"pub enum CopyState \{(.*?)\n\}", source("core/src/copy_state.rs"), re.DOTALL)[1]
    assert [row[0].strip("`") for row in read("docs/status.md").table("### The states")] == re.findall(r"^    (\w+),$", states, re.MULTILINE)
