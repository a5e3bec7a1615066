"""A small IAM: does a policy of Allow statements allow a request? What it does not know, it refuses to judge.

Rules: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html and …_evaluation-logic.html.
"""

import re
from dataclasses import dataclass, field
from functools import cache

from stack import as_list


@dataclass(frozen=True)
class Request:
    """One thing that AWS asks permission for. `context` has the condition keys, each with a string or a list of strings."""

    action: str
    resource: str
    context: dict = field(default_factory=dict, hash=False)

    def __str__(self):
        return f"{self.action} on {self.resource} with {self.context}"


def allowing(policy, request):
    """The first statement of `policy` that allows `request`, or None."""
    return next((statement for statement in policy if allows(statement, request)), None)


def allows(statement, request):
    if statement["Effect"] != "Allow" or "NotAction" in statement or "NotResource" in statement:
        raise NotImplementedError(f"only plain Allow statements are judged, not {statement['Sid']}")
    return (
        any(_matches(action, request.action, ignore_case=True) for action in as_list(statement["Action"]))
        and any(_matches(resource, request.resource) for resource in as_list(statement["Resource"]))
        and _conditions_hold(statement.get("Condition", {}), request.context)
    )


def _matches(pattern, value, ignore_case=False):
    return _compiled(pattern, ignore_case).fullmatch(value) is not None


@cache
def _compiled(pattern, ignore_case):
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.compile(expression, re.IGNORECASE if ignore_case else 0)


_OPERATORS = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": lambda wanted, actual: _matches(wanted, actual),
    "ArnEquals": lambda wanted, actual: _matches(wanted, actual),
    "ArnLike": lambda wanted, actual: _matches(wanted, actual),
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
}


def _conditions_hold(conditions, context):
    context = {key.lower(): value for key, value in context.items()}
    return all(
        _holds(operator, as_list(wanted), context.get(key.lower()))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(operator, wanted, actual):
    quantifier, _, operator = operator.rpartition(":")
    if operator == "Null":
        return (actual is None) == (wanted == ["true"])
    if operator.endswith("IfExists"):
        operator = operator.removesuffix("IfExists")
        if actual is None:
            return True
    if operator == "StringNotEqualsIgnoreCase" and quantifier == "ForAllValues":
        # Each value differs from all that are named. It holds for no value at all.
        return all(str(value).lower() not in {str(one).lower() for one in wanted} for value in as_list(actual or []))
    if operator not in _OPERATORS or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise NotImplementedError(f"condition operator {quantifier}:{operator}")
    if actual is None:
        # A key that is not there fails every operator, but ForAllValues holds for nothing at all.
        return quantifier == "ForAllValues"
    if isinstance(actual, list) and not quantifier:
        raise NotImplementedError(f"{operator} on the many-valued {actual}")
    compare = _OPERATORS[operator]
    every_or_any = all if quantifier == "ForAllValues" else any
    return every_or_any(any(compare(str(one), value) for one in wanted) for value in as_list(actual))
