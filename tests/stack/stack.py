"""The templates as CloudFormation would see them: expanded by SAM, then rendered for given parameters."""

import json
import logging
import os
from copy import deepcopy
from functools import cache, partial
from pathlib import Path

# The SAM translator wants to know where it is; nothing here calls AWS.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")

from cloud_radar.cf.unit import Template, _template
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class _Json:
    """cloud-radar writes each template as YAML and reads it again, which takes most of its time. JSON is YAML, too."""

    dump, FullLoader = staticmethod(partial(json.dumps, sort_keys=True)), None
    load = staticmethod(lambda text, **_: json.loads(text))


_template.yaml = _Json

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"
ACCOUNT = "123456789012"
STACK = "ami-courier"
# The last part of AWS::StackId.
STACK_UUID = "51af3dc0-da77-11e4-872e-1234567db123"

# Each of the stack's options: off and on. What is on needs no other option to be on, but ShareExactly needs Reconcile.
OPTIONS = {
    "SourceRegions": ("any", "us-east-1,us-west-2"),
    "RequiredTags": ("", "approved=true"),
    "RequiredWatermarks": ("", "111122223333:scanned"),
    "SourceParameterPath": ("", "/golden/"),
    "CloudTrailEvents": ("false", "true"),
    "SenderAccounts": ("", "111122223333,444455556666"),
    "SenderOrganizationId": ("", "o-a1b2c3d4e5"),
    "KmsKeyId": ("", "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"),
    "SourceKmsKeyArns": ("", "arn:aws:kms:us-east-1:123456789012:key/66666666-7777-8888-9999-000000000000"),
    "ShareWith": ("", "111122223333"),
    "ShareExactly": ("false", "true"),
    "Deprecate": ("Never", "Source"),
    "DeregistrationProtection": ("Off", "WithCooldown"),
    "ParameterName": ("", "/published/{tag:Role}"),
    "EventBusName": ("", "default"),
    "Reconcile": ("false", "true"),
    "RetireWithSource": ("false", "true"),
    "SweepRate": ("off", "rate(1 hour)"),
    "AlarmTopicArn": ("", "arn:aws:sns:eu-west-1:123456789012:alarms"),
    "Dashboard": ("false", "true"),
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
    """The template as written, its functions in their long form. Each caller gets a copy, and may change it."""
    return json.loads(_parsed(name))


@cache
def _parsed(name):
    return json.dumps(yaml_parse((ROOT / name).read_text()))


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


def rendered(source, parameters=None, **where):
    """The resources of `source` as CloudFormation would create them with `parameters`: conditions decided, functions resolved; GetAtt is `Name.Attribute`."""
    return {name: _without_no_value(resource) for name, resource in _rendered(source, parameters, **where)["Resources"].items()}


def outputs(source, parameters=None, **where):
    """The values of the stack's outputs, rendered like the resources."""
    return {name: output["Value"] for name, output in _rendered(source, parameters, **where)["Outputs"].items()}


def _rendered(source, parameters, account=ACCOUNT, region=REGION, stack_name=STACK, plain=None):
    """Every distinct stack is rendered once in a run."""
    text = json.dumps(plain or plain_of(source))
    return json.loads(_rendered_text(text, json.dumps(parameters or {}), account, region, stack_name))


@cache
def _rendered_text(text, parameters, account, region, stack_name):
    stack = Template(json.loads(text))
    # cloud-radar takes pseudo parameters from attributes of the template.
    stack.AccountId, stack.StackName = account, stack_name
    stack.Partition = partition(region)
    stack.URLSuffix = "amazonaws.com.cn" if stack.Partition == "aws-cn" else "amazonaws.com"
    stack.StackId = f"arn:{stack.Partition}:cloudformation:{region}:{account}:stack/{stack_name}/{STACK_UUID}"
    return json.dumps(stack.render(json.loads(parameters), region=region))


def plain_of(source):
    """`source` as plain CloudFormation."""
    return json.loads(_plain_of(json.dumps(source)))


@cache
def _plain_of(text):
    source = json.loads(text)
    plain = expanded(source)[0] if "Transform" in source else source
    plain.pop("Transform", None)
    return json.dumps(plain)


def created(source, parameters=None, account=ACCOUNT, region=REGION, stack_name=STACK, name_limit=lambda kind: 64):
    """The resources as the services get them: rendered, with names, ARNs and URLs where the template refers to its own resources.

    A name that the template leaves to CloudFormation is as long as `name_limit` of its type.
    """
    where = {"account": account, "region": region, "stack_name": stack_name}
    named = {}
    for logical, resource in rendered(source, parameters, **where).items():
        if resource["Type"] in _NAME:
            limit = name_limit(resource["Type"])
            made = f"{stack_name}-{logical}"[: limit - 13] + "-0123456789AB"
            named[logical] = _identities(resource, resource["Properties"].get(_NAME[resource["Type"]], made), region, account)
    plain = plain_of(source)
    plain["Resources"] = _with_identities(plain["Resources"], named)
    return {name: _without_no_value(resource) for name, resource in _rendered(source, parameters, plain=plain, **where)["Resources"].items()}


_NAME = {
    "AWS::SQS::Queue": "QueueName",
    "AWS::Events::Rule": "Name",
    "AWS::Events::EventBus": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
}


def _identities(resource, name, region, account):
    """What Ref ("") and GetAtt give for a resource."""
    arn = f"arn:{partition(region)}:{{}}:{region}:{account}:{{}}".format
    kind, properties = resource["Type"], resource["Properties"]
    match kind:
        case "AWS::SQS::Queue":
            return {"": f"https://sqs.{region}.amazonaws.com/{account}/{name}", "Arn": arn("sqs", name), "QueueName": name}
        case "AWS::Events::Rule":
            bus = f"{properties['EventBusName']}/" if "EventBusName" in properties else ""
            return {"": name, "Arn": arn("events", f"rule/{bus}{name}")}
        case "AWS::Events::EventBus":
            return {"": name, "Arn": arn("events", f"event-bus/{name}")}
        case "AWS::IAM::Role":
            return {"": name, "Arn": f"arn:{partition(region)}:iam::{account}:role/{name}"}
        case "AWS::IAM::ManagedPolicy":
            return {"": f"arn:{partition(region)}:iam::{account}:policy/{name}"}
        case "AWS::Lambda::Function":
            return {"": name, "Arn": arn("lambda", f"function:{name}")}
        case "AWS::Logs::LogGroup":
            return {"": name, "Arn": arn("logs", f"log-group:{name}:*")}


def _with_identities(node, named):
    if isinstance(node, list):
        return [_with_identities(item, named) for item in node]
    if not isinstance(node, dict):
        return node
    if "Ref" in node and node["Ref"] in named:
        return named[node["Ref"]][""]
    if "Fn::GetAtt" in node:
        logical, attribute = node["Fn::GetAtt"] if isinstance(node["Fn::GetAtt"], list) else node["Fn::GetAtt"].split(".")
        # What is not created is referred to only in branches that are not taken.
        return named[logical][attribute] if logical in named else node
    if isinstance(node.get("Fn::Sub"), str):
        text = node["Fn::Sub"]
        for logical, identities in named.items():
            for attribute, value in identities.items():
                text = text.replace("${" + logical + ("." + attribute if attribute else "") + "}", value)
        return {"Fn::Sub": text}
    return {key: _with_identities(value, named) for key, value in node.items()}


def partition(region):
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def refused_by_rules(source, parameters):
    """What the template's Rules answer to `parameters`: the descriptions of the assertions that do not hold."""
    values = {name: str(parameter.get("Default", "")) for name, parameter in source["Parameters"].items()} | parameters
    return [
        assertion["AssertDescription"]
        for rule in source["Rules"].values()
        if _holds(rule.get("RuleCondition", True), values)
        for assertion in rule["Assertions"]
        if not _holds(assertion["Assert"], values)
    ]


def _holds(node, values):
    """The value of a rule-specific intrinsic function: docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html"""
    if not isinstance(node, dict):
        return node
    ((function, operands),) = node.items()
    if function == "Ref":
        return values[operands]
    operands = [_holds(operand, values) for operand in operands]
    match function:
        case "Fn::Equals":
            return operands[0] == operands[1]
        case "Fn::Contains":
            return operands[1] in operands[0]
        case "Fn::Not":
            return not operands[0]
        case "Fn::And":
            return all(operands)
        case "Fn::Or":
            return any(operands)
    raise NotImplementedError(f"{function} in a rule")


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
    """The statements of the role: its own, and those of the stack's managed policies."""
    policies = [policy["PolicyDocument"] for policy in resources["Role"]["Properties"]["Policies"]]
    policies += [policy["PolicyDocument"] for policy in of_type(resources, "AWS::IAM::ManagedPolicy").values()]
    return [statement for policy in policies for statement in policy["Statement"]]


def parameters_of(settings):
    """Environment variables (`SHARE_WITH`) as template parameters (`ShareWith`); what the template sets itself is left out."""
    known = template()["Parameters"]
    # The only parameter without a default. A function without this variable takes events of any Region.
    named = {"SourceRegions": "any"} | {"".join(part.capitalize() for part in name.split("_")): value for name, value in settings.items()}
    return {name: value for name, value in named.items() if name in known}


def as_list(value):
    return value if isinstance(value, list) else [value]


def pretty(value):
    return json.dumps(value, sort_keys=True)
