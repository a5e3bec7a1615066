"""The expanded template in fewer bytes, with the same meaning: CloudFormation takes 51,200 bytes inline."""

import json
import re

# It replaces the quotation marks of the dashboard, which JSON would escape. CloudFormation puts them back.
QUOTE = "~"


def smaller(plain):
    """`plain` without what only a reader of the source or a console needs, and with what is repeated said once."""
    plain["Metadata"]["AWS::CloudFormation::Interface"].pop("ParameterLabels")
    for output in plain["Outputs"].values():
        output.pop("Description")
    for parameter in plain["Parameters"].values():
        # MinValue, MaxValue and AllowedValues say the same.
        if parameter["Type"] == "Number":
            parameter.pop("ConstraintDescription", None)
    for resource in plain["Resources"].values():
        # checkov needs the id of what it skips, and not the reason, which stands in template.yaml.
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            skip.pop("comment")
        # A change of this description replaces nothing, unlike that of a managed policy.
        if resource["Type"] == "AWS::Events::Rule":
            resource["Properties"].pop("Description")
        for document in policies(resource["Properties"]):
            document["Statement"] = one_statement_each(document["Statement"])
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            resource["Properties"]["DashboardBody"] = short_dashboard(resource["Properties"]["DashboardBody"]["Fn::Sub"])
    return short_conditions(plain)


def policies(node):
    if isinstance(node, list):
        for item in node:
            yield from policies(item)
    elif isinstance(node, dict):
        if "Statement" in node and "Version" in node:
            yield node
        for value in node.values():
            yield from policies(value)


def one_statement_each(statements):
    """Statements that differ in their actions alone become one, without a Sid. What an option adds stays its own."""
    merged = {}
    for statement in map(without_sids, statements):
        rest = {key: value for key, value in statement.items() if key != "Action"}
        key = json.dumps(rest, sort_keys=True)
        if key in merged and "Action" in statement:
            actions = [action for part in (merged[key], statement) for action in as_list(part["Action"])]
            merged[key] = {**merged[key], "Action": sorted(set(actions))}
        else:
            merged[key] = statement
    return list(merged.values())


def without_sids(node):
    if isinstance(node, list):
        return [without_sids(item) for item in node]
    return {key: without_sids(value) for key, value in node.items() if key != "Sid"} if isinstance(node, dict) else node


def as_list(value):
    return value if isinstance(value, list) else [value]


def short_dashboard(body):
    """The dashboard without spaces. A dot repeats what the metric before has in the same place.

    docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html (Metrics Array Format)
    """
    dashboard = json.loads(body)
    for widget in dashboard["widgets"]:
        before = []
        for metric in widget["properties"].get("metrics", []):
            names = [part for part in metric if isinstance(part, str)]
            for place, (name, above) in enumerate(zip(names, before)):
                if name == above:
                    metric[place] = "."
            before = names
    text = json.dumps(dashboard, separators=(",", ":"), ensure_ascii=False)
    if QUOTE in text:
        raise ValueError(f"the dashboard contains {QUOTE}, which stands for a quotation mark here")
    return {"Fn::Join": ['"', {"Fn::Split": [QUOTE, {"Fn::Sub": text.replace('"', QUOTE)}]}]}


def short_conditions(plain):
    """Conditions are named only within the template: the most used gets the shortest name."""
    text = json.dumps(plain)
    by_use = sorted(plain["Conditions"], key=lambda name: (-text.count(f'"{name}"'), name))
    names = {name: f"C{number}" for number, name in enumerate(by_use)}
    return {**_renamed(plain, names), "Conditions": {names[name]: _renamed(value, names) for name, value in plain["Conditions"].items()}}


def _renamed(node, names):
    if isinstance(node, list):
        return [_renamed(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    renamed = {key: _renamed(value, names) for key, value in node.items()}
    if isinstance(node.get("Condition"), str):
        renamed["Condition"] = names[node["Condition"]]
    if "Fn::If" in node:
        renamed["Fn::If"][0] = names[node["Fn::If"][0]]
    return renamed
