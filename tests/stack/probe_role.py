"""The role of `probe --permissions`: what the template allows the function to ask of EC2, with placeholders for account and Regions.

`python tests/stack/probe_role.py` writes probe/src/role_policy.json; test_probe.py fails when that file is not what the template says.
"""

import json

from stack import ACCOUNT, REGION, ROOT, as_list, options, rendered, statements, template

FILE = ROOT / "probe/src/role_policy.json"
SOURCE_REGION = "us-east-1"
ON = ["ShareWith", "Deprecate", "DeregistrationProtection", "RetireWithSource"]


def text():
    """The policy, one statement after the other, each action that is EC2's or that EC2 needs for itself."""
    parameters = {**options(*ON), "SourceRegions": SOURCE_REGION}
    ours = [
        statement
        for statement in statements(rendered(template(), parameters))
        if any(action.startswith("ec2:") for action in as_list(statement["Action"]))
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": ours}, indent=2)
    placeholders = {ACCOUNT: "${Account}", REGION: "${Region}", SOURCE_REGION: "${SourceRegion}", "arn:aws:": "arn:${Partition}:"}
    for value, placeholder in placeholders.items():
        policy = policy.replace(value, placeholder)
    return policy + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
