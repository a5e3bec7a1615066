"""docs/cost.md: its examples are what its formula gives, and the formula has the prices of its tables."""

import re

import pytest
from pages import read
from stack import of_type, rendered, template

PAGE = read("docs/cost.md")
(FORMULA,) = [block.text.strip() for block in PAGE.blocks if block.info == "text"]


def dollars(cell):
    return float(re.search(r"\$([\d.,]+\d)", cell)[1].replace(",", ""))


def monthly(**letters):
    return eval(FORMULA.replace("×", "*"), {"__builtins__": {}}, letters)


@pytest.mark.parametrize("row", PAGE.table("## Examples"), ids=" ".join)
def test_an_example_is_what_the_formula_gives(row):
    *counts, total = row
    assert monthly(**dict(zip("RNGSQK", map(int, counts), strict=True))) == pytest.approx(dollars(total), abs=0.004)


def test_the_formula_has_the_prices_of_the_table():
    prices = [dollars(price) for _, _, price in PAGE.table("## The formula") if price]
    assert [float(number) for number in re.findall(r"\d+\.\d+", FORMULA)] == prices


def test_the_parts_of_the_courier_are_within_its_price():
    parts = [dollars(price) for _, _, price in PAGE.table("## The courier")]
    assert 9.30 < sum(parts) <= monthly(R=1, N=0, G=0, S=0, Q=0, K=0) == 9.50


def test_lambda_takes_what_the_table_says():
    """$0.0000166667 for a GB-s and $0.20 for a million requests: aws.amazon.com/lambda/pricing."""
    for messages, limit in ((200, 0.01), (2000, 0.02)):
        runs = messages + 720
        assert runs * (0.25 * 0.0000166667 + 0.20 / 1_000_000) < limit
    assert "230 GB-s" in PAGE.table("## The courier")[0][1] and (200 + 720) * 0.25 == 230


def test_the_alarms_have_as_many_metrics_as_the_table_says():
    alarms = of_type(rendered(template()), "AWS::CloudWatch::Alarm").values()
    metrics = sum(sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1 for alarm in alarms)
    (row,) = [row for row in PAGE.table("## The courier") if row[0] == "CloudWatch alarms"]
    assert row[1] == f"{metrics} metrics, $0.10 each" and dollars(row[2]) == pytest.approx(metrics * 0.10)
