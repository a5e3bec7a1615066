"""Moto, an implementation of AWS that nobody here wrote: in this process, or as a server on loopback with several accounts."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.cloudformation import parsing
from moto.cloudformation.models import ChangeSet
from moto.events.models import EventBus, Rule, events_backends
from moto.server import ThreadedMotoServer
from moto.utilities.arns import parse_arn
from stack import plain_of

_clean, _send, _apply = parsing.clean_json, Rule.send_to_targets, ChangeSet.apply


def _without_none(node, resources):
    """A list drops AWS::NoValue, which moto leaves in it as None."""
    cleaned = _clean(node, resources)
    return [item for item in cleaned if item is not None] if isinstance(cleaned, list) else cleaned


def _short_enough(resource_type, stack_name, logical_id):
    """CloudFormation cuts the names that it makes to what the service takes. Moto does not, and calls a stack set's instance `StackSet:NAME`."""
    return f"{stack_name.replace(':', '-')[:20]}-{logical_id[:20]}-{parsing.random_suffix()}"


def _to_other_buses_as_it_is(rule, event, transform_input=True):
    """An event that goes to another bus keeps its account and Region, which moto replaces by those of the bus."""
    if not rule.event_pattern.matches_event(event):
        return
    targets, rest = rule.targets, []
    for target in targets:
        arn = parse_arn(target["Arn"])
        if (arn.service, arn.resource_type) == ("events", "event-bus"):
            for heard_by in events_backends[arn.account][arn.region].describe_event_bus(arn.resource_id).rules.values():
                heard_by.send_to_targets(dict(event))
        else:
            rest.append(target)
    rule.targets = rest
    _send(rule, event, transform_input)
    rule.targets = targets


def _apply_with_outputs(change_set):
    """A stack that a change set made has its outputs too."""
    _apply(change_set)
    stack = change_set.stack
    stack.output_map = parsing.OutputMap(stack.resource_map, change_set.template_dict, stack.stack_id)


@contextmanager
def as_aws_does():
    """Moto, corrected in five places."""
    with (
        patch.object(ChangeSet, "apply", _apply_with_outputs),
        patch.object(Rule, "send_to_targets", _to_other_buses_as_it_is),
        patch.object(parsing, "clean_json", _without_none),
        patch.object(parsing, "generate_resource_name", _short_enough),
        # What Ref gives for an event bus.
        patch.object(EventBus, "physical_resource_id", property(lambda bus: bus.name), create=True),
    ):
        yield


@contextmanager
def in_this_process():
    with mock_aws(config={"lambda": {"use_docker": False}}), as_aws_does():
        yield


def for_moto(source):
    """`source` as plain CloudFormation whose function moto can create. Nothing takes messages out of the queue, so that a test finds them."""
    plain = plain_of(source)
    for resource in plain["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Code"] = {"ZipFile": "moto does not run it"}
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            resource["Properties"]["Enabled"] = False
    return plain


class Aws:
    """The endpoint, and credentials for any account."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self._first = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

    def credentials(self, account):
        """Moto finds the account by the keys that it gave out for one of its roles."""
        sts = boto3.client("sts", endpoint_url=self.endpoint, region_name="us-east-1", **self._first)
        given = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/test", RoleSessionName="test")["Credentials"]
        return {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"], "aws_session_token": given["SessionToken"]}

    def client(self, service, account, region):
        return boto3.client(service, endpoint_url=self.endpoint, region_name=region, **self.credentials(account))

    def shell(self, script, account, region, folder):
        """Runs a script of AWS CLI commands; it must succeed."""
        keys = {name.upper(): value for name, value in self.credentials(account).items()}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        quiet = {"AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        # Version 1 of the CLI looks for SQS elsewhere than the variable says.
        script = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n' + script
        environment = {**os.environ, **keys, **quiet, "PATH": path, "AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": region}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def started():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        with as_aws_does():
            # By this name moto finds buckets in paths, and the templates that CloudFormation takes from them.
            yield Aws(f"http://localhost:{port}")
    finally:
        server.stop()
