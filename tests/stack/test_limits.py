"""The templates against the services' own limits: for the longest names of stacks, in each partition, with each parameter as long as it may be."""

import json
import re

import limits
import pytest
from limits import DOCUMENTED, packed
from stack import ACCOUNT, OPTIONS, ROOT, as_list, created, of_type, options, template

SOURCE_REGION = "source-region.yaml"
STACK_NAMES = {
    "the longest name of a stack": "a" * limits.STACK_NAME,
    # An instance of a stack set: docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-concepts.html
    "a stack set's instance": "StackSet-ami-courier-eu-west-1-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
}
REGIONS = ["ap-southeast-3", "cn-northwest-1", "us-gov-west-1"]


def listed(make):
    """As many distinct items as fit, separated by commas."""

    def fill(length):
        text, number = make(0), 1
        while len(longer := f"{text},{make(number)}") <= length:
            text, number = longer, number + 1
        return text

    return fill


def padded(head, tail=""):
    return lambda length: head + "x" * (length - len(head) - len(tail)) + tail


def arn(service, resource, account=ACCOUNT, region="us-gov-west-1"):
    return f"arn:aws-us-gov:{service}:{region}:{account}:{resource}"


UUID = "{:08d}-2222-3333-4444-555555555555"
# How each parameter gets as long as it may be. What is not here has a few allowed values or is a number.
LONGEST = {
    # The shorter the names, the more of them, each with its quotes in an event pattern.
    "SourceRegions": listed(lambda n: f"{'abcde'[n // 10]}a-east-{n % 10}"),
    "SourceOwners": listed(lambda n: f"{111122223333 + n}"),
    "NamePatterns": padded("golden-"),
    "RequiredTags": padded("Key="),
    "RequiredWatermarks": listed(lambda n: f"{111122223333 + n}:scanned"),
    "CopyName": padded("{name}"),
    "CopyDescription": padded("of {name} "),
    "KmsKeyId": padded(arn("kms", "alias/")),
    "ExtraTags": padded("team=platform,Key="),
    "SnapshotCopyCompletionDurationMinutes": lambda _: "2880",
    "ShareWith": listed(lambda n: arn("organizations", f"ou/o-a1b2c3d4e5/ou-ab12-{11111111 + n}", region="")),
    "Deprecate": lambda _: "3650",
    "ParameterName": padded("/golden/", "/{name}"),
    "EventBusName": padded(arn("events", "event-bus/")),
    "SourceParameterPath": padded("/golden/"),
    "SenderAccounts": listed(lambda n: f"{111122223333 + n}"),
    "SenderOrganizationId": padded("o-"),
    "SenderEventBusName": padded("b"),
    "SourceKmsKeyArns": listed(lambda n: arn("kms", f"key/{UUID.format(n)}")),
    "SweepRate": lambda length: "cron(" + ",".join(map(str, range(60)))[: length - 15].rstrip(",") + " * * * ? *)",
    "AlarmTopicArn": padded(arn("sns", "")),
    "QueueKmsKeyArn": lambda _: arn("kms", f"key/mrk-{'0' * 32}"),
    "PermissionsBoundaryArn": padded(f"arn:aws-us-gov:iam::{ACCOUNT}:policy/"),
    "VpcSubnetIds": listed(lambda n: f"subnet-{n:017x}"),
    "VpcSecurityGroupIds": listed(lambda n: f"sg-{n:017x}"),
    "HttpsProxy": padded("http://me:secret@proxy", ".example.com:3128"),
    "NoProxy": padded("proxy", ".example.com"),
    "EventBusArns": listed(lambda n: arn("events", "event-bus/" + "b" * (250 + n))),
}


def longest(source):
    """Every parameter as long as its MaxLength allows, every option on."""
    values = {}
    for name, parameter in source["Parameters"].items():
        if name in LONGEST:
            values[name] = LONGEST[name](parameter["MaxLength"])
        elif "AllowedValues" in parameter:
            values[name] = max((str(value) for value in parameter["AllowedValues"]), key=len)
        else:
            values[name] = str(parameter["MaxValue"])
    on = {"RetireWithSource": "true", "CloudTrailEvents": "true", "Reconcile": "true", "ShareExactly": "true"}
    return {**values, **{name: value for name, value in on.items() if name in values}}


