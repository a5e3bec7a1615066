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
    assert monthly(**dict(zip("RNGSDQKVEL", map(int, counts), strict=True))) == pytest.approx(dollars(total), abs=0.004)


def test_the_formula_has_the_prices_of_the_table():
    prices = [dollars(price) for _, _, price in PAGE.table("## The formula") if price]
    assert [float(number) for number in re.findall(r"\d+\.\d+", FORMULA)] == prices


def test_the_parts_of_the_courier_are_within_its_price():
    parts = [dollars(price) for _, _, price in PAGE.table("## The courier")]
    nothing = dict.fromkeys("NGSDQKVEL", 0)
    assert 7.70 < sum(parts) <= monthly(R=1, **nothing) == 7.80
    assert "up to $10.80 a month in each destination Region, or $7.80 without its dashboard" in " ".join(PAGE.text.split())
    assert monthly(R=1, **{**nothing, "D": 1}) == 10.80


def test_lambda_takes_what_the_table_says():
    """$0.0000166667 for a GB-s and $0.20 for a million requests: aws.amazon.com/lambda/pricing."""
    for messages, limit in ((200, 0.01), (2000, 0.02)):
        runs = messages + 720
        assert runs * (0.25 * 0.0000166667 + 0.20 / 1_000_000) < limit
    assert "230 GB-s" in PAGE.table("## The courier")[0][1] and (200 + 720) * 0.25 == 230


def test_the_screen_on_a_wall_scans_what_its_example_says():
    """A refresh each minute, of 730 hours, over 10 MB of log: $0.005 for a GB."""
    scanned = round(730 * 60 * 0.01)
    assert [row[-2] for row in PAGE.table("## Examples")].count(str(scanned)) == 1
    assert f"43,800 × 0.01 GB = {scanned} GB" in PAGE.text and round(scanned * 0.005, 2) == 2.19


def test_the_network_costs_what_its_hours_cost():
    for letter, hourly in (("V", 0.045), ("E", 0.01)):
        (price,) = [dollars(price) for name, _, price in PAGE.table("## The formula") if name == f"`{letter}`"]
        assert price == pytest.approx(hourly * 730)


def test_the_backups_cost_what_the_page_says():
    assert 10 * 30 * 20 * 0.02 == 120 and "300 AMIs a month: $120.00" in PAGE.text


def test_the_alarm_of_the_source_region_costs_what_the_formula_says():
    (alarm,) = of_type(rendered(template("source-region.yaml"), {"EventBusArns": "arn:aws:events:eu-west-1:123456789012:event-bus/x"}), "AWS::CloudWatch::Alarm").values()
    (price,) = [dollars(price) for name, _, price in PAGE.table("## The formula") if name == "`Q`"]
    assert price == pytest.approx(sum("MetricStat" in metric for metric in alarm["Metrics"]) * 0.10)


def test_the_alarms_have_as_many_metrics_as_the_table_says():
    alarms = of_type(rendered(template(), {"SourceRegions": "us-east-1"}), "AWS::CloudWatch::Alarm").values()
    metrics = sum(sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1 for alarm in alarms)
    (row,) = [row for row in PAGE.table("## The courier") if row[0] == "CloudWatch alarms"]
    assert row[1] == f"{metrics} metrics, $0.10 each" and dollars(row[2]) == pytest.approx(metrics * 0.10)
