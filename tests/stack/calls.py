"""What AWS asks permission for when the function makes a call. The calls are those that the test suite made: target/aws-calls.jsonl.

Which actions, resources and condition keys a call is asked about: AWS's Service Authorization Reference, and for CopyImage
docs.aws.amazon.com/AWSEC2/latest/UserGuide/copy-ami-permissions.html and …/ebs/latest/userguide/ebs-encryption-requirements.html.
"""

import json
import os
import re
from functools import cache
from pathlib import Path

from policy import Request
from stack import OPTIONS, REGION, ROOT, options, parameters_of, partition, pretty, rendered, statements, template

RECORD = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "aws-calls.jsonl"
NEW = "0123456789abcdef0"
# The accounts of the test suite are all in one.
ORGANIZATION = OPTIONS["SenderOrganizationId"][1]
# The owner of Amazon Linux.
OF_AMAZON = {"137112412989"}
# What EC2 asks of other services in the caller's name: docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html
LOOKED_AT_FOR_REFERENCES = [
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeLaunchTemplateVersions",
    "ssm:DescribeParameters",
    "ssm:GetParameters",
    "imagebuilder:ListImageRecipes",
    "imagebuilder:ListContainerRecipes",
    "imagebuilder:GetContainerRecipe",
]


def recorded():
    """Every distinct call of the test suite."""
    if not RECORD.exists():
        raise FileNotFoundError(f"{RECORD} is not there: run `cargo test` first, it records the function's AWS calls")
    calls = {}
    for line in RECORD.read_text().splitlines():
        call = json.loads(line)
        calls.setdefault(pretty({key: value for key, value in call.items() if key != "test"}), call)
    return list(calls.values())


def stacks_for(call):
    """The stacks whose function may make `call`: with the settings that it had, and with every option on where those are not known."""
    settings = call.get("settings")
    if settings is None:
        return [(call["account"], here(call), pretty(options("all")))]
    known = {**parameters_of(settings), **key_of_a_request(call)}
    return [(call["account"], here(call), pretty({**own, **known})) for own in own_parameters(call)]


@cache
def policy_of(stack):
    """The role's statements in a stack."""
    account, region, parameters = stack
    return statements(rendered(template(), json.loads(parameters), account=account, region=region))


@cache
def asked():
    """Each thing that AWS asks of a stack's role in the test suite, with one of the tests: once, however many calls ask it."""
    found = {}
    for call in recorded():
        for stack in stacks_for(call):
            for request in requests(call):
                found.setdefault((stack, pretty([request.action, request.resource, request.context])), (stack, request, call.get("test", "?")))
    return list(found.values())


def own_parameters(call):
    """What an operator could have said in the stack's own parameters (they are no settings) for this call to work: one or two ways."""
    parameters = {}
    if keys := sorted({target["kms_key"] for target in call.get("targets", []) if target.get("kms_key") and call["action"] == "CopyImage"}):
        parameters["SourceKmsKeyArns"] = ",".join(keys)
    if call["action"] == "GetParameter" and is_announced(call):
        arn = arn_of_parameter(call["parameters"]["Name"], call["region"], call["account"])
        parameters["SourceParameterPath"] = "/" + arn.split(":parameter/")[1]
        if arn.split(":")[4] not in ("", call["account"]):
            return [{**parameters, "SenderAccounts": arn.split(":")[4]}, {**parameters, "SenderOrganizationId": ORGANIZATION}]
    return [parameters]


def is_announced(call):
    """Whether the function reads the parameter because it announces an AMI: of the own Region, it may be the one that the function publishes in."""
    regions = (call.get("settings") or {}).get("SOURCE_REGIONS", "").split(",")
    return call["region"] != here(call) or (here(call) in regions and "PARAMETER_NAME" not in call["settings"])


def key_of_a_request(call):
    """A request may name a key that is not the stack's: it works where the operator says it in KmsKeyId, or the key's policy admits the role."""
    key = call["parameters"].get("KmsKeyId") if call["action"] == "CopyImage" else None
    return {"KmsKeyId": key} if key else {}


def here(call):
    """The Region of the stack whose function made the call; the test suite's stacks stand in one, unless it says otherwise."""
    return call.get("here", REGION)


def requests(call):
    """Everything that AWS asks permission for, for one call."""
    make = {"ec2": _ec2, "ssm": _ssm, "events": _events, "sqs": _sqs}.get(call["service"])
    if make is None:
        raise NotImplementedError(f"no rule for the service {call['service']}")
    return list(make(call, call["parameters"], {"aws:RequestedRegion": call["region"]}))