PARAMETERS = {
    "no option": lambda source: options() if "SourceRegions" in source["Parameters"] else {"EventBusArns": "arn:aws:events:eu-west-1:123456789012:event-bus/x"},
    "every option": lambda source: options("all") if "SourceRegions" in source["Parameters"] else longest(source),
    "every parameter at its longest": longest,
}


@pytest.mark.parametrize("name", ["template.yaml", SOURCE_REGION])
def test_every_text_parameter_has_a_maximal_length_and_can_be_as_long(name):
    source = template(name)
    texts = {key: value for key, value in source["Parameters"].items() if value["Type"] == "String" and "AllowedValues" not in value}
    assert sorted(key for key, value in texts.items() if "MaxLength" not in value) == []
    for key, parameter in texts.items():
        value = LONGEST[key](parameter["MaxLength"])
        assert re.fullmatch(parameter.get("AllowedPattern", "(?s).*"), value), f"{key}: {value}"
        assert len(value) <= parameter["MaxLength"] <= limits.PARAMETER_VALUE, key


def calls(resource):
    """The calls that create a resource: service, operation, parameters. CloudFormation takes most properties over as they are."""
    kind, properties = resource["Type"], dict(resource["Properties"])
    match kind:
        case "AWS::Events::Rule":
            rule = {key: properties[key] for key in ("Description", "ScheduleExpression", "EventBusName") if key in properties}
            if "EventPattern" in properties:
                rule["EventPattern"] = packed(properties["EventPattern"])
            yield "events", "PutRule", {"Name": "x", **rule}
            yield "events", "PutTargets", {"Rule": "x", "Targets": properties["Targets"]}
        case "AWS::Events::EventBus":
            yield "events", "CreateEventBus", properties
        case "AWS::Events::EventBusPolicy":
            yield "events", "PutPermission", {"EventBusName": properties["EventBusName"], "StatementId": properties["StatementId"]}
        case "AWS::IAM::Role":
            yield "iam", "CreateRole", {"RoleName": "x", "AssumeRolePolicyDocument": packed(properties["AssumeRolePolicyDocument"]), "Description": properties["Description"]}
            for policy in properties["Policies"]:
                yield "iam", "PutRolePolicy", {"RoleName": "x", "PolicyName": policy["PolicyName"], "PolicyDocument": packed(policy["PolicyDocument"])}
            if boundary := properties.get("PermissionsBoundary"):
                yield "iam", "PutRolePermissionsBoundary", {"RoleName": "x", "PermissionsBoundary": boundary}
        case "AWS::IAM::ManagedPolicy":
            yield "iam", "CreatePolicy", {"PolicyName": "x", "Description": properties["Description"], "PolicyDocument": packed(properties["PolicyDocument"])}
        case "AWS::CloudWatch::Alarm":
            yield "cloudwatch", "PutMetricAlarm", {"AlarmName": "x", **properties}
        case "AWS::CloudWatch::Dashboard":
            yield "cloudwatch", "PutDashboard", properties
        case "AWS::Lambda::Function":
            own = {key: value for key, value in properties.items() if key not in ("Code", "Tags", "RecursiveLoop")}
            own["Environment"] = {"Variables": {key: str(value) for key, value in own["Environment"]["Variables"].items()}}
            yield "lambda", "CreateFunction", {"FunctionName": "x", "Code": {}, **own}
            # Not a property of CreateFunction: CloudFormation makes this call after it.
            yield "lambda", "PutFunctionRecursionConfig", {"FunctionName": "x", "RecursiveLoop": properties["RecursiveLoop"]}
        case "AWS::Lambda::EventSourceMapping":
            yield "lambda", "CreateEventSourceMapping", {key: value for key, value in properties.items() if key != "ScalingConfig"}
            yield "lambda", "CreateEventSourceMapping", {"FunctionName": "x", "ScalingConfig": {key: int(value) for key, value in properties["ScalingConfig"].items()}}
        case "AWS::SQS::Queue":
            for key in {"KmsMasterKeyId"} & set(properties):
                yield "kms", "DescribeKey", {"KeyId": properties[key]}
        case "AWS::SQS::QueuePolicy" | "AWS::Logs::LogGroup":
            pass
        case _:
            raise NotImplementedError(f"no rule for {kind}")


