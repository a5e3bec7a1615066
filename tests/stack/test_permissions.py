"""Least permissions, proven: the role allows every call that the test suite made, and nothing that no test needs."""

from copy import deepcopy
from functools import cache

import parliament
import pytest
from calls import LOOKED_AT_FOR_REFERENCES, asked, policy_of, requests, stacks_for
from policy import Request, allowing, allows
from stack import ACCOUNT, OPTIONS, REGION, as_list, options, rendered, statements, template


BY_AWS = {
    "TakeMessages": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
    "UseTheQueuesKey": {"kms:Decrypt", "kms:GenerateDataKey"},
    "WriteLogs": {"logs:CreateLogStream", "logs:PutLogEvents"},
    "Trace": {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
    "AttachToVpc": {
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    },
}

# Actions that know no resource, so that only "*" will do; those that parliament's data is too old to have, with their page.
WITHOUT_RESOURCE = {
    "ec2:DescribeImageUsageReports",  # docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageUsageReports.html
    "ec2:DescribeImageUsageReportEntries",  # docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageUsageReportEntries.html
    "ec2:DescribeImageReferences",  # docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageReferences.html
}
# Actions that parliament's data is too old to have: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImageUsageReport.html, …_DeleteImageUsageReport.html
UNKNOWN_TO_PARLIAMENT = {"ec2:CreateImageUsageReport", "ec2:DeleteImageUsageReport"}
# Lambda must be able to make and remove its network interfaces before it knows them (configuration-vpc.html); X-Ray has no resource for traces; EC2 looks
# for references everywhere (ec2-ami-references.html).
STAR_BY_AWS = {"AttachToVpc", "Trace", "LetEc2LookForReferences"}

COPY = {"aws:ResourceTag/ami-courier:source-image": "ami-1", "ec2:Owner": ACCOUNT, "ec2:Public": "false", "aws:RequestedRegion": REGION}
FOREIGN = {**COPY, "ec2:Owner": "999999999999"}
UNTAGGED = {"ec2:Owner": ACCOUNT, "ec2:Public": "false", "aws:RequestedRegion": REGION}
PUBLIC = {**COPY, "ec2:Public": "true"}
IMAGE = f"arn:aws:ec2:{REGION}::image/ami-1"
SNAPSHOT = f"arn:aws:ec2:{REGION}::snapshot/snap-1"
REPORT = f"arn:aws:ec2:{REGION}:{ACCOUNT}:image-usage-report/report-1"
INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"
IN = lambda region: {"aws:RequestedRegion": region}  # noqa: E731
KEY = OPTIONS["KmsKeyId"][1]
SOURCE_KEY = OPTIONS["SourceKmsKeyArns"][1]
QUEUE_KEY = OPTIONS["QueueKmsKeyArn"][1]
OTHER_KEY = "arn:aws:kms:eu-west-1:123456789012:key/99999999-0000-0000-0000-999999999999"
SSM = "arn:aws:ssm:{}:" + ACCOUNT + ":parameter/{}"
SENDER, STRANGER = OPTIONS["SenderAccounts"][1].split(",")[0], "999999999999"
ORGANIZATION = OPTIONS["SenderOrganizationId"][1]
KMS_ACTIONS = ["Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"]


def _forbidden():
    """What the role with every option on must still refuse."""
    yield Request("ec2:DescribeImages", "*", IN("ap-south-1"))
    yield Request("ec2:DescribeSnapshots", "*", IN("us-east-1"))
    yield Request("ec2:DescribeImageReferences", "*", IN("us-east-1"))
    for action in LOOKED_AT_FOR_REFERENCES:
        yield Request(action, "*", IN(REGION))
    yield Request("ssm:GetParameter", SSM.format("us-east-1", "secret"), IN("us-east-1"))
    yield Request("ssm:GetParameter", SSM.format("ap-south-1", "golden/x"), IN("ap-south-1"))
    yield Request("ssm:GetParameter", "arn:aws:ssm:us-east-1::parameter/aws/service/ami-amazon-linux-latest/x", IN("us-east-1"))
    for account, name, region in [(STRANGER, "golden/x", "us-east-1"), (SENDER, "secret", "us-east-1"), (SENDER, "golden/x", "ap-south-1")]:
        arn = f"arn:aws:ssm:{region}:{account}:parameter/{name}"
        yield Request("ssm:GetParameter", arn, {**IN(region), "aws:ResourceAccount": account, "aws:ResourceOrgID": "o-ffffffffff"})
    for name, region in [("secret", "us-east-1"), ("golden/x", "ap-south-1")]:
        of_organization = {"aws:ResourceAccount": STRANGER, "aws:ResourceOrgID": ORGANIZATION}
        yield Request("ssm:GetParameter", f"arn:aws:ssm:{region}:{STRANGER}:parameter/{name}", {**IN(region), **of_organization})
    yield Request("ssm:PutParameter", f"arn:aws:ssm:us-east-1:{SENDER}:parameter/golden/x", {**IN("us-east-1"), "aws:ResourceAccount": SENDER})
    yield Request("ssm:PutParameter", SSM.format(REGION, "other"), IN(REGION))
    yield Request("ssm:PutParameter", SSM.format("us-east-1", "published/x"), IN("us-east-1"))
    yield Request("ec2:CopyImage", "arn:aws:ec2:us-west-2::image/ami-1", IN("us-west-2"))
    yield Request("ec2:CopyImage", INSTANCE, IN(REGION))
    # An AMI of a stranger that is shared with this account, or public; one of Amazon, which SourceOwners does not name.
    for region in ("us-east-1", REGION):
        for owner in (STRANGER, SENDER, "amazon", "aws-marketplace"):
            yield Request("ec2:CopyImage", f"arn:aws:ec2:{region}::image/ami-1", {**IN(REGION), "ec2:Owner": owner})
    yield Request("ec2:CreateTags", IMAGE, {**UNTAGGED, "ec2:CreateAction": "RunInstances", "aws:TagKeys": ["x"]})
    yield Request("ec2:CreateTags", IMAGE, {**UNTAGGED, "aws:TagKeys": ["ami-courier:finished"]})
    yield Request("ec2:CreateTags", IMAGE, {**FOREIGN, "aws:TagKeys": ["ami-courier:finished"]})
    # The tags that say that it is a copy are the border of this role. In a condition, the case of a key does not count.
    for key in ["ami-courier:source-image", "ami-courier:source-region", "ami-courier:source-owner", "AMI-Courier:Source-Image"]:
        for resource in [IMAGE, SNAPSHOT]:
            yield Request("ec2:CreateTags", resource, {**COPY, "aws:TagKeys": [key]})
            yield Request("ec2:CreateTags", resource, {**COPY, "aws:TagKeys": ["Channel", key]})
    for resource in [IMAGE, SNAPSHOT]:
        yield Request("ec2:CreateTags", resource, COPY)
        for context in [UNTAGGED, FOREIGN]:
            yield Request("ec2:CreateTags", resource, {**context, "aws:TagKeys": ["Channel"]})
    yield Request("ec2:CreateTags", IMAGE.replace(REGION, "us-east-1"), {**COPY, **IN("us-east-1"), "aws:TagKeys": ["Channel"]})
    # Nothing of a user's is taken away, and nobody's withdrawal.
    for key in ["Channel", "ami-courier:withdrawn", "ami-courier:skip", "ami-courier:stack", "ami-courier:source-created"]:
        yield Request("ec2:DeleteTags", IMAGE, {**COPY, "aws:TagKeys": [key]})
    yield Request("ec2:DeleteTags", SNAPSHOT, {**COPY, "aws:TagKeys": ["ami-courier:parameter"]})
    yield Request("ec2:CreateTags", INSTANCE, {**COPY, "aws:TagKeys": ["ami-courier:finished"]})
    yield Request("ec2:CreateTags", INSTANCE, {**UNTAGGED, "ec2:CreateAction": "CopyImage"})
    marks = ["ami-courier:source-gone-since"]
    yield Request("ec2:DeleteTags", IMAGE, {**COPY, "aws:TagKeys": ["ami-courier:source-image"]})
    yield Request("ec2:DeleteTags", IMAGE, {**COPY, "aws:TagKeys": [*marks, "ami-courier:skip"]})
    for action in ["CreateTags", "DeleteTags"]:
        yield Request(f"ec2:{action}", INSTANCE, {**COPY, "aws:TagKeys": marks})
        yield Request(f"ec2:{action}", IMAGE, {**UNTAGGED, "aws:TagKeys": marks})
    yield Request("ec2:CreateTags", IMAGE, {**FOREIGN, "aws:TagKeys": marks})
    # It would remove every tag.
    yield Request("ec2:DeleteTags", IMAGE, COPY)
    yield Request("ec2:CreateTags", REPORT, {**IN(REGION), "ec2:CreateAction": "RunInstances"})
    yield Request("ec2:CreateTags", REPORT, {**IN(REGION), "aws:TagKeys": ["ami-courier:finished"]})
    yield Request("ec2:CreateTags", INSTANCE, {**IN(REGION), "ec2:CreateAction": "CreateImageUsageReport"})
    yield Request("ec2:CreateImageUsageReport", INSTANCE, COPY)
    yield Request("ec2:CreateImageUsageReport", REPORT.replace(REGION, "us-east-1"), IN("us-east-1"))
    yield Request("ec2:DeleteImageUsageReport", REPORT, IN(REGION))
    yield Request("ec2:DeleteImageUsageReport", INSTANCE, COPY)
    for action in ["DescribeImageUsageReports", "DescribeImageUsageReportEntries"]:
        yield Request(f"ec2:{action}", "*", IN("us-east-1"))
    only_copies = ["ModifyImageAttribute", "EnableImageDeprecation", "EnableImageDeregistrationProtection", "DisableImage", "DeregisterImage"]
    for action in [*only_copies, "EnableImage", "DescribeImageAttribute", "CreateImageUsageReport"]:
        for context in [UNTAGGED, FOREIGN]:
            yield Request(f"ec2:{action}", IMAGE, context)
        yield Request(f"ec2:{action}", INSTANCE, COPY)
    for action in ["ModifySnapshotAttribute", "DeleteSnapshot"]:
        for context in [UNTAGGED, FOREIGN]:
            yield Request(f"ec2:{action}", SNAPSHOT, context)
        yield Request(f"ec2:{action}", INSTANCE, COPY)
    yield Request("ec2:ModifyImageAttribute", IMAGE, {**COPY, "ec2:Attribute": "productCodes"})
    for context in [UNTAGGED, FOREIGN]:
        yield Request("ec2:ModifyImageAttribute", IMAGE, {**context, "ec2:Attribute": "Description"})
        yield Request("ec2:DescribeSnapshotAttribute", SNAPSHOT, context)
        yield Request("ec2:ModifySnapshotAttribute", SNAPSHOT, {**context, "ec2:Remove/userId": STRANGER})
    yield Request("ec2:ModifySnapshotAttribute", SNAPSHOT, {**COPY, "ec2:Add/group": "all"})
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/"
    yield Request("events:PutEvents", bus + "default", {"events:source": "aws.ec2"})
    yield Request("events:PutEvents", bus + "other", {"events:source": "ami-courier"})
    for action in ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility"]:
        yield Request(f"sqs:{action}", "DeadLetterQueue.Arn", IN(REGION))
    yield Request("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:other", IN(REGION))
    grant = {"kms:GrantIsForAWSResource": "true"}
    for key, via in [(KEY, f"ec2.{REGION}.amazonaws.com"), (SOURCE_KEY, "ec2.us-east-1.amazonaws.com"), (QUEUE_KEY, f"sqs.{REGION}.amazonaws.com")]:
        for action in [*KMS_ACTIONS, "GenerateDataKey"]:
            yield Request(f"kms:{action}", key, {"kms:ViaService": "s3.eu-west-1.amazonaws.com"})
            yield Request(f"kms:{action}", OTHER_KEY, {"kms:ViaService": via})
        yield Request("kms:CreateGrant", key, {"kms:ViaService": via})
        yield Request("kms:CreateGrant", key, {"kms:ViaService": "s3.eu-west-1.amazonaws.com", **grant})
        yield Request("kms:CreateGrant", OTHER_KEY, {"kms:ViaService": via, **grant})
    for action in BY_AWS["WriteLogs"]:
        yield Request(action, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:other", {})
    for action in BY_AWS["AttachToVpc"]:
        yield Request(action, "*", IN("us-east-1"))
        # What the function's own code asks for: docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
        yield Request(action, "*", {**IN(REGION), "lambda:SourceFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:ami-courier"})


FORBIDDEN = list(_forbidden())

LAUNCH_PERMISSION = {**COPY, "ec2:Attribute": "launchPermission"}
# What the role must refuse while these options are off, and all others on.
FORBIDDEN_WITHOUT = {
    ("Reconcile",): [
        *(Request("ec2:CreateTags", resource, {**COPY, "aws:TagKeys": ["Channel"]}) for resource in (IMAGE, SNAPSHOT)),
        Request("ec2:CreateTags", IMAGE, {**COPY, "aws:TagKeys": ["ami-courier:finished", "ami-courier:skip"]}),
        Request("ec2:CreateTags", IMAGE, {**COPY, "aws:TagKeys": ["ami-courier:source-gone-since", "ami-courier:skip"]}),
        Request("ec2:ModifyImageAttribute", IMAGE, {**COPY, "ec2:Attribute": "Description"}),
        Request("ec2:DescribeSnapshotAttribute", SNAPSHOT, COPY),
        Request("ec2:ModifyImageAttribute", IMAGE, PUBLIC),
        Request("ssm:GetParameters", SSM.format(REGION, "published/x"), IN(REGION)),
    ],
    ("Reconcile", "RetireWithSource"): [
        *(Request("ec2:CreateTags", IMAGE, {**COPY, "aws:TagKeys": [key]}) for key in ("ami-courier:source-gone-since", "ami-courier:disabled-with-source")),
        Request("ec2:DeleteTags", IMAGE, {**COPY, "aws:TagKeys": ["ami-courier:finished"]}),
        Request("ec2:EnableImage", IMAGE, {**COPY, "aws:ResourceTag/ami-courier:disabled-with-source": "2026-01-01T00:00:00Z"}),
    ],
    ("RetireWithSource",): [
        Request("ec2:DisableImage", IMAGE, {**COPY, "aws:ResourceTag/ami-courier:disabled-with-source": "2026-01-01T00:00:00Z"}),
        # Only what the courier itself disabled.
        Request("ec2:EnableImage", IMAGE, COPY),
        *(Request("ec2:EnableImage", IMAGE, {**c, "aws:ResourceTag/ami-courier:disabled-with-source": "x"}) for c in (UNTAGGED, FOREIGN)),
    ],
    ("ShareExactly",): [
        Request("ec2:ModifyImageAttribute", IMAGE, {**PUBLIC, "ec2:Attribute": "launchPermission"}),
        Request("ec2:DescribeSnapshotAttribute", SNAPSHOT, COPY),
    ],
    # An emptied ShareWith: permissions are taken away, and none is given.
    ("ShareWith",): [
        Request("ec2:ModifySnapshotAttribute", SNAPSHOT, {**COPY, "ec2:Add/userId": STRANGER}),
        Request("ec2:ModifySnapshotAttribute", SNAPSHOT, {**COPY, "ec2:Add/group": "all"}),
    ],
    ("ShareWith", "ShareExactly"): [
        Request("ec2:ModifyImageAttribute", IMAGE, LAUNCH_PERMISSION),
        Request("ec2:ModifySnapshotAttribute", SNAPSHOT, {**COPY, "ec2:Remove/userId": STRANGER}),
    ],
}


@cache
def with_every_option(*off):
    return statements(rendered(template(), options("all", off=off)))


class Role:
    """The role in each stack of the test suite, as it is or with the statement `sid` broken.

    A request keeps the statement that allows it, unless that is the broken one, or the broken one stands before it and now allows it.
    """

    def __init__(self, sid=None, break_it=None):
        self._sid, self._break = sid, break_it
        self._changed = cache(self._change)

    def _change(self, stack):
        """The policy of a stack after the change, and the place of what was changed."""
        return self.changed(policy_of(stack))

    def changed(self, policy):
        place = next((place for place, statement in enumerate(policy) if statement["Sid"] == self._sid), None)
        if place is None:
            return policy, None
        statement = deepcopy(policy[place])
        statement["Action"] = as_list(statement["Action"])
        try:
            self._break(statement)
        except (KeyError, ValueError):
            return policy, None  # This policy, of other settings, has no such part.
        return [*policy[:place], statement, *policy[place + 1 :]], place

    def allowing(self, stack, request, as_it_is):
        """The Sid of the statement that allows `request`. `as_it_is` is its place in the policy as it is."""
        policy, place = self._changed(stack)
        if place is None or (as_it_is is not None and as_it_is < place):
            found = as_it_is
        elif as_it_is == place:
            found = _place(policy, request)
        else:
            found = place if allows(policy[place], request) else as_it_is
        return None if found is None else policy[found]["Sid"]


def _place(policy, request):
    return next((place for place, statement in enumerate(policy) if allows(statement, request)), None)


@cache
def places():
    """Where the policy of its stack allows each request."""
    return [_place(policy_of(stack), request) for stack, request, _ in asked()]


def problems(role):
    """Everything that is wrong with the permissions."""
    found, used = [], set()
    for (stack, request, test), place in zip(asked(), places(), strict=True):
        sid = role.allowing(stack, request, place)
        if sid is None:
            found.append(f"not allowed: {request} (test {test})")
        else:
            used.add((sid, request.action))
    widest, _ = role.changed(with_every_option())
    for statement in widest:
        actions = set(as_list(statement["Action"]))
        found += [f"{statement['Sid']}: {action} is a pattern" for action in actions if "*" in action]
        by_aws = BY_AWS.get(statement["Sid"], set())
        found += [f"{statement['Sid']}: AWS needs {action} there" for action in by_aws - actions]
        needless = sorted(action for action in actions - by_aws if (statement["Sid"], action) not in used)
        found += [f"{statement['Sid']}: no test uses {action}" for action in needless]
        if "*" in as_list(statement["Resource"]) and statement["Sid"] not in STAR_BY_AWS:
            found += [f"{statement['Sid']}: {action} could be on certain resources" for action in actions if knows_resources(action)]
    found += [f"allowed, but must not be: {request}" for request in FORBIDDEN if allowing(widest, request)]
    for off, requests_ in FORBIDDEN_WITHOUT.items():
        policy, _ = role.changed(with_every_option(*off))
        found += [f"allowed without {', '.join(off)}, but must not be: {request}" for request in requests_ if allowing(policy, request)]
    return found


def knows_resources(action):
    """Whether the action can be limited to resources, by AWS's own list as parliament carries it. What is not on the list counts as if it could."""
    if action in WITHOUT_RESOURCE:
        return False
    prefix, name = action.split(":")
    for service in parliament.iam_definition:
        for privilege in service["privileges"] if service["prefix"] == prefix else []:
            if privilege["privilege"] == name:
                return any(kind["resource_type"] for kind in privilege["resource_types"])
    return True


@pytest.fixture(scope="module")
def as_it_is():
    return problems(Role())


def test_every_call_is_allowed_and_every_permission_is_needed(as_it_is):
    assert asked(), "the test suite recorded no call"
    assert not as_it_is, "\n".join(as_it_is)


def _mutations():
    """The ways to break a policy: an action more, an action fewer, a pattern, any resource, a condition fewer."""
    for statement in with_every_option():
        sid = statement["Sid"]
        first = as_list(statement["Action"])[0]
        yield f"{sid}: one action more", sid, lambda s, service=first.split(":")[0]: s["Action"].append(f"{service}:TagResource")
        yield f"{sid}: {first} becomes a pattern", sid, lambda s: s["Action"].__setitem__(0, s["Action"][0].split(":")[0] + ":*")
        for action in as_list(statement["Action"]):
            yield f"{sid}: without {action}", sid, lambda s, action=action: s["Action"].remove(action)
        if "*" not in as_list(statement["Resource"]):
            yield f"{sid}: on any resource", sid, lambda s: s.__setitem__("Resource", "*")
        for operator, keys in statement.get("Condition", {}).items():
            for key in keys:
                yield f"{sid}: without {operator} {key}", sid, lambda s, o=operator, k=key: s["Condition"][o].pop(k)


@pytest.mark.parametrize(("sid", "break_it"), [pytest.param(sid, broken, id=name) for name, sid, broken in _mutations()])
def test_it_fails_when(as_it_is, sid, break_it):
    assert set(problems(Role(sid, break_it))) - set(as_it_is)


# A copy comes back with its source, by whichever option it was marked or disabled.
BRING_BACK = {"RemoveOwnTags", "EnableWhatItDisabled"}
# What each option adds to the role.
ADDED_BY = {
    "SourceParameterPath": {"ReadAnnouncedParameters"},
    # Together with SourceParameterPath.
    "SenderAccounts": set(),
    "SenderOrganizationId": set(),
    "KmsKeyId": {"EncryptCopies", "LetEbsUseTheKeyOfCopies"},
    "SourceKmsKeyArns": {"ReadEncryptedSources", "LetEbsUseTheKeysOfSources"},
    "ShareWith": {"ShareImages", "ShareSnapshots"},
    "Deprecate": {"Deprecate"},
    "DeregistrationProtection": {"Protect"},
    "ParameterName": {"PublishInParameter"},
    "EventBusName": {"TellEventBus"},
    "Reconcile": {"DescribeAndRequireImdsV2", *BRING_BACK},
    # Together with Reconcile.
    "ShareExactly": set(),
    "RetireWithSource": {
        *BRING_BACK,
        "SeeWhetherACopyIsInUse",
        "LetEc2LookForReferences",
        "DisableOwnCopies",
        "SeeWhoMayLaunchACopy",
        "OrderUsageReportOfOwnCopies",
        "OrderUsageReport",
        "TagUsageReport",
        "ReadUsageReports",
        "DeleteOwnUsageReports",
    },
    "QueueKmsKeyArn": {"UseTheQueuesKey"},
    "VpcSubnetIds": {"AttachToVpc"},
}
ALWAYS = {
    "FindImages",
    "LearnWhyACopyFailed",
    "Copy",
    "TagWhatIsBeingCopied",
    "TagOwnCopies",
    "RemoveOwnCopies",
    "TakeMessages",
    "SendItselfMessages",
    "SetAsideRejected",
    "WriteLogs",
    "Trace",
}


def sids(parameters):
    return {statement["Sid"] for statement in statements(rendered(template(), parameters))}


def test_what_is_switched_off_is_not_there():
    assert sids(options()) == ALWAYS
    for name in OPTIONS:
        assert sids(options(name)) == ALWAYS | ADDED_BY.get(name, set()), name
    of_senders = {"ReadParametersOfSenderAccounts", "ReadParametersOfSenderOrganization"}
    for senders, sid in zip(("SenderAccounts", "SenderOrganizationId"), sorted(of_senders), strict=True):
        assert sids(options("SourceParameterPath", senders)) == ALWAYS | ADDED_BY["SourceParameterPath"] | {sid}
    of_exact_sharing = {"SeeWhoMayUseACopy", "TakeImagesAway", "TakeSnapshotsAway"}
    assert sids(options("Reconcile", "ShareExactly")) == ALWAYS | ADDED_BY["Reconcile"] | of_exact_sharing
    assert sids(options("all")) == ALWAYS.union(of_senders, of_exact_sharing, *ADDED_BY.values())


KEY_ID = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("name", "arn", "aliases", "allowed"),
    [
        (KEY_ID, f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}", [], True),
        (KEY_ID, OTHER_KEY, [], False),
        (f"arn:aws:kms:{REGION}:999999999999:key/{KEY_ID}", f"arn:aws:kms:{REGION}:999999999999:key/{KEY_ID}", [], True),
        (f"arn:aws:kms:{REGION}:999999999999:key/{KEY_ID}", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}", [], False),
        ("alias/golden/ami", OTHER_KEY, ["alias/other", "alias/golden/ami"], True),
        ("alias/golden/ami", OTHER_KEY, ["alias/golden"], False),
        ("alias/golden/ami", OTHER_KEY.replace(REGION, "us-east-1"), ["alias/golden/ami"], False),
        (f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/golden", OTHER_KEY, ["alias/golden"], True),
        (f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/golden", OTHER_KEY, [], False),
        ("alias/ami-alias/eu", OTHER_KEY, ["alias/ami-alias/eu"], True),
        ("alias/ami-alias/eu", OTHER_KEY, ["alias/ami-"], False),
        ("alias/golden", OTHER_KEY.replace(ACCOUNT, "999999999999"), ["alias/golden"], False),
        (f"arn:aws:kms:{REGION}:999999999999:alias/my-alias/x", OTHER_KEY.replace(ACCOUNT, "999999999999"), ["alias/my-alias/x"], True),
        (f"arn:aws:kms:{REGION}:999999999999:alias/my-alias/x", OTHER_KEY, ["alias/my-alias/x"], False),
        (f"arn:aws:kms:{REGION}:999999999999:alias/my-alias/x", OTHER_KEY.replace(ACCOUNT, "999999999999"), ["alias/my-"], False),
    ],
)
def test_the_key_is_allowed_in_each_form_of_its_name(name, arn, aliases, allowed):
    policy = statements(rendered(template(), {**options(), "KmsKeyId": name}))
    context = {"kms:ViaService": f"ec2.{REGION}.amazonaws.com", **({"kms:ResourceAliases": aliases} if aliases else {})}
    assert bool(allowing(policy, Request("kms:Decrypt", arn, context))) == allowed
    grant = {**context, "kms:GrantIsForAWSResource": "true"}
    assert bool(allowing(policy, Request("kms:CreateGrant", arn, grant))) == allowed


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("golden-ami", "golden-ami", "golden-ami2"),
        ("/golden/ami", "golden/ami", "golden/ami2"),
        ("/golden/{tag:Role}/ami", "golden/web/ami", "other/web/ami"),
        ("golden/{name}", "golden/anything", "golden-other"),
    ],
)
def test_the_published_parameter_is_allowed_as_far_as_its_name_is_known(name, allowed, refused):
    policy = statements(rendered(template(), {**options(), "ParameterName": name}))
    for action in ["ssm:GetParameter", "ssm:PutParameter"]:
        assert allowing(policy, Request(action, SSM.format(REGION, allowed), {}))
        assert not allowing(policy, Request(action, SSM.format(REGION, refused), {}))


def test_the_path_of_public_parameters_allows_these_and_no_others():
    policy = statements(rendered(template(), {**options("SourceRegions"), "SourceParameterPath": "/aws/service/ami-amazon-linux-latest/"}))
    public = "arn:aws:ssm:us-east-1::parameter/aws/service/{}"
    assert allowing(policy, Request("ssm:GetParameter", public.format("ami-amazon-linux-latest/x"), IN("us-east-1")))
    assert not allowing(policy, Request("ssm:GetParameter", public.format("ecs/x"), IN("us-east-1")))
    assert not allowing(policy, Request("ssm:GetParameter", public.format("ami-amazon-linux-latest/x"), IN("ap-south-1")))
    assert not allowing(policy, Request("ssm:GetParameter", SSM.format("us-east-1", "aws/service/ami-amazon-linux-latest/x"), IN("us-east-1")))


def test_a_parameter_of_a_sender_account_may_be_read():
    call = {"service": "ssm", "action": "GetParameter", "region": "us-east-1", "account": ACCOUNT, "settings": {}}
    call["parameters"] = {"Name": f"arn:aws:ssm:us-east-1:{SENDER}:parameter/golden/web:3"}
    (request,) = requests(call)
    assert request.resource == f"arn:aws:ssm:us-east-1:{SENDER}:parameter/golden/web"
    allowed_by = [allowing(policy_of(stack), request)["Sid"] for stack in stacks_for(call)]
    assert allowed_by == ["ReadParametersOfSenderAccounts", "ReadParametersOfSenderOrganization"]
    without = statements(rendered(template(), {**options("SourceParameterPath"), "SenderAccounts": "444455556666"}))
    assert not allowing(without, request)


def test_a_parameter_of_the_organization_may_be_read():
    policy = statements(rendered(template(), options("SourceParameterPath", "SenderOrganizationId")))
    request = Request("ssm:GetParameter", f"arn:aws:ssm:us-east-1:{STRANGER}:parameter/golden/web", {**IN("us-east-1"), "aws:ResourceOrgID": ORGANIZATION})
    assert allowing(policy, request)["Sid"] == "ReadParametersOfSenderOrganization"


@pytest.mark.parametrize(
    ("owners", "allowed", "refused"),
    [
        ("self", [ACCOUNT], [SENDER, STRANGER, "amazon", "aws-marketplace"]),
        (f"self,{SENDER}", [ACCOUNT, SENDER, "amazon"], [STRANGER, "aws-marketplace"]),
        (f"{SENDER},{STRANGER}", [SENDER, STRANGER, "amazon"], ["444455556666", "aws-marketplace"]),
    ],
)
@pytest.mark.parametrize("region", ["us-east-1", REGION])
def test_the_owner_of_an_image_is_one_of_source_owners(owners, allowed, refused, region):
    """Where EC2 names the owner of the image. Amazon's accounts all have one name, so trust in one of them is trust in all, as far as IAM goes."""
    policy = statements(rendered(template(), {**options(), "SourceOwners": owners}))
    image = f"arn:aws:ec2:{region}::image/ami-1"
    for owner in allowed:
        assert allowing(policy, Request("ec2:CopyImage", image, {**IN(REGION), "ec2:Owner": owner})), owner
    for owner in refused:
        assert not allowing(policy, Request("ec2:CopyImage", image, {**IN(REGION), "ec2:Owner": owner})), owner


@pytest.mark.parametrize(("aliases", "allowed"), [(["alias/queues"], True), (["alias/other"], False), ([], False)])
def test_the_key_of_the_queues_is_allowed_by_its_alias(aliases, allowed):
    policy = statements(rendered(template(), {**options(), "QueueKmsKeyArn": "alias/queues"}))
    context = {"kms:ViaService": f"sqs.{REGION}.amazonaws.com", **({"kms:ResourceAliases": aliases} if aliases else {})}
    for action in BY_AWS["UseTheQueuesKey"]:
        assert bool(allowing(policy, Request(action, OTHER_KEY, context))) == allowed
        assert not allowing(policy, Request(action, OTHER_KEY.replace(REGION, "us-east-1"), context))
        assert not allowing(policy, Request(action, OTHER_KEY.replace(ACCOUNT, STRANGER), context))


def test_an_image_that_is_public_is_out_of_reach():
    (share,) = [statement for statement in with_every_option() if statement["Sid"] == "ShareImages"]
    assert allowing([share], Request("ec2:ModifyImageAttribute", IMAGE, COPY))
    assert not allowing([share], Request("ec2:ModifyImageAttribute", IMAGE, PUBLIC))


def test_only_share_with_all_lets_copies_and_their_snapshots_be_public():
    everybody, accounts = {**COPY, "ec2:Add/group": "all"}, {**COPY, "ec2:Add/userId": "111122223333"}
    for share_with, snapshots, public_image in [("111122223333", accounts, False), ("all", everybody, True)]:
        policy = statements(rendered(template(), {**options(), "ShareWith": share_with}))
        for context in [everybody, accounts]:
            assert bool(allowing(policy, Request("ec2:ModifySnapshotAttribute", SNAPSHOT, context))) == (context == snapshots)
        assert allowing(policy, Request("ec2:ModifyImageAttribute", IMAGE, COPY))
        # A copy that is public already is shared again when its message is delivered again.
        assert bool(allowing(policy, Request("ec2:ModifyImageAttribute", IMAGE, PUBLIC))) == public_image
        for foreign in [UNTAGGED, FOREIGN]:
            assert not allowing(policy, Request("ec2:ModifySnapshotAttribute", SNAPSHOT, {**foreign, "ec2:Add/group": "all"}))


def test_what_is_shared_already_can_be_taken_away_once_share_with_is_empty():
    """The setting that takes away is not the one that has given."""
    policy = statements(rendered(template(), {**options("Reconcile", "ShareExactly"), "ShareWith": ""}))
    for context in [LAUNCH_PERMISSION, {**LAUNCH_PERMISSION, "ec2:Public": "true"}]:
        assert allowing(policy, Request("ec2:ModifyImageAttribute", IMAGE, context))
    for removed in [{"ec2:Remove/userId": STRANGER}, {"ec2:Remove/group": "all"}]:
        assert allowing(policy, Request("ec2:ModifySnapshotAttribute", SNAPSHOT, {**COPY, **removed}))
    assert allowing(policy, Request("ec2:DescribeImageAttribute", IMAGE, COPY))
    assert allowing(policy, Request("ec2:DescribeSnapshotAttribute", SNAPSHOT, COPY))


def test_a_copy_comes_back_with_its_source_whatever_the_settings_are_by_then():
    policy = statements(rendered(template(), options("Reconcile")))
    marked = {**COPY, "aws:ResourceTag/ami-courier:disabled-with-source": "2026-01-01T00:00:00Z"}
    assert allowing(policy, Request("ec2:EnableImage", IMAGE, marked))
    for key in ["ami-courier:withdrawn-source", "ami-courier:source-gone-since", "ami-courier:disabled-with-source", "ami-courier:parameter"]:
        assert allowing(policy, Request("ec2:DeleteTags", IMAGE, {**COPY, "aws:TagKeys": [key]})), key


COURIERS_OWN = ["source-created", "source-gone-since", "withdrawn-source", "parameter", "finished", "stack", "origin"]


@pytest.mark.parametrize("keys", [["Channel"], ["team", "cost center"], *([f"ami-courier:{key}"] for key in COURIERS_OWN), ["ec2:SharedTag/ami-courier:origin"]], ids=str)
def test_a_copy_may_get_the_tags_that_keep_it_in_step(keys):
    policy = statements(rendered(template(), options("Reconcile")))
    for resource in [IMAGE, SNAPSHOT]:
        assert allowing(policy, Request("ec2:CreateTags", resource, {**COPY, "aws:TagKeys": keys}))


@pytest.mark.parametrize("name", ["Description", "description", "ImdsSupport", "imdsSupport", None])
def test_description_and_imds_support_may_be_set_without_sharing(name):
    """AWS's example of `ec2:Attribute` and its API differ in their case. Whether EC2 sets the key for every form of the call is not documented."""
    policy = statements(rendered(template(), options("Reconcile")))
    assert allowing(policy, Request("ec2:ModifyImageAttribute", IMAGE, {**COPY, **({"ec2:Attribute": name} if name else {})}))
    for other in ["launchPermission", "LaunchPermission", "productCodes"]:
        assert not allowing(policy, Request("ec2:ModifyImageAttribute", IMAGE, {**COPY, "ec2:Attribute": other}))


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [("/golden/{tag:Channel}", "golden/prod", "other/prod"), ("golden-ami", "golden-ami", "golden-ami2")],
)
def test_a_sweep_may_read_the_parameters_it_compares(name, allowed, refused):
    policy = statements(rendered(template(), {**options("Reconcile"), "ParameterName": name}))
    assert allowing(policy, Request("ssm:GetParameters", SSM.format(REGION, allowed), {}))
    assert not allowing(policy, Request("ssm:GetParameters", SSM.format(REGION, refused), {}))


def test_which_requests_are_carried_out_changes_no_permission():
    policies = [statements(rendered(template(), {**options("all"), "Requests": requests})) for requests in ["Selected", "Any", "Off"]]
    assert policies[0] == policies[1] == policies[2]


@pytest.mark.parametrize(
    ("name", "arn"),
    [
        ("default", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"),
        ("arn:aws:events:eu-west-1:999999999999:event-bus/images", "arn:aws:events:eu-west-1:999999999999:event-bus/images"),
    ],
)
def test_the_event_bus_is_allowed_by_name_and_by_arn(name, arn):
    policy = statements(rendered(template(), {**options(), "EventBusName": name}))
    (allowed,) = [s["Resource"] for s in policy if s["Sid"] == "TellEventBus"]
    assert allowed == arn
