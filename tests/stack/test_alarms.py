"""No alarm sounds in a stack where all is well, and each failure makes one sound: the alarms of the templates, evaluated on the metrics of days."""

import heapq
from functools import cache

import pytest
from alarms import Metrics, rings
from stack import created, of_type, options, template

HOUR, DAY = 60, 24 * 60
BUSES = {"EventBusArns": "arn:aws:events:eu-west-1:123456789012:event-bus/default"}
# SQS may take so long to show the metrics of a queue that was idle: docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html
LATE = 15


@cache
def resources(name="template.yaml"):
    return created(template(name), options("all") if name == "template.yaml" else BUSES)


def alarms(name="template.yaml"):
    return of_type(resources(name), "AWS::CloudWatch::Alarm")


class World(Metrics):
    """The metrics of one stack."""

    def of_function(self, name, minute, value=1, namespace="ami-courier"):
        function = next(part["Value"] for part in alarms()["ErrorAlarm"]["Dimensions"])
        self.put(namespace, name, {"FunctionName": function}, minute, value)

    def of_queue(self, queue, name, minute, value, late=0):
        self.put("AWS/SQS", name, {"QueueName": name_of(queue)}, minute, value, late)

    def letters(self, number, start, end, late=0):
        """So many letters lie in the dead-letter queue from one minute to another."""
        for minute in range(start, end):
            self.of_queue("DeadLetterQueue", "ApproximateNumberOfMessagesVisible", minute, number, late)

    def of_rule(self, rule, name, minute, template_name="template.yaml"):
        dimensions = {"RuleName": arn_of_rule(rule, template_name).rpartition("/")[2]}
        if "EventBusName" in resources(template_name)[rule]["Properties"]:
            dimensions["EventBusName"] = resources(template_name)[rule]["Properties"]["EventBusName"]
        self.put("AWS/Events", name, dimensions, minute, 1)

    def sweeps(self, every, until, first=None):
        for minute in range(first if first is not None else every, until, every):
            self.of_function("SweepCompleted", minute)
            for name in ("OldestCopyInProgressSeconds", "CopiesInProgress", "MissedFound", "UnfinishedFound"):
                self.of_function(name, minute, 0)

    def sounds(self, until, name="template.yaml"):
        """Each alarm that sounds, with the minutes."""
        self.sort()
        return {alarm: found for alarm, properties in alarms(name).items() if (found := rings(properties, self, until))}


def name_of(queue):
    return (resources()[queue]["Properties"].get("QueueName") or arn_of_dead_letters()).rpartition(":")[2]


def arn_of_dead_letters():
    return resources()["Queue"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]


def arn_of_rule(rule, name):
    """As the policy of the queue that the rule may send to names it."""
    policies = of_type(resources(name), "AWS::SQS::QueuePolicy").values()
    named = [arn for policy in policies for s in policy["PolicyDocument"]["Statement"] for arn in as_listed(s.get("Condition", {}).get("ArnEquals", {}))]
    return next(arn for arn in named if f"-{rule}-" in arn)


def as_listed(condition):
    value = condition.get("aws:SourceArn", [])
    return value if isinstance(value, list) else [value]


# ---------------------------------------------------------------------------------------------------- all is well


def busy(world, until):
    """A copy every three hours, from a message that is handled at once."""
    for minute in range(90, until, 3 * HOUR):
        world.of_function("Started", minute)
        world.of_queue("Queue", "ApproximateAgeOfOldestMessage", minute, 5)


def idle_letters(world):
    """A queue is active for six hours after it was made, and then SQS reports nothing."""
    world.letters(0, 0, 6 * HOUR)


@pytest.mark.parametrize(
    ("every", "first"),
    [(HOUR, HOUR), (DAY, DAY), (DAY, DAY - 1), (DAY + 3, DAY)],
    ids=["each hour", "each day", "a day before its end", "each day, each time minutes later"],
)
def test_no_alarm_sounds_in_the_first_week(every, first):
    world, week = World(), 7 * DAY
    world.sweeps(every, week, first)
    busy(world, week)
    idle_letters(world)
    assert world.sounds(week) == {}


