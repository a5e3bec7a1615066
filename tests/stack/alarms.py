"""CloudWatch's alarms as documented: periods that slide with each evaluation, missing data, M of N, warm-up, metric math. What it does not know, it refuses to judge.

docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/: alarm-evaluation.html, alarm-evaluation-window.html, alarm-warm-up.html, using-metric-math.html.
Times are whole minutes since the stack was created.
"""

from bisect import bisect_left
from collections import defaultdict

# How often an alarm is evaluated here. CloudWatch does it every minute, and every hour where the window is longer than a day.
STEP = 5
STATISTICS = {"Sum": sum, "Maximum": max, "Minimum": min}
COMPARISONS = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}


class Metrics:
    """Data points of metrics. CloudWatch shows each of them `late` minutes after its time."""

    def __init__(self):
        self._points = defaultdict(list)

    def put(self, namespace, name, dimensions, minute, value, late=0):
        self._points[namespace, name, frozenset(dimensions.items())].append((minute, value, minute + late))

    def sort(self):
        for points in self._points.values():
            points.sort()

    def statistic(self, metric, statistic, start, end, now):
        """Of the points in [start, end) that can be seen `now`; None without any."""
        dimensions = frozenset((dimension["Name"], dimension["Value"]) for dimension in metric["Dimensions"])
        points = self._points.get((metric["Namespace"], metric["MetricName"], dimensions), [])
        first, last = bisect_left(points, (start,)), bisect_left(points, (end,))
        seen = [value for _, value, since in points[first:last] if since <= now]
        return STATISTICS[statistic](seen) if seen else None


def rings(alarm, metrics, until):
    """The minutes at which the alarm sounds: it goes into ALARM."""
    state, found = "INSUFFICIENT_DATA", []
    for now in range(STEP, until + 1, STEP):
        before, state = state, _state(alarm, metrics, now, state)
        if state == "ALARM" != before:
            found.append(now)
    return found


def _state(alarm, metrics, now, before):
    warm_up = alarm.get("WarmUpConfiguration", {})
    if now < warm_up.get("WarmUpPeriodDurationInMinutes", 0):
        if warm_up.get("OnlyStartEvaluatingAfterWarmUpPeriodEnds") is not True:
            raise NotImplementedError("a warm-up that ends early")
        return "INSUFFICIENT_DATA"
    points = _points(alarm, metrics, now)
    breaches = COMPARISONS[alarm["ComparisonOperator"]]
    match alarm["TreatMissingData"]:
        case "ignore":
            points = [point for point in points if point is not None]
            if not points:
                return before
        case "notBreaching" | "breaching":
            pass
        case other:
            raise NotImplementedError(f"missing data are {other}")
    breaching = [breaches(point, alarm["Threshold"]) if point is not None else alarm["TreatMissingData"] == "breaching" for point in points]
    return "ALARM" if sum(breaching) >= alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) else "OK"


def _points(alarm, metrics, now):
    """The last data points that the alarm looks at, the oldest first."""
    periods = alarm["EvaluationPeriods"]
    if "Metrics" not in alarm:
        return _series(metrics, alarm, alarm["Statistic"], alarm["Period"], periods, now)
    # One period more, since DIFF looks at the one before.
    named = {
        part["Id"]: Series(_series(metrics, part["MetricStat"]["Metric"], part["MetricStat"]["Stat"], part["MetricStat"]["Period"], periods + 1, now))
        for part in alarm["Metrics"]
        if "MetricStat" in part
    }
    (expression,) = [part["Expression"] for part in alarm["Metrics"] if part.get("ReturnData", True)]
    functions = {**FUNCTIONS, "METRICS": lambda: list(named.values())}
    # Metric math is written as Python writes it, as far as the alarms here go.
    return eval(expression, {"__builtins__": {}}, {**functions, **named}).points[1:]


def _series(metrics, metric, statistic, period, count, now):
    minutes = period // 60
    return [metrics.statistic(metric, statistic, now - (place + 1) * minutes, now - place * minutes, now) for place in reversed(range(count))]


class Series:
    def __init__(self, points):
        self.points = points

    def __gt__(self, number):
        return Series([None if point is None else int(point > number) for point in self.points])


def fill(series, value):
    """Also where a metric has no data at all: template.yaml names that as assumed."""
    if isinstance(series, list):
        return [fill(one, value) for one in series]
    return Series([value if point is None else point for point in series.points])


def diff(series):
    pairs = zip(series.points, series.points[1:])
    return Series([None, *(None if None in pair else pair[1] - pair[0] for pair in pairs)])


def of_all(combine):
    def combined(several):
        rows = [[point for point in row if point is not None] for row in zip(*(one.points for one in several), strict=True)]
        return Series([combine(row) if row else None for row in rows])

    return combined


def choose(condition, then, otherwise):
    def at(series, place):
        return series.points[place] if isinstance(series, Series) else series

    return Series([None if chosen is None else at(then if chosen else otherwise, place) for place, chosen in enumerate(condition.points)])


FUNCTIONS = {"FILL": fill, "DIFF": diff, "MAX": of_all(max), "SUM": of_all(sum), "IF": choose}
