"""What AWS's services accept, read from where AWS says it: the API models that botocore ships, and the resource schemas and limits that cfn-lint ships.

A limit that no model has is in DOCUMENTED, with its page.
"""

import json
import re
from functools import cache

import botocore.session
from cfnlint.helpers import LIMITS
from cfnlint.rules.resources.lmbd.FunctionEnvironmentSize import FunctionEnvironmentSize
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

# In no model. Each with its page.
DOCUMENTED = {
    # White space not counted: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    "inline policies of a role": 10_240,
    "managed policy": 6_144,
    # docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
    "bytes of a queue policy": 8_192,
    "conditions of a queue policy": 10,
    "principals of a queue policy": 50,
    "statements of a queue policy": 20,
    "actions of a queue policy's statement": 7,
    # docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
    "bytes of an event bus policy": 10_240,
    # The same page: the default. The API model has what an increase of the quota can give.
    "characters of an event pattern": 2_048,
    # docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-data-queries.html
    "metrics of an alarm": 10,
    # docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
    "characters of a search": 1_024,
}


@cache
def _service(name):
    return botocore.session.get_session().get_service_model(name)


def shape(service, operation, *path):
    """The shape of one parameter of an operation; "[]" stands for the items of a list."""
    found = _service(service).operation_model(operation).input_shape
    for step in path:
        found = found.member if step == "[]" else found.members[step]
    return found


def text(service, operation, *path):
    """What the API model says of one parameter in words."""
    return " ".join(re.sub("<[^>]+>", " ", shape(service, operation, *path).documentation).split())


def number_in_words(sentence, words):
    """The number that `words`, a regular expression with one group, finds in the documentation of a model."""
    found = re.search(words, sentence)
    if not found:
        raise LookupError(f"the model no longer says {words!r}: {sentence}")
    return int(found[1].replace(",", ""))


def schema(kind):
    """CloudFormation's schema of a resource type."""
    return PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema


STACK_NAME = number_in_words(text("cloudformation", "CreateStack", "StackName"), r"can't be longer than (\d+) characters")
STACK_SET_NAME = number_in_words(text("cloudformation", "CreateStackSet", "StackSetName"), r"can't be longer than (\d+) characters")
QUEUE_NAME = number_in_words(text("sqs", "CreateQueue", "QueueName"), r"name can have up to (\d+) characters")
ALARM_WINDOW = number_in_words(text("cloudwatch", "PutMetricAlarm", "Period"), r"can't be more than ([\d,]+) seconds")
ALARM_WINDOW_OF_SHORT_PERIODS = number_in_words(text("cloudwatch", "PutMetricAlarm", "Period"), r"can't be longer than one day \(([\d,]+) seconds\)")
SHORT_PERIOD = number_in_words(text("cloudwatch", "PutMetricAlarm", "Period"), r"period of less than one hour \(([\d,]+) seconds\)")
LONGEST_DELAY = schema("AWS::SQS::Queue")["properties"]["DelaySeconds"]["maximum"]
LONGEST_RETENTION = schema("AWS::SQS::Queue")["properties"]["MessageRetentionPeriod"]["maximum"]
TARGETS_OF_A_RULE = schema("AWS::Events::Rule")["properties"]["Targets"]["maxItems"]
SUBNETS = schema("AWS::Lambda::Function")["definitions"]["VpcConfig"]["properties"]["SubnetIds"]["maxItems"]
SECURITY_GROUPS = schema("AWS::Lambda::Function")["definitions"]["VpcConfig"]["properties"]["SecurityGroupIds"]["maxItems"]
PARAMETER_VALUE = LIMITS["Parameters"]["value"]
OUTPUT_DESCRIPTION = LIMITS["Outputs"]["description"]
# docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html, .../parameters-section-structure.html
TEMPLATE_DESCRIPTION = 1_024
PARAMETER_DESCRIPTION = 4_000
TEMPLATE_BODY = LIMITS["template"]["body"]
TEMPLATE_BODY_INLINE = number_in_words(text("cloudformation", "CreateStackSet", "TemplateBody"), r"([\d,]+) bytes")
ENVIRONMENT = number_in_words(FunctionEnvironmentSize.description, r"does not exceed (\d+) bytes")
# From the least severe to the most, as Lambda orders them.
LOG_LEVELS = shape("lambda", "CreateFunction", "LoggingConfig", "ApplicationLogLevel").enum


def name_limit(kind):
    """How many characters CloudFormation keeps of a name that it makes for a resource of this type."""
    return {
        "AWS::SQS::Queue": QUEUE_NAME,
        "AWS::Events::Rule": shape("events", "PutRule", "Name").metadata["max"],
        "AWS::Events::EventBus": shape("events", "CreateEventBus", "Name").metadata["max"],
        "AWS::IAM::Role": shape("iam", "CreateRole", "RoleName").metadata["max"],
        "AWS::IAM::ManagedPolicy": shape("iam", "CreatePolicy", "PolicyName").metadata["max"],
        "AWS::Lambda::Function": number_in_words(schema("AWS::Lambda::Function")["properties"]["FunctionName"]["pattern"], r"\{1,(\d+)\}"),
        "AWS::Logs::LogGroup": shape("logs", "CreateLogGroup", "logGroupName").metadata["max"],
        "AWS::CloudWatch::Alarm": shape("cloudwatch", "PutMetricAlarm", "AlarmName").metadata["max"],
    }[kind]


def violations(service, operation, parameters):
    """Where `parameters` break the API model of the operation: unknown members, missing ones, lengths, ranges, patterns, enumerations."""
    yield from _violations(_service(service).operation_model(operation).input_shape, parameters, operation)


def _violations(model, value, path):
    low, high = model.metadata.get("min"), model.metadata.get("max")
    pattern, size = model.metadata.get("pattern"), value
    match model.type_name:
        case "structure":
            size = None
            for name in set(value) - set(model.members):
                yield f"{path} has no {name}"
            for name in set(model.required_members) - set(value):
                yield f"{path} needs {name}"
            for name, member in value.items():
                if name in model.members:
                    yield from _violations(model.members[name], member, f"{path}.{name}")
        case "list":
            size = len(value)
            for member in value:
                yield from _violations(model.member, member, f"{path}[]")
        case "map":
            size = len(value)
            for key, member in value.items():
                yield from _violations(model.key, key, f"{path} key")
                yield from _violations(model.value, member, f"{path}[{key}]")
        case "string":
            size = len(value)
            if getattr(model, "enum", None) and value not in model.enum:
                yield f"{path} is {value}, not one of {model.enum}"
            if pattern and r"\p{" not in pattern and not re.fullmatch(_in_python(pattern), value):
                yield f"{path} is {value!r}, which does not match {pattern}"
        case "boolean":
            size = None
    if size is not None and high is not None and size > high:
        yield f"{path} is {size}, which is more than {high}: {value!r}"
    if size is not None and low is not None and size < low:
        yield f"{path} is {size}, which is less than {low}: {value!r}"


def _in_python(pattern):
    """The models write `[a-zA-Z0-9-_]`, where Python warns of a set difference, and `^…$` around a whole pattern."""
    return pattern.replace("9-_]", r"9\-_]")


def packed(document):
    """A JSON document without white space, as the services measure it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