def breaks_an_api_model(resources):
    for name, resource in resources.items():
        for call in calls(resource):
            yield from (f"{name}: {violation}" for violation in limits.violations(*call))


def breaks_a_schema(resources):
    """Numbers and lengths against CloudFormation's schema, where the API has no model of them."""
    for name, resource in resources.items():
        known = limits.schema(resource["Type"])["properties"]
        for key, value in resource["Properties"].items():
            rule = known.get(key)
            if rule is None:
                yield f"{name}: {resource['Type']} has no property {key}"
            elif isinstance(value, (str, list)) and not rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", rule.get("maxItems", len(value))):
                yield f"{name}: {key} is {len(value)} long"
            elif isinstance(value, int) and not isinstance(value, bool) and not rule.get("minimum", value) <= value <= rule.get("maximum", value):
                yield f"{name}: {key} is {value}"


def a_queue_is_named_too_long(resources):
    for name, queue in of_type(resources, "AWS::SQS::Queue").items():
        if not re.fullmatch(r"[A-Za-z0-9_-]+", queue.get("QueueName", "x")):
            yield f"{name}: {queue['QueueName']} is no name of a queue"
        if len(queue.get("QueueName", "")) > limits.QUEUE_NAME:
            yield f"{name}: the name has {len(queue['QueueName'])} characters, SQS takes {limits.QUEUE_NAME}: {queue['QueueName']}"


def a_policy_is_too_large(resources):
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        size = sum(len(re.sub(r"\s", "", packed(policy["PolicyDocument"]))) for policy in role["Policies"])
        if size > DOCUMENTED["inline policies of a role"]:
            yield f"{name}: the inline policies have {size} characters, IAM takes {DOCUMENTED['inline policies of a role']}"
    for name, policy in of_type(resources, "AWS::IAM::ManagedPolicy").items():
        size = len(re.sub(r"\s", "", packed(policy["PolicyDocument"])))
        if size > DOCUMENTED["managed policy"]:
            yield f"{name}: the managed policy has {size} characters, IAM takes {DOCUMENTED['managed policy']}"
    for name, policy in of_type(resources, "AWS::SQS::QueuePolicy").items():
        listed = policy["PolicyDocument"]["Statement"]
        # SQS writes an account's id out as the ARN of its root user.
        document = re.sub(r'"(\d{12})"', r'"arn:aws-us-gov:iam::\1:root"', packed(policy["PolicyDocument"]))
        found = {
            "bytes of a queue policy": len(document.encode()),
            "statements of a queue policy": len(listed),
            "principals of a queue policy": sum(len(as_list(p)) for s in listed for p in (s["Principal"].values() if isinstance(s["Principal"], dict) else ["*"])),
            "conditions of a queue policy": max(len(as_list(v)) for s in listed for keys in s.get("Condition", {}).values() for v in keys.values()),
            "actions of a queue policy's statement": max(len(as_list(s["Action"])) for s in listed),
        }
        yield from (f"{name}: {number} {limit}, SQS takes {DOCUMENTED[limit]}" for limit, number in found.items() if number > DOCUMENTED[limit])
    for name, policy in of_type(resources, "AWS::Events::EventBusPolicy").items():
        if len(packed(policy["Statement"]).encode()) > DOCUMENTED["bytes of an event bus policy"]:
            yield f"{name}: the policy has {len(packed(policy['Statement']))} bytes"


def a_pattern_is_too_long(resources):
    for name, rule in of_type(resources, "AWS::Events::Rule").items():
        # Nobody says how CloudFormation writes a pattern: it fits with spaces, too.
        if len(json.dumps(rule.get("EventPattern"))) > DOCUMENTED["characters of an event pattern"]:
            yield f"{name}: the pattern has {len(packed(rule['EventPattern']))} characters without spaces, EventBridge takes {DOCUMENTED['characters of an event pattern']}"