def _ec2(call, parameters, context):
    action, region = call["action"], call["region"]
    # With SHARE_WITH=all, a copy may be public already when its message is delivered again. The embedded AWS makes no other copy public.
    is_public = (call.get("settings") or {}).get("SHARE_WITH") == "all"
    context = {**context, "ec2:Public": "true"} if is_public else context
    if action in ("DescribeImageAttribute", "DescribeSnapshotAttribute"):
        for target in call["targets"]:
            yield _on(target, f"ec2:{action}", region, context)
    elif action == "CreateImageUsageReport":
        report = f"arn:{partition(region)}:ec2:{region}:{call['account']}:image-usage-report/report-{NEW}"
        for target in call["targets"]:
            yield _on(target, f"ec2:{action}", region, context)
        yield Request(f"ec2:{action}", report, context)
        if keys := [value for name, value in parameters.items() if re.fullmatch(r"TagSpecification\.\d+\.Tag\.\d+\.Key", name)]:
            yield Request("ec2:CreateTags", report, {**context, "ec2:CreateAction": action, "aws:TagKeys": keys})
    elif action == "DeleteImageUsageReport" and not call["targets"]:
        # Another delivery has deleted the report: nothing has tags by which the call could be allowed.
        return
    elif action == "DeleteImageUsageReport":
        report = f"arn:{partition(region)}:ec2:{region}:{call['account']}:image-usage-report/{parameters['ReportId']}"
        tags = {f"aws:ResourceTag/{key}": value for target in call["targets"] for key, value in target.get("tags", {}).items()}
        yield Request(f"ec2:{action}", report, {**context, **tags})
    elif action.startswith("Describe"):
        yield Request(f"ec2:{action}", "*", context)
        if action == "DescribeImageReferences":
            for looked in LOOKED_AT_FOR_REFERENCES:
                yield Request(looked, "*", {**context, "aws:CalledVia": ["ec2-images.amazonaws.com"]})
    elif action == "CopyImage":
        yield from _copy_image(call, parameters, context)
    elif action in ("CreateTags", "DeleteTags"):
        keys = [value for name, value in parameters.items() if re.fullmatch(r"Tag\.\d+\.Key", name)]
        for target in call["targets"]:
            yield _on(target, f"ec2:{action}", region, {**context, **({"aws:TagKeys": keys} if keys else {})})
    elif action == "DeregisterImage":
        for target in call["targets"]:
            if target["id"].startswith("ami-"):
                yield _on(target, "ec2:DeregisterImage", region, context)
            elif parameters.get("DeleteAssociatedSnapshots") == "true":
                yield _on(target, "ec2:DeleteSnapshot", region, context)
    elif action in (
        "DeleteSnapshot",
        "DisableImage",
        "EnableImage",
        "EnableImageDeprecation",
        "EnableImageDeregistrationProtection",
        "ModifyImageAttribute",
        "ModifySnapshotAttribute",
    ):
        changed = permissions(parameters) if action == "ModifySnapshotAttribute" else {}
        wanted = "snap-" if "Snapshot" in action else "ami-"
        named = [target for target in call["targets"] if target["id"].startswith(wanted)]
        if not named:
            raise ValueError(f"{action} without the target it changes")
        for target in named:
            for attribute in attributes(action, parameters):
                yield _on(target, f"ec2:{action}", region, {**context, **changed, **attribute})
    else:
        raise NotImplementedError(f"no rule for ec2:{action}")


def permissions(parameters):
    """What ModifySnapshotAttribute says of each change: docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html"""
    keys = {}
    for name, value in parameters.items():
        if found := re.fullmatch(r"CreateVolumePermission\.(Add|Remove)\.\d+\.(UserId|Group)", name):
            keys[f"ec2:{found[1]}/{found[2][0].lower()}{found[2][1:]}"] = value
        elif name.startswith(("UserId.", "UserGroup.")):
            change, key = {"add": "Add", "remove": "Remove"}[parameters["OperationType"]], "userId" if name.startswith("UserId.") else "group"
            keys[f"ec2:{change}/{key}"] = value
    return keys


def attributes(action, parameters):
    """The worlds of `ec2:Attribute`: AWS's list has it for ModifyImageAttribute. Whether EC2 sets it for every form of the call is not documented, nor is the
    case of its value (AWS's example has `Description`, its API `description`): …/AWSEC2/latest/UserGuide/iam-policies-for-amazon-ec2.html. So the call must
    be allowed in each of these worlds.
    """
    if action != "ModifyImageAttribute":
        return [{}]
    structures = {"LaunchPermission", "Description", "ImdsSupport"}
    (name,) = {name.split(".")[0] for name in parameters} & structures or {parameters["Attribute"][0].upper() + parameters["Attribute"][1:]}
    return [{}, {"ec2:Attribute": name}, {"ec2:Attribute": name[0].lower() + name[1:]}]


def _on(target, action, region, context):
    kind = "image" if target["id"].startswith("ami-") else "snapshot"
    tags = {f"aws:ResourceTag/{key}": value for key, value in target.get("tags", {}).items()}
    public = {"ec2:Public": context.get("ec2:Public", "false")} if kind == "image" else {}
    return Request(action, f"arn:{partition(region)}:ec2:{region}::{kind}/{target['id']}", {**context, **tags, **public, "ec2:Owner": target["owner"]})


