"""The design's own rules of the stack, each seen to fail when it is broken."""

import json
import re
import tomllib
from functools import cached_property

import pytest
import limits
from stack import ACCOUNT, REGION, ROOT, STACK_UUID, of_type, options, refused_by_rules, rendered, template

# Parameters of the stack itself, which the function does not know.
STACK_ONLY = {
    "SourceParameterPath",
    "CloudTrailEvents",
    "SenderAccounts",
    "SenderOrganizationId",
    "SenderEventBusName",
    "SourceKmsKeyArns",
    "SweepRate",
    "AlarmTopicArn",
    "Dashboard",
    "LogLevel",
    "LogRetentionDays",
    "Architecture",
    "MaximumConcurrency",
    "QueueKmsKeyArn",
    "PermissionsBoundaryArn",
    "VpcSubnetIds",
    "VpcSecurityGroupIds",
    "HttpsProxy",
    "NoProxy",
}
# Settings that the template gives from its own resources.
FROM_RESOURCES = {"QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "SWEEPS", "STACK_NAME"}
# Variables of every HTTPS client, which src/aws/https.rs reads.
OF_THE_NETWORK = {"HTTPS_PROXY": "HttpsProxy", "NO_PROXY": "NoProxy"}


def settings_of_the_function():
    """The names of the environment variables, read from the source: every string literal there that looks like one, but Lambda's own."""
    source = (ROOT / "core" / "src" / "settings.rs").read_text()
    return {name for name in re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)"', source) if not name.startswith("AWS_")}


def pascal(variable):
    return "".join(part.capitalize() for part in variable.split("_"))


def anchors_of(page):
    """Ids given by hand, and those that GitHub makes of headings."""
    text = (ROOT / page).read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'(?:id|name)="([^"]+)"', text))


class Stack:
    """One template in the views that the rules look at, with every option on."""

    def __init__(self, source):
        self.source = source

    @cached_property
    def resources(self):
        return rendered(self.source, options("all"))

    @property
    def function(self):
        (function,) = of_type(self.resources, "AWS::Lambda::Function").values()
        return function

    @property
    def mapping(self):
        (mapping,) = of_type(self.resources, "AWS::Lambda::EventSourceMapping").values()
        return mapping

    @property
    def queue(self):
        return self.resources["Queue"]["Properties"]

    @property
    def dead_letters(self):
        return self.resources["DeadLetterQueue"]["Properties"]


def visibility_is_six_times_the_time_out(stack):
    if stack.queue["VisibilityTimeout"] < 6 * stack.function["Timeout"]:
        yield "the queue's visibility time-out is less than 6 × the function's time-out"


def dead_letters_are_kept_longest(stack):
    if not stack.queue["MessageRetentionPeriod"] < stack.dead_letters["MessageRetentionPeriod"] == 1209600:
        yield "the dead-letter queue must keep messages for 14 days, and longer than the queue does"


def a_message_is_tried_for_a_day_and_then_set_aside(stack):
    redrive = stack.queue.get("RedrivePolicy", {})
    if redrive.get("deadLetterTargetArn") != "DeadLetterQueue.Arn":
        yield "the queue has no dead-letter queue"
    # The function backs off by up to 15 minutes a try, by half of that on average; by up to an hour where a limit is reached.
    receives = int(redrive.get("maxReceiveCount", 0))
    # It sends messages to itself with a delay, and puts a message off for 30 minutes in a quiet time; both are within these bounds.
    longest = receives * 3600 + limits.LONGEST_DELAY
    if not (24 * 3600 <= receives * 15 * 60 / 2 and longest <= stack.queue["MessageRetentionPeriod"]):
        yield "maxReceiveCount × 7.5 minutes must be a day at least, and × one hour plus a delay no longer than messages are kept"
    allowed = stack.dead_letters.get("RedriveAllowPolicy", {})
    here = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{stack.queue.get('QueueName')}"
    if allowed.get("redrivePermission") != "byQueue" or allowed.get("sourceQueueArns") != [here]:
        yield "other queues than this stack's may use the dead-letter queue"
    if STACK_UUID not in stack.queue.get("QueueName", STACK_UUID):
        yield "the queue's name is not unique to the stack"


def failures_are_reported_one_by_one(stack):
    if stack.mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        yield "without ReportBatchItemFailures one bad message fails its batch"
    if not 1 <= stack.mapping.get("BatchSize", 0) <= 10:
        yield "the function is made for batches of up to ten"
    if int(stack.mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 0)) < 2:
        yield "the function's concurrency is not bounded"


def asynchronous_failures_are_kept(stack):
    if stack.function.get("DeadLetterConfig", {}).get("TargetArn") != "DeadLetterQueue.Arn":
        yield "an asynchronous invocation that fails is lost"


