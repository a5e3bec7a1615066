"""The role of `probe --permissions`: what the template allows the function to ask of these services, with placeholders for account, Regions and queues.

`python tests/stack/probe_role.py` writes probe/src/role_policy.json; test_probe.py fails when that file is not what the template says.
"""

import json

from stack import ACCOUNT, REGION, ROOT, as_list, options, rendered, statements, template

FILE = ROOT / "probe/src/role_policy.json"
SOURCE_REGION = "us-east-1"
ON = ["ShareWith", "Deprecate", "DeregistrationProtection", "RetireWithSource", "EventBusName"]
SERVICES = ("ec2:", "sqs:", "ssm:", "events:")
PARAMETERS = "/ami-courier-probe/"


def text():
    """The policy, a line for each statement, without spaces: IAM limits its length. Each action that is one of these services' or that EC2 needs for itself."""
    parameters = {**options(*ON), "SourceRegions": SOURCE_REGION, "ParameterName": PARAMETERS + "{image_id}", "SourceParameterPath": PARAMETERS}
    ours = [
        statement
        for statement in statements(rendered(template(), parameters))
        if any(action.startswith(SERVICES) for action in as_list(statement["Action"]))
    ]
    lines = ",\n".join(json.dumps(statement, separators=(",", ":")) for statement in ours)
    policy = f'{{"Version":"2012-10-17","Statement":[\n{lines}\n]}}'
    queues = {'"DeadLetterQueue.Arn"': '"${DeadLetterQueue}"', '"Queue.Arn"': '"${Queue}"'}
    placeholders = {**queues, ACCOUNT: "${Account}", REGION: "${Region}", SOURCE_REGION: "${SourceRegion}", "arn:aws:": "arn:${Partition}:"}
    for value, placeholder in placeholders.items():
        policy = policy.replace(value, placeholder)
    return policy + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