def test_no_alarm_sounds_where_nothing_is_ever_copied():
    world = World()
    world.sweeps(HOUR, 5 * DAY)
    idle_letters(world)
    assert world.sounds(5 * DAY) == {}


def backfill(world, messages, minutes_of_a_copy, at_once=20, sent=HOUR):
    """A thousand messages at once, and as many copies at the same time as EC2 makes: docs/behaviour.md#limits. Gives the minute of the last start."""
    # The first receives of all take minutes; then each waits for a minute to an hour, as the function backs off at EC2's limits.
    due = [(sent + 1 + number // 100, number) for number in range(messages)]
    ends, last, random = [], 0, 1
    heapq.heapify(due)
    while due:
        minute, number = heapq.heappop(due)
        while ends and ends[0] <= minute:
            heapq.heappop(ends)
        if len(ends) < at_once:
            heapq.heappush(ends, minute + minutes_of_a_copy)
            world.of_function("Started", minute)
            last = minute
        else:
            random = (25173 * random + 13849) % 65536
            world.of_function("RetriedMessageAgeSeconds", minute, (minute - sent) * 60)
            heapq.heappush(due, (minute + 1 + random * 60 // 65536, number))
    for minute in range(sent, sent + 20):
        world.of_queue("Queue", "ApproximateAgeOfOldestMessage", minute, (minute - sent) * 60)
    return last


@pytest.mark.parametrize(("minutes_of_a_copy", "hours"), [(20, 20), (60, 54), (100, 90)])
def test_no_alarm_sounds_in_a_first_backfill_of_a_thousand(minutes_of_a_copy, hours):
    world, until = World(), 5 * DAY
    world.sweeps(HOUR, until)
    idle_letters(world)
    last = backfill(world, 1000, minutes_of_a_copy)
    # It does take that long: otherwise nothing would be tested.
    assert 16 * HOUR < last < hours * HOUR
    assert world.sounds(until) == {}


def test_no_alarm_sounds_where_somebody_reads_the_letters_or_sends_them_back():
    world = World()
    world.sweeps(HOUR, 3 * DAY)
    world.letters(3, 0, 2 * DAY)
    before = world.sounds(3 * DAY)
    # Half a minute hides them: one of the reports of a minute misses them.
    for minute in (DAY, DAY + 7, DAY + 8):
        world.of_queue("DeadLetterQueue", "ApproximateNumberOfMessagesVisible", minute, 0)
    world.letters(0, 2 * DAY, 2 * DAY + HOUR)
    assert world.sounds(3 * DAY) == before == {"DeadLetterAlarm": before["DeadLetterAlarm"]}
    assert len(before["DeadLetterAlarm"]) == 1


# ---------------------------------------------------------------------------------------------------- each failure has its alarm


def letter_of_the_function(world, at):
    world.of_queue("DeadLetterQueue", "NumberOfMessagesSent", at, 1, LATE)


def letter_that_sqs_moved(world, at):
    """SQS does not count it as sent: docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
    world.letters(1, at, at + 6 * HOUR, LATE)


def stuck(metric):
    def grow(world, at):
        for minute in range(at, at + DAY, 10):
            world.of_function(metric, minute, (minute - at) * 60) if metric == "RetriedMessageAgeSeconds" else world.of_queue("Queue", metric, minute, (minute - at) * 60)

    return grow


def counted(metric, namespace="ami-courier", value=1, times=1):
    def count(world, at):
        for number in range(times):
            world.of_function(metric, at + 5 * number, value, namespace)

    return count


def of_each_rule(metric, rule):
    return lambda world, at: world.of_rule(rule, metric, at)


# A rule that mails reasons loses a mail: that of the alarm comes all the same.
RULES = sorted(set(of_type(resources(), "AWS::Events::Rule")) - {"FailureRule"})
FAILURES = {
    # what happens: (how the metrics show it, the alarm, hours until it must have sounded)
    "the function sets a message aside": (letter_of_the_function, "DeadLetterAlarm", 1),
    "SQS moves a message": (letter_that_sqs_moved, "DeadLetterAlarm", 1),
    "messages are retried, and nothing is copied": (stuck("RetriedMessageAgeSeconds"), "OldestMessageAlarm", 6),
    "nothing takes messages out of the queue": (stuck("ApproximateAgeOfOldestMessage"), "OldestMessageAlarm", 6),
    "the function fails": (counted("Errors", "AWS/Lambda", times=3), "ErrorAlarm", 1),
    "Lambda throttles the function": (counted("Throttles", "AWS/Lambda", times=3), "ThrottleAlarm", 1),
    "Lambda loses an asynchronous invocation": (counted("DeadLetterErrors", "AWS/Lambda"), "LostInvocationAlarm", 1),
    "a copy takes twelve hours": (counted("OldestCopyInProgressSeconds", value=43201), "SlowCopyAlarm", 2),
    "what a sweep announced is rejected": (counted("RejectedFound"), "RejectionAlarm", 1),
    "a retirement is held for 30 days": (counted("RetirementHeldDays", value=30), "HeldRetirementAlarm", 1),
    **{f"{rule} cannot deliver": (of_each_rule("FailedInvocations", rule), "FailedDeliveryAlarm", 1) for rule in RULES},
    **{f"{rule} loses an event": (of_each_rule("InvocationsFailedToBeSentToDlq", rule), "LostEventAlarm", 1) for rule in RULES},
}


@pytest.mark.parametrize(("happens", "alarm", "hours"), FAILURES.values(), ids=FAILURES)
def test_an_alarm_sounds_when(happens, alarm, hours):
    world, at = World(), 3 * DAY
    world.sweeps(HOUR, 5 * DAY)
    happens(world, at)
    found = world.sounds(5 * DAY)
    assert list(found) == [alarm]
    assert at < found[alarm][0] <= at + hours * HOUR


def test_an_alarm_sounds_when_no_sweep_finishes_any_more():
    world = World()
    world.sweeps(HOUR, 3 * DAY)
    (at,) = world.sounds(7 * DAY)["SweepAlarm"]
    assert 5 * DAY - HOUR <= at <= 5 * DAY + HOUR


def test_an_alarm_sounds_when_no_sweep_has_finished_in_the_first_two_days():
    assert World().sounds(4 * DAY) == {"SweepAlarm": [2 * DAY]}


@pytest.mark.parametrize("how", [letter_of_the_function, letter_that_sqs_moved])
def test_the_alarm_sounds_again_for_a_new_letter_while_an_old_one_lies_there(how):
    world = World()
    world.sweeps(HOUR, 7 * DAY)
    world.letters(1, DAY, 3 * DAY)
    world.letters(2, 3 * DAY, 5 * DAY)
    if how is letter_of_the_function:
        letter_of_the_function(world, 3 * DAY)
    first, second = world.sounds(7 * DAY)["DeadLetterAlarm"]
    assert DAY < first <= DAY + HOUR and 3 * DAY < second <= 3 * DAY + HOUR


def test_the_alarm_sounds_for_letters_that_come_back():
    world = World()
    world.sweeps(HOUR, 3 * DAY)
    world.letters(5, DAY, 2 * DAY)
    world.letters(0, 2 * DAY, 2 * DAY + HOUR)
    world.letters(5, 2 * DAY + HOUR, 3 * DAY)
    assert len(world.sounds(3 * DAY)["DeadLetterAlarm"]) == 2


@pytest.mark.parametrize("metric", ["FailedInvocations", "InvocationsSentToDlq", "InvocationsFailedToBeSentToDlq"])
def test_an_alarm_of_the_source_region_sounds_when_an_event_is_not_forwarded(metric):
    world = World()
    world.of_rule("Rule", metric, DAY, "source-region.yaml")
    assert list(world.sounds(2 * DAY, "source-region.yaml")) == ["ForwardingAlarm"]
    assert World().sounds(2 * DAY, "source-region.yaml") == {}


def test_each_alarm_has_a_failure_here():
    assert {alarm for _, alarm, _ in FAILURES.values()} | {"SweepAlarm"} == set(alarms())
    assert set(alarms("source-region.yaml")) == {"ForwardingAlarm"}