def queues_are_closed(stack):
    policies = {
        name: policy["PolicyDocument"]["Statement"]
        for policy in of_type(stack.resources, "AWS::SQS::QueuePolicy").values()
        for name in policy["Queues"]
    }
    tells = {"FailureRule": {"FailureRule.Arn"}}
    hears = {"RulesOfThisStack": {f"{name}.Arn" for name in of_type(stack.resources, "AWS::Events::Rule")} - tells["FailureRule"]}
    for name in of_type(stack.resources, "AWS::SQS::Queue"):
        arn = f"{name}.Arn"
        tls = {"Bool": {"aws:SecureTransport": "false"}}
        if not any(s["Effect"] == "Deny" and s["Principal"] == "*" and s["Condition"] == tls and s["Resource"] == arn for s in policies.get(name, [])):
            yield f"{name} can be used without TLS"
        for statement in (s for s in policies.get(name, []) if s["Effect"] == "Allow"):
            if statement["Action"] != "sqs:SendMessage" or statement["Resource"] != arn:
                yield f"{name}: others may do more than send to it"
            of_organization = {"StringEquals": {"aws:PrincipalOrgID": options("all")["SenderOrganizationId"]}}
            if statement["Principal"] == "*" and (statement["Sid"], statement.get("Condition")) != ("SenderOrganization", of_organization):
                yield f"{name}: it is open to everybody"
        of_services = [s for s in policies.get(name, []) if s["Effect"] == "Allow" and "Service" in s["Principal"]]
        named = {s["Sid"]: set(s.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", [])) for s in of_services}
        if named != (hears if name == "Queue" else hears | tells):
            yield f"{name}: its policy does not name the rules of this stack, and no others"
    for encrypted_by, parameters in {"SQS": options(), "a key": options("QueueKmsKeyArn")}.items():
        for name, queue in of_type(rendered(stack.source, parameters), "AWS::SQS::Queue").items():
            if ("KmsMasterKeyId" in queue) == (encrypted_by == "SQS"):
                yield f"{name} is not encrypted by {encrypted_by}"
            # Always explicit: CloudFormation takes a missing value for true, and SQS takes one kind of encryption only.
            if queue.get("SqsManagedSseEnabled") is not (encrypted_by == "SQS"):
                yield f"{name}: SqsManagedSseEnabled must say whether SQS encrypts, so that an update can switch it"


def other_accounts_reach_the_couriers_own_bus_only(stack):
    senders = {"SenderEventBusPolicy": {"Principal": {"AWS": options("all")["SenderAccounts"].split(",")}}}
    of_organization = {"StringEquals": {"aws:PrincipalOrgID": options("all")["SenderOrganizationId"]}}
    senders["SenderOrganizationPolicy"] = {"Principal": "*", "Condition": of_organization}
    policies = of_type(stack.resources, "AWS::Events::EventBusPolicy")
    for name, policy in policies.items():
        if policy["EventBusName"] != "SenderEventBus":
            yield f"{name} opens the bus {policy['EventBusName']}, where other teams' rules listen"
        statement = policy["Statement"]
        if statement != {"Effect": "Allow", "Action": "events:PutEvents", "Resource": "SenderEventBus.Arn", **senders.get(name, {})}:
            yield f"{name} lets others do more than send events, or others than the senders"
    if set(policies) != set(senders):
        yield "the senders cannot send events"
    for on in ([], ["SenderAccounts"], ["SenderOrganizationId"]):
        made = rendered(stack.source, options(*on))
        if {"SenderEventBus", "SenderRule", "SenderRequestRule"} & set(made) != ({"SenderEventBus", "SenderRule", "SenderRequestRule"} if on else set()):
            yield "the stack must have the bus of the senders, and its rules, exactly when there are some"
        if on and [name for name in made if name in senders] != [{"SenderAccounts": "SenderEventBusPolicy", "SenderOrganizationId": "SenderOrganizationPolicy"}[on[0]]]:
            yield f"{on[0]} opens the bus to others"


def what_operators_need_survives_the_stack(stack):
    for name in ("DeadLetterQueue", "LogGroup"):
        resource = stack.resources[name]
        # RetainExceptOnCreate: a stack whose creation fails leaves nothing behind.
        if (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")) != ("RetainExceptOnCreate", "Retain"):
            yield f"{name} is deleted with the stack, or when it is replaced"
    if stack.resources["Queue"].get("UpdateReplacePolicy") != "Retain":
        yield "messages are lost when the queue is replaced"


def metrics_are_written_at_every_log_level(stack):
    """Lambda takes a line without a level, as metrics lines are, for INFO: docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html"""
    offered = stack.source["Parameters"]["LogLevel"]["AllowedValues"]
    for level in offered:
        if limits.LOG_LEVELS.index(level) > limits.LOG_LEVELS.index("INFO"):
            yield f"at {level}, Lambda may drop the metrics, and the alarms with them"
    if "TRACE" in offered:
        yield "at TRACE, the AWS SDK logs whole requests with their signatures"


def every_target_has_a_dead_letter_queue(stack):
    for name, rule in of_type(stack.resources, "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            if target.get("DeadLetterConfig") != {"Arn": "DeadLetterQueue.Arn"}:
                yield f"{name} can lose events"
            if target["Arn"] != "Queue.Arn" and name != "FailureRule":
                yield f"{name} goes past the queue"


def reasons_are_mailed_where_alarms_are(stack):
    def rule(**parameters):
        return of_type(rendered(stack.source, options() | parameters), "AWS::Events::Rule").get("FailureRule")

    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
    for name in ("alarms", topic):
        mails = rule(AlarmTopicArn=name, EventBusName="audit")
        if mails is None or (mails["EventBusName"], mails["Targets"][0]["Arn"], mails["Targets"][0]["InputPath"]) != ("audit", topic, "$.detail"):
            yield f"with the topic {name}, failures on the bus of the courier's events do not reach it"
        elif mails["EventPattern"].get("source") != ["ami-courier"] or mails["EventPattern"].get("detail") != {"Outcome": ["Rejected"]}:
            yield "the topic gets other events than the courier's failures"
    if rule() or rule(AlarmTopicArn="alarms", EventBusName="") or rule(AlarmTopicArn="alarms", EventBusName=f"arn:aws:events:{REGION}:111122223333:event-bus/audit"):
        yield "there is a rule for mails where no topic is, or no bus that can have a rule"


def every_setting_is_a_parameter_and_every_parameter_a_setting(stack):
    settings, parameters = settings_of_the_function(), set(stack.source["Parameters"])
    variables = dict(stack.source["Resources"]["Function"]["Properties"]["Environment"]["Variables"])
    if variables.pop("AWS_ENDPOINT_URL", None) != {"Ref": "AWS::NoValue"}:
        yield "AWS_ENDPOINT_URL must be named, for `sam local invoke --env-vars`, and never be set"
    for name, parameter in OF_THE_NETWORK.items():
        if variables.pop(name, None) != {"Ref": parameter}:
            yield f"{name} does not get the value of {parameter}"
    for name in sorted(settings ^ set(variables)):
        yield f"{name} is {'not given by the template' if name in settings else 'not known to src/settings.rs'}"
    for name in sorted({pascal(name) for name in settings - FROM_RESOURCES} ^ (parameters - STACK_ONLY)):
        yield f"{name} is {'no parameter' if name not in parameters else 'neither a setting nor a parameter of the stack itself'}"
    for name in sorted(set(variables) - FROM_RESOURCES):
        if variables[name] != {"Ref": pascal(name)}:
            yield f"{name} does not get the value of {pascal(name)}"


def every_parameter_is_explained(stack):
    interface = stack.source["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    for name in sorted(set(grouped) ^ set(stack.source["Parameters"])):
        yield f"{name} is not in exactly one group"
    for name in {name for name in grouped if grouped.count(name) > 1}:
        yield f"{name} is in several groups"
    for name, parameter in stack.source["Parameters"].items():
        if name not in interface["ParameterLabels"]:
            yield f"{name} has no label"
        if not parameter.get("Description"):
            yield f"{name} has no description"
        # Without source Regions, a stack would do nothing and report that all is well.
        if ("Default" in parameter) == (name == "SourceRegions"):
            yield f"{name}: all but SourceRegions have a default, so that `sam deploy --guided` works with a source Region alone"
        if "AllowedPattern" in parameter:
            if not parameter.get("ConstraintDescription"):
                yield f"{name} refuses values without saying what it wants"
            if not re.fullmatch(parameter["AllowedPattern"], str(parameter.get("Default", "any"))):
                yield f"{name}: its default does not fit its pattern"


# Alarms that count events: they end by themselves, while their cause may remain.
OF_WHAT_HAPPENED = {"DeadLetterAlarm", "LostEventAlarm", "FailedDeliveryAlarm", "LostInvocationAlarm", "ForwardingAlarm"}


def every_alarm_has_its_place_in_the_runbook(stack):
    for name, alarm in of_type(stack.resources, "AWS::CloudWatch::Alarm").items():
        link = re.search(r" ((?:docs/)?[A-Za-z0-9-]+\.md)#(runbook-[a-z-]+)$", alarm.get("AlarmDescription", ""))
        if not link or link[2] not in anchors_of(link[1]):
            yield f"{name}: no such place in the runbook: {link and link[0]}"
        # What has happened is not undone when no more of it happens.
        over = None if name in OF_WHAT_HAPPENED else alarm.get("AlarmActions")
        if alarm.get("OKActions") != over or not alarm.get("AlarmActions"):
            yield f"{name} tells nobody when it rings, or when it is over"
        if alarm["TreatMissingData"] != {"SweepAlarm": "breaching", "SlowCopyAlarm": "ignore"}.get(name, "notBreaching"):
            yield f"{name} is wrong about missing data"


# The metrics that only a sweep emits.
OF_SWEEPS = {"SweepCompleted", "OldestCopyInProgressSeconds", "RejectedFound", "RetirementHeldDays"}
# The longest time between two sweeps that SweepRate allows; the pattern's test refuses longer ones.
SWEEPS_AT_LEAST_EVERY = 86400


def alarms_bridge_the_time_between_two_sweeps(stack):
    for name, alarm in of_type(stack.resources, "AWS::CloudWatch::Alarm").items():
        if alarm.get("MetricName") in OF_SWEEPS and alarm["TreatMissingData"] != "ignore":
            window = alarm["Period"] * alarm["EvaluationPeriods"]
            if window < 2 * SWEEPS_AT_LEAST_EVERY:
                yield f"{name} looks back {window} s: a sweep that is a little late is out of its sight"
    rejections = stack.resources["RejectionAlarm"]["Properties"]
    if (rejections["Statistic"], rejections.get("DatapointsToAlarm")) != ("Sum", 1):
        yield "the metric counts each rejection: their sum must ring, in one period alone"


def every_metric_of_the_courier_is_one_that_it_emits(stack):
    source = "".join((ROOT / name).read_text() for name in ("src/telemetry.rs", "src/courier/log.rs", "core/src/outcome.rs"))
    emitted = set(re.findall(r'"([A-Z][A-Za-z]+)"', source))
    shown = set(re.findall(r'\["ami-courier", "(\w+)"', str(stack.resources["OperatorDashboard"]["Properties"]["DashboardBody"])))
    for alarm in of_type(stack.resources, "AWS::CloudWatch::Alarm").values():
        parts = alarm.get("Metrics", [{"MetricStat": {"Metric": alarm}}])
        metrics = [part["MetricStat"]["Metric"] for part in parts if "MetricStat" in part]
        shown |= {metric["MetricName"] for metric in metrics if metric["Namespace"] == "ami-courier"}
    for metric in sorted(shown - emitted):
        yield f"the function has no metric {metric}"


def the_dashboard_shows_the_functions_own_table(stack):
    body = stack.resources["OperatorDashboard"]["Properties"]["DashboardBody"]
    try:
        widgets = json.loads(body)["widgets"]
    except ValueError:
        yield "the dashboard is not JSON"
        return
    custom = [widget["properties"] for widget in widgets if widget["type"] == "custom"]
    # Each refresh invokes the function; a change of the time range would show the same table again.
    refreshes = {"refresh": True, "resize": False, "timeRange": False}
    if [(widget["endpoint"], widget["params"], widget["updateOn"]) for widget in custom] != [("Function.Arn", {}, refreshes)]:
        yield "no widget calls the function"
    cells = [(widget["x"] + dx, widget["y"] + dy) for widget in widgets for dx in range(widget["width"]) for dy in range(widget["height"])]
    if len(cells) != len(set(cells)):
        yield "two widgets overlap"
    if "OperatorDashboard" in rendered(stack.source, options()):
        yield "the stack has a dashboard where none is wanted"


def logs_are_kept_and_readable(stack):
    logging = stack.function.get("LoggingConfig", {})
    if logging.get("LogFormat") != "JSON" or logging.get("LogGroup") != "LogGroup":
        yield "the function's logs are not JSON in the stack's own log group"
    if "RetentionInDays" not in stack.resources["LogGroup"]["Properties"]:
        yield "logs are kept for ever"
    if stack.function.get("TracingConfig") != {"Mode": "Active"}:
        yield "the function is not traced"


def lambda_does_not_end_chains_of_the_couriers_messages(stack):
    if stack.function.get("RecursiveLoop") != "Allow":
        yield "Lambda refuses the function's own messages after about 16 invocations"


def the_version_is_one(stack):
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    if stack.source["Metadata"]["AWS::ServerlessRepo::Application"]["SemanticVersion"] != version:
        yield f"SemanticVersion is not Cargo.toml's version {version}"
    changelog = (ROOT / "CHANGELOG.md").read_text()
    if f"## [{version}]" not in changelog and "## [Unreleased]" not in changelog:
        yield f"the changelog has nothing on version {version}"


def the_boundary_and_the_vpc_are_put_on(stack):
    if stack.resources["Role"]["Properties"].get("PermissionsBoundary") != options("all")["PermissionsBoundaryArn"]:
        yield "the permissions boundary is not on the role"
    vpc = {"SubnetIds": options("all")["VpcSubnetIds"].split(","), "SecurityGroupIds": [options("all")["VpcSecurityGroupIds"]]}
    if stack.function.get("VpcConfig") != vpc:
        yield "the function is not in the VPC"


RULES = [
    visibility_is_six_times_the_time_out,
    dead_letters_are_kept_longest,
    a_message_is_tried_for_a_day_and_then_set_aside,
    failures_are_reported_one_by_one,
    asynchronous_failures_are_kept,
    queues_are_closed,
    every_target_has_a_dead_letter_queue,
    reasons_are_mailed_where_alarms_are,
    every_setting_is_a_parameter_and_every_parameter_a_setting,
    every_parameter_is_explained,
    every_alarm_has_its_place_in_the_runbook,
    every_metric_of_the_courier_is_one_that_it_emits,
    the_dashboard_shows_the_functions_own_table,
    logs_are_kept_and_readable,
    the_version_is_one,
    the_boundary_and_the_vpc_are_put_on,
    alarms_bridge_the_time_between_two_sweeps,
    other_accounts_reach_the_couriers_own_bus_only,
    what_operators_need_survives_the_stack,
    metrics_are_written_at_every_log_level,
]


@pytest.fixture(scope="module")
def stack():
    return Stack(template())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(stack, rule):
    assert list(rule(stack)) == []


def at(source, path):
    """The parent of the node at `path` (`Queue/RedrivePolicy`, counted from the properties of a resource), and the last step."""
    *steps, last = path.split("/")
    node = source["Resources"][steps[0]]["Properties"] if steps and steps[0] in source["Resources"] else source
    for step in steps[1:] if node is not source else steps:
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node, int(last) if isinstance(node, list) else last


BROKEN = [
    # (the rule that must complain, what is changed, its new value or None to take it away)
    (visibility_is_six_times_the_time_out, "Queue/VisibilityTimeout", 359),
    (visibility_is_six_times_the_time_out, "Function/Timeout", 61),
    (dead_letters_are_kept_longest, "DeadLetterQueue/MessageRetentionPeriod", 1209599),
    (dead_letters_are_kept_longest, "Queue/MessageRetentionPeriod", 1209600),
    (a_message_is_tried_for_a_day_and_then_set_aside, "Queue/RedrivePolicy", None),
    (a_message_is_tried_for_a_day_and_then_set_aside, "Queue/RedrivePolicy/maxReceiveCount", 191),
    (a_message_is_tried_for_a_day_and_then_set_aside, "Queue/MessageRetentionPeriod", 200000),
    (a_message_is_tried_for_a_day_and_then_set_aside, "Queue/QueueName", "other"),
    (a_message_is_tried_for_a_day_and_then_set_aside, "DeadLetterQueue/RedriveAllowPolicy/redrivePermission", "allowAll"),
    (failures_are_reported_one_by_one, "Function/Events/Announcements/Properties/FunctionResponseTypes", None),
    (failures_are_reported_one_by_one, "Function/Events/Announcements/Properties/BatchSize", 100),
    (failures_are_reported_one_by_one, "Function/Events/Announcements/Properties/ScalingConfig", None),
    (asynchronous_failures_are_kept, "Function/DeadLetterQueue", None),
    (queues_are_closed, "QueuePolicy/PolicyDocument/Statement/0", None),
    (queues_are_closed, "QueuePolicy/PolicyDocument/Statement/0/Condition", {"Bool": {"aws:SecureTransport": "true"}}),
    (queues_are_closed, "QueuePolicy/PolicyDocument/Statement/1/Action", "sqs:*"),
    (queues_are_closed, "QueuePolicy/PolicyDocument/Statement/1/Condition", None),
    (queues_are_closed, "QueuePolicy/PolicyDocument/Statement/1/Condition/ArnEquals/aws:SourceArn/0", None),
    (queues_are_closed, "DeadLetterQueuePolicy/PolicyDocument/Statement/0", None),
    (queues_are_closed, "DeadLetterQueuePolicy/Queues/0", "Other"),
    (queues_are_closed, "Queue/SqsManagedSseEnabled", None),
    (queues_are_closed, "DeadLetterQueue/KmsMasterKeyId", None),
    (queues_are_closed, "DeadLetterQueue/SqsManagedSseEnabled", True),
    (other_accounts_reach_the_couriers_own_bus_only, "SenderEventBusPolicy/EventBusName", "default"),
    (other_accounts_reach_the_couriers_own_bus_only, "SenderEventBusPolicy/Statement/Action", "events:*"),
    (other_accounts_reach_the_couriers_own_bus_only, "SenderEventBusPolicy/Statement/Principal", "*"),
    (other_accounts_reach_the_couriers_own_bus_only, "Resources/SenderRule/Condition", None),
    (other_accounts_reach_the_couriers_own_bus_only, "Resources/SenderRequestRule/Condition", "HasSenderAccounts"),
    (other_accounts_reach_the_couriers_own_bus_only, "SenderOrganizationPolicy/Statement/Condition", None),
    (other_accounts_reach_the_couriers_own_bus_only, "Resources/SenderOrganizationPolicy/Condition", "HasSenders"),
    (queues_are_closed, "QueuePolicy/PolicyDocument/Statement/3/Fn::If/1/Condition", None),
    (other_accounts_reach_the_couriers_own_bus_only, "Resources/SenderEventBusPolicy", None),
    (what_operators_need_survives_the_stack, "Resources/DeadLetterQueue/DeletionPolicy", None),
    (what_operators_need_survives_the_stack, "Resources/LogGroup/UpdateReplacePolicy", "Delete"),
    (what_operators_need_survives_the_stack, "Resources/Queue/UpdateReplacePolicy", None),
    (metrics_are_written_at_every_log_level, "Parameters/LogLevel/AllowedValues", ["INFO", "WARN"]),
    (metrics_are_written_at_every_log_level, "Parameters/LogLevel/AllowedValues", ["INFO", "TRACE"]),
    (alarms_bridge_the_time_between_two_sweeps, "SweepAlarm/EvaluationPeriods", 1),
    (alarms_bridge_the_time_between_two_sweeps, "SlowCopyAlarm/TreatMissingData", "notBreaching"),
    (alarms_bridge_the_time_between_two_sweeps, "RejectionAlarm/Statistic", "Maximum"),
    (alarms_bridge_the_time_between_two_sweeps, "RejectionAlarm/DatapointsToAlarm", None),
    (every_target_has_a_dead_letter_queue, "SweepRule/Targets/0/DeadLetterConfig", None),
    (every_target_has_a_dead_letter_queue, "CopyRule/Targets/0/Arn", "other"),
    (reasons_are_mailed_where_alarms_are, "FailureRule/Targets/0/InputPath", "$"),
    (reasons_are_mailed_where_alarms_are, "FailureRule/EventPattern/detail", None),
    (reasons_are_mailed_where_alarms_are, "FailureRule/EventBusName", "default"),
    (reasons_are_mailed_where_alarms_are, "Conditions/MailsReasons", {"Condition": "HasAlarmTopic"}),
    (queues_are_closed, "DeadLetterQueuePolicy/PolicyDocument/Statement/2", None),
    (every_setting_is_a_parameter_and_every_parameter_a_setting, "Function/Environment/Variables/SHARE_WITH", None),
    (every_setting_is_a_parameter_and_every_parameter_a_setting, "Function/Environment/Variables/NEW_SETTING", "x"),
    (every_setting_is_a_parameter_and_every_parameter_a_setting, "Function/Environment/Variables/SHARE_WITH", {"Ref": "ExtraTags"}),
    (every_setting_is_a_parameter_and_every_parameter_a_setting, "Function/Environment/Variables/AWS_ENDPOINT_URL", "http://elsewhere"),
    (every_setting_is_a_parameter_and_every_parameter_a_setting, "Function/Environment/Variables/HTTPS_PROXY", None),
    (every_setting_is_a_parameter_and_every_parameter_a_setting, "Function/Environment/Variables/NO_PROXY", {"Ref": "HttpsProxy"}),
    (every_setting_is_a_parameter_and_every_parameter_a_setting, "Parameters/Left", {"Type": "String", "Default": ""}),
    (every_setting_is_a_parameter_and_every_parameter_a_setting, "Parameters/ImageBuilder", None),
    (every_parameter_is_explained, "Parameters/ShareWith/Description", None),
    (every_parameter_is_explained, "Parameters/ShareWith/ConstraintDescription", None),
    (every_parameter_is_explained, "Parameters/BackfillDays/Default", None),
    (every_parameter_is_explained, "Parameters/SourceOwners/Default", "me"),
    (every_parameter_is_explained, "Metadata/AWS::CloudFormation::Interface/ParameterLabels/DryRun", None),
    (every_parameter_is_explained, "Metadata/AWS::CloudFormation::Interface/ParameterGroups/1/Parameters/0", None),
    (every_alarm_has_its_place_in_the_runbook, "ThrottleAlarm/AlarmDescription", "It rings. docs/operations.md#runbook-nowhere"),
    (every_alarm_has_its_place_in_the_runbook, "ThrottleAlarm/AlarmDescription", "It rings."),
    (every_alarm_has_its_place_in_the_runbook, "ErrorAlarm/AlarmActions", None),
    (every_alarm_has_its_place_in_the_runbook, "ErrorAlarm/OKActions", None),
    (every_alarm_has_its_place_in_the_runbook, "DeadLetterAlarm/OKActions", [{"Ref": "AlarmTopicArn"}]),
    (every_alarm_has_its_place_in_the_runbook, "SweepAlarm/TreatMissingData", "notBreaching"),
    (every_metric_of_the_courier_is_one_that_it_emits, "SlowCopyAlarm/MetricName", "OldestCopySeconds"),
    (every_metric_of_the_courier_is_one_that_it_emits, "OldestMessageAlarm/Metrics/2/MetricStat/Metric/MetricName", "Age"),
    (every_metric_of_the_courier_is_one_that_it_emits, "OperatorDashboard/DashboardBody", '["ami-courier", "Misspelt", "FunctionName", "x"]'),
    (the_dashboard_shows_the_functions_own_table, "OperatorDashboard/DashboardBody", "{"),
    (the_dashboard_shows_the_functions_own_table, "OperatorDashboard/DashboardBody", '{"widgets": []}'),
    (
        the_dashboard_shows_the_functions_own_table,
        "OperatorDashboard/DashboardBody",
        {"Fn::Sub": '{"widgets": [{"type": "custom", "x": 0, "y": 0, "width": 1, "height": 1, "properties": {"endpoint": "${Queue.Arn}", "params": {}, "updateOn": {}}}]}'},
    ),
    (logs_are_kept_and_readable, "LogGroup/RetentionInDays", None),
    (logs_are_kept_and_readable, "Function/LoggingConfig/LogFormat", "Text"),
    (logs_are_kept_and_readable, "Function/Tracing", None),
    (lambda_does_not_end_chains_of_the_couriers_messages, "Function/RecursiveLoop", None),
    (lambda_does_not_end_chains_of_the_couriers_messages, "Function/RecursiveLoop", "Terminate"),
    (the_version_is_one, "Metadata/AWS::ServerlessRepo::Application/SemanticVersion", "0.0.9"),
    (the_boundary_and_the_vpc_are_put_on, "Role/PermissionsBoundary", None),
    (the_boundary_and_the_vpc_are_put_on, "Function/VpcConfig", None),
]


@pytest.mark.parametrize(("rule", "path", "value"), [pytest.param(*case, id=f"{case[0].__name__}: {case[1]} = {case[2]}") for case in BROKEN])
def test_it_fails_when(rule, path, value):
    source = template()
    node, last = at(source, path)
    if value is None:
        del node[last]
    else:
        node[last] = value
    assert list(rule(Stack(source)))


KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
# Those that the function knows.
REGIONS = re.findall(r'"([a-z]+(?:-[a-z]+)+-[0-9])"', (ROOT / "core" / "src" / "region.rs").read_text())
ACCEPTED = {
    "SourceRegions": ["any", "us-east-1", "us-east-1,ap-southeast-4", "us-gov-west-1,cn-north-1", "eusc-de-east-1", *REGIONS],
    "SourceOwners": ["self", "111122223333", "self,111122223333"],
    "RequiredTags": ["", "approved", "approved=true", "!temporary,team=", "aws:dlm:lifecycle-policy-id", "cost center=a=b,!stage=test"],
    "CopyName": ["{name}", "web (1) {image_id}/{region}.{account}_{created}", "{tag:Role}-{name}"],
    "CopyDescription": ["", "of {name}, made {created}!"],
    "ExtraTags": ["", "team=platform", "team=platform,cost center=a=b,c=", "a=b,aa=b,b=a=", "ec2:SharedTag/team=x"],
    "HttpsProxy": ["", "http://proxy:3128", "http://proxy", "http://me:p%40ss@10.0.0.1:80/", "proxy:3128", "http://[::1]:3128", "HTTP://me:p%40ss@proxy"],
    "NamePatterns": ["*", "golden-*,base image (v?)*", "!*-debug", "golden-*,!*-debug,!golden-0?"],
    "RequiredWatermarks": ["", "111122223333:scanned", "111122223333:scanned,123456789012:approved by: security"],
    "KmsKeyId": ["", "alias/golden/ami", KEY, KEY.replace("key/", "alias/"), KEY.rpartition("/")[2], "mrk-1234abcd12ab34cd56ef1234567890ab"],
    "SnapshotCopyCompletionDurationMinutes": ["", *map(str, range(15, 2881, 15))],
    "ShareWith": ["", "all", "111122223333", "111122223333,arn:aws:organizations::111122223333:organization/o-abc1234567"],
    "Deprecate": ["Source", "Never", *map(str, range(1, 3651))],
    "ParameterName": ["", "golden", "/golden", "/golden/{tag:Role}/ami", "golden/{name}"],
    "EventBusName": ["", "default", "arn:aws:events:eu-west-1:111122223333:event-bus/images"],
    "SourceParameterPath": ["", "/golden/"],
    "SenderAccounts": ["", "111122223333,444455556666"],
    "SenderOrganizationId": ["", "o-a1b2c3d4e5"],
    "SenderEventBusName": ["ami-courier", "images.eu_1"],
    "SourceKmsKeyArns": ["", KEY, f"{KEY},{KEY}"],
    "SweepRate": ["", "off", "rate(1 minute)", "rate(1 hour)", "rate(30 minutes)", "rate(24 hours)", "rate(1 day)"]
    + ["cron(0 * * * ? *)", "cron(0/20 6-22 ? * * *)", "cron(5,35 */4 * * ? *)"],
    "AlarmTopicArn": ["", "arn:aws:sns:eu-west-1:111122223333:alarms", "ami-courier_alarms"],
    "QueueKmsKeyArn": ["", KEY, "alias/queues", "alias/team/queues"],
    "PermissionsBoundaryArn": ["", "arn:aws:iam::111122223333:policy/team/boundary", "arn:aws:iam::aws:policy/ReadOnlyAccess", "boundary", "team/boundary"],
    "VpcSubnetIds": ["", "subnet-0123456789abcdef0,subnet-0123456789abcdef1"],
    "VpcSecurityGroupIds": ["", "sg-0123456789abcdef0"],
}
REFUSED = {
    "SourceRegions": ["", "us-east-1,", "us-east-1, us-west-2", "useast1", "*", "any,us-east-1", "us-esat-1", "us-north-", "uss-east-1", "us-east-1-1"],
    "RequiredTags": [",", "!", "a,,b", "=x", " ", "!!a", "a,", "a,!", "k" * 129],
    "CopyName": ["", "{nam}", "{name", "name}", "a:b", "{tag:}", "{name}*"],
    "CopyDescription": ["{nam}", "{", "}", "{tag:}"],
    "ExtraTags": ["team", "=x", "a=1,", "a=1,a=2", "a=1,b=2,a=", "aws:x=y", "AWS:x=y", "ami-courier:try=1", "ec2:SharedTag/ami-courier:origin=x"]
    + [",".join(f"k{n}=" for n in range(41))],
    "HttpsProxy": ["proxy", "https://proxy:3128", "socks5://proxy:1080", "http://", "http://me:p@ss@proxy:3128", "http://a b:3128", "/proxy", "http://proxy:port"],
    "SourceOwners": ["", "self,", "12345", "amazon"],
    "NamePatterns": ["", "a{b}", "!", "a!b", "!!a", "golden-*,!", "golden-*,"],
    "RequiredWatermarks": ["scanned", "1111:scanned", "111122223333:", "111122223333:scanned,", "self:scanned"],
    "KmsKeyId": ["alias", "alias/", "key/1", "*", "-" * 36, "mrk-1234", f"{KEY}0", "alias/a:b", KEY.replace("key/", "alias/a:")],
    "SnapshotCopyCompletionDurationMinutes": ["0", "half", "2895", "015", *(str(n) for n in range(1, 3100) if n % 15)],
    "ShareWith": ["111122223333,", "1111", "all,", "all,111122223333", "111122223333,all", "111122223333 444455556666"],
    "Deprecate": ["source", "0", "-1", "", "3651", "9999"],
    "ParameterName": [" x", "a,b", "/golden/{nam}", "/golden/{name", "/golden/a b", "{name}", "/{tag:Team}/web", "golden-{name}", "/golden{name}/web", "/", "//x"],
    "EventBusName": ["a b"],
    "SourceParameterPath": ["golden", "*", "/", "//"],
    "SenderAccounts": ["*", "111122223333,"],
    "SenderOrganizationId": ["*", "o-1", "ou-ab12-11111111", "o-a1b2c3d4e5,o-a1b2c3d4e6"],
    "SenderEventBusName": ["", "a/b", "default", "a b"],
    "SourceKmsKeyArns": [f"{KEY},", "*", KEY.replace("11111111", "*")],
    "SweepRate": ["rate(2 days)", "rate(25 hours)", "rate(72 hours)", "rate(1 hours)", "rate(0 minutes)", "rate(2 hour)", "hourly", "cron(0 3 * * *)"]
    + ["cron(0 3 ? * SUN *)", "cron(0 3 1 * ? *)", "cron(0 3 * 1 ? *)", "cron(0 3 * * ? 2030)"],
    "AlarmTopicArn": ["arn:aws:sns:eu-west-1:111122223333:", "arn:aws:sqs:eu-west-1:111122223333:alarms", "a topic", "alarms.fifo"],
    "QueueKmsKeyArn": ["queues", "alias/", "alias/aws/sqs", "alias/a:b", KEY.replace("key/", "alias/")],
    "PermissionsBoundaryArn": ["/boundary", "a:b", "arn:aws:iam::111122223333:role/boundary"],
    "VpcSubnetIds": ["vpc-1", "subnet-1,"],
    "VpcSecurityGroupIds": ["sg"],
}


@pytest.mark.parametrize("name", sorted(name for name, parameter in template()["Parameters"].items() if "AllowedPattern" in parameter))
def test_the_pattern_of(name):
    pattern = template()["Parameters"][name]["AllowedPattern"]
    assert [value for value in ACCEPTED[name] if not re.fullmatch(pattern, value)] == []
    assert [value for value in REFUSED[name] if re.fullmatch(pattern, value)] == []


def wrong_for_the_function():
    """(variable, value) that stop the function: the table of its own tests."""
    rows = re.search(r"const WRONG: .*?\n\];", (ROOT / "tests" / "it" / "settings.rs").read_text(), re.DOTALL)[0]
    return [(name, value) for name, value in re.findall(r'^    \(\s*"(\w+)",\s*"(.*?)",\s*"', rows, re.MULTILINE) if name not in FROM_RESOURCES | {"AWS_REGION"}]


# Only the function knows its Region, and which places have none.
ONLY_THE_FUNCTION_SEES = {
    ("SOURCE_REGIONS", "eu-west-1"),
    ("SOURCE_REGIONS", "us-east-1,cn-north-1"),
    ("KMS_KEY_ID", "arn:aws:kms:us-east-1:123456789012:key/0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e"),
}


def takes(parameter, value):
    if "AllowedValues" in parameter:
        return value in map(str, parameter["AllowedValues"])
    if parameter["Type"] == "Number":
        return value.isdigit() and parameter["MinValue"] <= int(value) <= parameter["MaxValue"]
    return re.fullmatch(parameter["AllowedPattern"], value) is not None


def test_what_stops_the_function_is_refused_at_deployment():
    wrong = wrong_for_the_function()
    assert len(wrong) > 50
    parameters = template()["Parameters"]
    assert {(name, value) for name, value in wrong if takes(parameters[pascal(name)], value)} == ONLY_THE_FUNCTION_SEES


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({}, None),
        ({"ShareWith": "111122223333"}, None),
        ({"Encrypted": "true"}, None),
        ({"Encrypted": "true", "ShareWith": "111122223333"}, "ShareWith"),
        ({"Encrypted": "true", "ShareWith": "111122223333", "KmsKeyId": KEY}, None),
        ({"ShareWith": "111122223333", "KmsKeyId": "alias/aws/ebs"}, "ShareWith"),
        ({"KmsKeyId": "alias/aws/ebs"}, None),
        ({"ShareWith": "all"}, None),
        ({"ShareWith": "all", "Encrypted": "true"}, "ShareWith=all"),
        ({"ShareWith": "all", "KmsKeyId": KEY}, "ShareWith=all"),
        ({"KmsKeyId": KEY, "Encrypted": "false"}, "KmsKeyId"),
        ({"Reconcile": "false"}, None),
        ({"ShareExactly": "true"}, None),
        ({"ShareExactly": "true", "Reconcile": "false"}, "Reconcile"),
        ({"VpcSubnetIds": "subnet-1"}, "VpcSubnetIds"),
        ({"VpcSecurityGroupIds": "sg-1"}, "VpcSecurityGroupIds"),
        ({"VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}, None),
    ],
    ids=str,
)
def test_the_rules_refuse_at_deployment(parameters, refused):
    answers = refused_by_rules(template(), parameters)
    assert len(answers) == (1 if refused else 0)
    assert all(refused in answer for answer in answers)


@pytest.mark.parametrize("name", ["template.yaml", "source-region.yaml"])
@pytest.mark.parametrize(
    ("region", "topic", "boundary"),
    [
        ("eu-west-1", "arn:aws:sns:eu-west-1:123456789012:alarms", "arn:aws:iam::123456789012:policy/team/boundary"),
        ("cn-north-1", "arn:aws-cn:sns:cn-north-1:123456789012:alarms", "arn:aws-cn:iam::123456789012:policy/team/boundary"),
    ],
)
def test_a_name_stands_for_what_has_it_in_the_account_and_region_of_the_stack(name, region, topic, boundary):
    """So that one stack set can give it to all."""
    source, parameters = template(name), {"AlarmTopicArn": "alarms", "PermissionsBoundaryArn": "team/boundary"}
    parameters |= {"EventBusArns": "arn:aws:events:eu-west-1:123456789012:event-bus/default"} if name == "source-region.yaml" else {"SourceRegions": "any"}
    resources = rendered(source, parameters, region=region)
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    assert alarms and [alarm["AlarmActions"] for alarm in alarms] == [[topic]] * len(alarms)
    assert resources["Role"]["Properties"]["PermissionsBoundary"] == boundary


def test_the_queues_take_the_alias_of_a_key():
    for queue in of_type(rendered(template(), {**options(), "QueueKmsKeyArn": "alias/queues"}), "AWS::SQS::Queue").values():
        assert (queue["KmsMasterKeyId"], queue["SqsManagedSseEnabled"]) == ("alias/queues", False)