def the_environment_is_too_large(resources):
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        # Lambda measures the variables as the JSON that they are sent as.
        size = len(packed(function["Environment"]["Variables"]).encode())
        if size > limits.ENVIRONMENT:
            yield f"{name}: the environment has {size} bytes, Lambda takes {limits.ENVIRONMENT}"


def test_the_environment_has_room_with_every_option_off_at_its_longest():
    """`false` is longer than `true`."""
    off = {name: "false" for name in ("Reconcile", "ShareExactly", "RetireWithSource")}
    for region in REGIONS:
        resources = created(template(), {**longest(template()), **off}, region=region, stack_name="a" * limits.STACK_NAME, name_limit=limits.name_limit)
        assert list(the_environment_is_too_large(resources)) == []


def an_alarm_has_too_many_metrics(resources):
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        metrics = sum("MetricStat" in part for part in alarm.get("Metrics", []))
        if metrics > DOCUMENTED["metrics of an alarm"]:
            yield f"{name} has {metrics} metrics, CloudWatch takes {DOCUMENTED['metrics of an alarm']}"


def an_alarm_looks_back_too_far(resources):
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        for period in [alarm["Period"]] if "Period" in alarm else [part["MetricStat"]["Period"] for part in alarm["Metrics"] if "MetricStat" in part]:
            window = limits.ALARM_WINDOW_OF_SHORT_PERIODS if period < limits.SHORT_PERIOD else limits.ALARM_WINDOW
            if period * alarm["EvaluationPeriods"] > window:
                yield f"{name} looks back {period * alarm['EvaluationPeriods']} s, CloudWatch takes {window} s"


# A quoted text, a separator, an operator, or a bare word: docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
TOKEN = re.compile(r'"[^"]*"|[{},=()]|[^\s{},=()"]+')


def the_dashboard_is_wrong(resources):
    for name, dashboard in of_type(resources, "AWS::CloudWatch::Dashboard").items():
        for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
            for search in re.findall(r"SEARCH\('(.*?)', '", json.dumps(widget).replace('\\"', '"')):
                if len(search) > DOCUMENTED["characters of a search"]:
                    yield f"{name}: a search has {len(search)} characters"
                for bare in (token for token in TOKEN.findall(search) if not token.startswith('"') and re.search(r"[^A-Za-z0-9_/{},=()]", token)):
                    yield f"{name}: {bare} needs quotes in SEARCH"


CHECKS = [
    breaks_an_api_model,
    breaks_a_schema,
    a_queue_is_named_too_long,
    a_policy_is_too_large,
    a_pattern_is_too_long,
    the_environment_is_too_large,
    an_alarm_has_too_many_metrics,
    an_alarm_looks_back_too_far,
    the_dashboard_is_wrong,
]


def problems(source, parameters, region=REGIONS[0], stack_name="x"):
    resources = created(source, parameters, region=region, stack_name=stack_name, name_limit=limits.name_limit)
    return [f"{check.__name__}: {problem}" for check in CHECKS for problem in check(resources)]


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
@pytest.mark.parametrize(("stack_name", "region"), [("the longest name of a stack", region) for region in REGIONS] + [("a stack set's instance", REGIONS[0])])
@pytest.mark.parametrize("name", ["template.yaml", SOURCE_REGION])
def test_the_services_accept(name, stack_name, region, parameters):
    assert problems(template(name), parameters(template(name)), region, STACK_NAMES[stack_name]) == []


def test_the_template_that_is_given_inline_is_small_enough():
    """The other one goes through a bucket: tests/release holds it to that limit."""
    assert len((ROOT / SOURCE_REGION).read_bytes()) <= limits.TEMPLATE_BODY_INLINE


def test_the_pattern_of_the_senders_has_room_for_all_regions_and_options():
    parameters = longest(template())
    pattern = created(template(), parameters)["SenderRule"]["Properties"]["EventPattern"]
    assert len(pattern["region"]) >= 28 and len(pattern["$or"]) == 5
    assert len(json.dumps(pattern)) <= DOCUMENTED["characters of an event pattern"]
    # 28 of the longest names in the template's own words.
    assert re.fullmatch(template()["Parameters"]["SourceRegions"]["AllowedPattern"], ",".join(["us-gov-west-1"] * 28))
    assert len(",".join(["us-gov-west-1"] * 28)) <= template()["Parameters"]["SourceRegions"]["MaxLength"]


