"""The templates as CloudFormation would see them: expanded by SAM, then rendered for given parameters."""

import json
import logging
import os
from copy import deepcopy
from functools import cache
from pathlib import Path

# The SAM translator wants to know where it is; nothing here calls AWS.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")

from cloud_radar.cf.unit import Template
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"
ACCOUNT = "123456789012"

# Each of the stack's options: off and on. What is on needs no other option to be on.
OPTIONS = {
    "SourceRegions": ("", "us-east-1,us-west-2"),
    "RequiredTags": ("", "approved=true"),
    "SourceParameterPath": ("", "/golden/"),
    "CloudTrailEvents": ("false", "true"),
    "SenderAccounts": ("", "111122223333,444455556666"),
    "KmsKeyId": ("", "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"),
    "SourceKmsKeyArns": ("", "arn:aws:kms:us-east-1:123456789012:key/66666666-7777-8888-9999-000000000000"),
    "ShareWith": ("", "111122223333"),
    "Deprecate": ("Never", "Source"),
    "DeregistrationProtection": ("Off", "WithCooldown"),
    "ParameterName": ("", "/published/{tag:Role}"),
    "EventBusName": ("", "default"),
    "RetireWithSource": ("false", "true"),
    "SweepRate": ("off", "rate(1 hour)"),
    "AlarmTopicArn": ("", "arn:aws:sns:eu-west-1:123456789012:alarms"),
    "QueueKmsKeyArn": ("", "arn:aws:kms:eu-west-1:123456789012:key/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"),
    "PermissionsBoundaryArn": ("", "arn:aws:iam::123456789012:policy/boundary"),
    "VpcSubnetIds": ("", "subnet-0123456789abcdef0,subnet-0123456789abcdef1"),
}


def options(*on, off=()):
    """The parameters with the options named in `on` switched on (all of them for "all"), but those in `off`, and the others switched off."""
    chosen = set(OPTIONS if on == ("all",) else on) - set(off)
    parameters = {name: values[name in chosen] for name, values in OPTIONS.items()}
    if "VpcSubnetIds" in chosen:
        parameters["VpcSecurityGroupIds"] = "sg-0123456789abcdef0"
    return parameters


def template(name="template.yaml"):
    """The template as written, its functions in their long form."""
    return deepcopy(_parsed(name))


@cache
def _parsed(name):
    return yaml_parse((ROOT / name).read_text())


class _Managed:
    """SAM asks for the ARNs of managed policies; the stack uses none."""

    @staticmethod
    def load():
        return {}


class _Warnings(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        # The translator's own metrics, which nobody collects here, are no warning about the template.
        if not record.name.startswith("samtranslator.metrics"):
            self.messages.append(record.getMessage())


def expanded(source, parameters=None):
    """`source` after the SAM transform, and the warnings that it gave."""
    source = deepcopy(source)
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # What `sam package` would put there.
            resource["Properties"]["CodeUri"] = "s3://code/ami-courier"
    warnings = _Warnings()
    logging.getLogger("samtranslator").addHandler(warnings)
    try:
        return transform(source, parameters or {}, _Managed()), warnings.messages
    finally:
        logging.getLogger("samtranslator").removeHandler(warnings)


def rendered(source, parameters=None, account=ACCOUNT, region=REGION):
    """The resources of `source` as they would be created with `parameters`: conditions decided, functions resolved; GetAtt is `Name.Attribute`."""
    plain = expanded(source)[0] if "Transform" in source else deepcopy(source)
    plain.pop("Transform", None)
    stack = Template(plain)
    # cloud-radar takes pseudo parameters from attributes of the template.
    stack.AccountId = account
    result = stack.render(parameters or {}, region=region)
    return {name: _without_no_value(resource) for name, resource in result["Resources"].items()}


def _without_no_value(node, literal=False):
    """cloud-radar leaves an empty string where AWS::NoValue stands. Only environment variables may be empty strings here."""
    if isinstance(node, dict):
        pairs = {key: _without_no_value(value, literal=key == "Variables") for key, value in node.items()}
        return {key: value for key, value in pairs.items() if literal or value != ""}
    if isinstance(node, list):
        return [_without_no_value(item) for item in node if item != ""]
    return node


def of_type(resources, kind):
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def statements(resources):
    """The statements of the function's role."""
    (policy,) = resources["Role"]["Properties"]["Policies"]
    return policy["PolicyDocument"]["Statement"]


def parameters_of(settings):
    """Environment variables (`SHARE_WITH`) as template parameters (`ShareWith`); what the template sets itself is left out."""
    known = _parsed("template.yaml")["Parameters"]
    named = {"".join(part.capitalize() for part in name.split("_")): value for name, value in settings.items()}
    return {name: value for name, value in named.items() if name in known}


def as_list(value):
    return value if isinstance(value, list) else [value]


def pretty(value):
    return json.dumps(value, sort_keys=True)