def _copy_image(call, parameters, context):
    region, account = call["region"], call["account"]
    copies = [f"arn:{partition(region)}:ec2:{region}::image/ami-{NEW}", f"arn:{partition(region)}:ec2:{region}::snapshot/snap-{NEW}"]
    source = f"arn:{partition(region)}:ec2:{parameters['SourceRegion']}::image/{parameters['SourceImageId']}"
    # AWS's list has `ec2:Owner` for the images of CopyImage. Whether EC2 names an owner of the copy, which does not exist yet, or names one at all, is not
    # documented: the call must be allowed in each of these worlds.
    owners = {target["owner"] for target in call.get("targets", []) if target["id"] == parameters["SourceImageId"]}
    for named in [{}, *({"ec2:Owner": owner_in_a_condition(owner)} for owner in owners)]:
        yield Request("ec2:CopyImage", source, {**context, **named})
    for resource in copies:
        for named in [{}, {"ec2:Owner": account}]:
            yield Request("ec2:CopyImage", resource, {**context, **(named if "::image/" in resource else {})})
    keys = [value for name, value in parameters.items() if re.fullmatch(r"TagSpecification\.\d+\.Tag\.\d+\.Key", name)]
    if keys or parameters.get("CopyImageTags") == "true":
        for resource in copies:
            yield Request("ec2:CreateTags", resource, {**context, "ec2:CreateAction": "CopyImage", "aws:TagKeys": keys})
    if key := parameters.get("KmsKeyId"):
        actions = ["Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"]
        yield from _kms(key, actions, region, account, f"ec2.{region}.amazonaws.com")
    for key in {target["kms_key"] for target in call.get("targets", []) if target.get("kms_key")}:
        actions = ["Decrypt", "DescribeKey", "ReEncryptFrom", "ReEncryptTo"]
        yield from _kms(key, actions, parameters["SourceRegion"], account, f"ec2.{parameters['SourceRegion']}.amazonaws.com")


def owner_in_a_condition(account):
    """The value of `ec2:Owner`: an account's id, but for Amazon's own accounts `amazon`.

    docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html (the key `ec2:Owner`), …/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html.
    """
    return "amazon" if account in OF_AMAZON else account


def _kms(key, actions, region, account, service):
    """What EC2 asks KMS in the caller's name."""
    context = {"kms:ViaService": service}
    arn = key if key.startswith("arn:") else f"arn:{partition(region)}:kms:{region}:{account}:{key if key.startswith('alias/') else f'key/{key}'}"
    head, _, alias = arn.partition(":alias/")
    if alias:
        # KMS judges the key that the alias stands for.
        arn = f"{head}:key/11111111-2222-3333-4444-555555555555"
        context["kms:ResourceAliases"] = [f"alias/{alias}"]
    for action in actions:
        yield Request(f"kms:{action}", arn, context)
    yield Request("kms:CreateGrant", arn, {**context, "kms:GrantIsForAWSResource": "true"})


def _ssm(call, parameters, context):
    for name in parameters["Names"] if call["action"] == "GetParameters" else [parameters["Name"]]:
        arn = arn_of_parameter(name, call["region"], call["account"])
        yield Request(f"ssm:{call['action']}", arn, {**context, "aws:ResourceAccount": arn.split(":")[4], "aws:ResourceOrgID": ORGANIZATION})


def arn_of_parameter(name, region, account):
    """A parameter of another account is named by its ARN. A version (`NAME:3`) is no part of the resource."""
    if name.startswith("arn:"):
        return ":".join(name.split(":")[:6])
    # Public parameters belong to no account: docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html
    owner = "" if name.startswith("/aws/") else account
    return f"arn:{partition(region)}:ssm:{region}:{owner}:parameter/{name.partition(':')[0].lstrip('/')}"


def _events(call, parameters, context):
    region = call["region"]
    for entry in parameters["Entries"]:
        bus = entry.get("EventBusName", "default")
        arn = bus if bus.startswith("arn:") else f"arn:{partition(region)}:events:{region}:{call['account']}:event-bus/{bus}"
        details = {"events:source": entry["Source"], "events:detail-type": entry["DetailType"]}
        yield Request(f"events:{call['action']}", arn, {**context, **details})


def _sqs(call, parameters, context):
    """The queue is the one of the template that the function knows by this URL."""
    settings, url = call.get("settings") or {}, parameters["QueueUrl"]
    queues = {settings.get("QUEUE_URL"): "Queue.Arn", settings.get("DEAD_LETTER_QUEUE_URL"): "DeadLetterQueue.Arn"}
    by_action = {"ChangeMessageVisibility": "Queue.Arn", "SendMessage": "DeadLetterQueue.Arn"}
    action = call["action"].removesuffix("Batch")
    queue = queues.get(url) if settings else by_action.get(action)
    yield Request(f"sqs:{action}", queue or url, context)