@pytest.mark.parametrize("name", ["template.yaml", SOURCE_REGION])
def test_descriptions_of_outputs_are_short_enough(name):
    for key, output in template(name)["Outputs"].items():
        assert len(output["Description"].encode()) <= limits.OUTPUT_DESCRIPTION, key


def test_the_lists_of_the_vpc_are_as_long_as_lambda_takes():
    function = created(template(), longest(template()))["Function"]["Properties"]["VpcConfig"]
    assert len(function["SubnetIds"]) == limits.SUBNETS
    assert len(function["SecurityGroupIds"]) == limits.SECURITY_GROUPS


BROKEN = [
    # (the check that must complain, a resource, the path in its properties, the new value)
    (breaks_an_api_model, "SenderEventBusPolicy", "StatementId", "s" * 65),
    (breaks_an_api_model, "SourceImageRule", "EventPattern/region", ["us-east-1"] * 400),
    (a_pattern_is_too_long, "SenderRule", "EventPattern/$or/0/region", ["us-gov-west-1"] * 80),
    (an_alarm_has_too_many_metrics, "LostEventAlarm", "Metrics", [{"MetricStat": {"Period": 300}}] * 11),
    (breaks_an_api_model, "SourceImageRule", "Targets/0/Id", "a target"),
    (breaks_an_api_model, "ThrottleAlarm", "AlarmDescription", "x" * 1025),
    (breaks_an_api_model, "Role", "Description", "x" * 1001),
    (breaks_an_api_model, "FunctionAnnouncements", "ScalingConfig/MaximumConcurrency", "1"),
    (breaks_an_api_model, "Function", "LoggingConfig/ApplicationLogLevel", "NOTICE"),
    (breaks_a_schema, "Queue", "MessageRetentionPeriod", 1209601),
    (breaks_a_schema, "Queue", "VisibilityTimeOut", 360),
    (breaks_a_schema, "SourceImageRule", "Targets", [{"Id": str(n), "Arn": "arn:aws:sqs:x"} for n in range(6)]),
    (a_queue_is_named_too_long, "Queue", "QueueName", "q" * 81),
    (a_queue_is_named_too_long, "Queue", "QueueName", "queue.1"),
    (a_policy_is_too_large, "Role", "Policies/0/PolicyDocument/Statement/0/Resource", ["arn:aws:ec2:::image/*"] * 450),
    (a_policy_is_too_large, "KeyPolicy", "PolicyDocument/Statement/0/Resource", ["arn:aws:kms:::key/*"] * 280),
    (a_policy_is_too_large, "QueuePolicy", "PolicyDocument/Statement/2/Principal/AWS", ["123456789012"] * 49),
    (a_policy_is_too_large, "QueuePolicy", "PolicyDocument/Statement/1/Condition/ArnEquals/aws:SourceArn", ["a"] * 11),
    (the_environment_is_too_large, "Function", "Environment/Variables/EXTRA_TAGS", "x" * 4000),
    (an_alarm_looks_back_too_far, "SweepAlarm", "EvaluationPeriods", 8),
    (an_alarm_looks_back_too_far, "ErrorAlarm", "EvaluationPeriods", 289),
    (the_dashboard_is_wrong, "OperatorDashboard", "DashboardBody", '{"widgets": [{"expression": "SEARCH(\'{ami-courier,Code} x\', \'Sum\')"}]}'),
]


@pytest.mark.parametrize(("check", "resource", "path", "value"), [pytest.param(*case, id=f"{case[0].__name__}: {case[1]} {case[2]}") for case in BROKEN])
def test_it_fails_when(check, resource, path, value):
    resources = created(template(), options(*OPTIONS))
    assert list(check(resources)) == []
    *steps, last = path.split("/")
    node = resources[resource]["Properties"]
    for step in steps:
        node = node[int(step) if isinstance(node, list) else step]
    node[int(last) if isinstance(node, list) else last] = value
    assert list(check(resources))
