"""The clients of one account, and stacks deployed as `aws cloudformation deploy` does: a change set that keeps the parameters that are not named."""

import hashlib
import json
import time
import urllib.parse
import urllib.request
import uuid

import boto3
from botocore.config import Config

EU, US, WEST = "eu-west-1", "us-east-1", "us-west-2"


def until(look, what, seconds=120):
    """What `look` finds, once it finds something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what() if callable(what) else what}: not within {seconds} seconds"
        time.sleep(0.1)
    return found


class Aws:
    def __init__(self, servers, account):
        self.servers, self.account, self._clients = servers, account, {}
        # What the last deployment said that it would change: logical id, action, and whether it replaces.
        self.changes = []

    def client(self, service, region=EU):
        if (service, region) not in self._clients:
            endpoint = self.servers.ec2_endpoint if service == "ec2" else self.servers.endpoint
            keys = {"aws_access_key_id": self.account, "aws_secret_access_key": "test"}
            config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=120)
            self._clients[service, region] = boto3.client(service, region_name=region, endpoint_url=endpoint, config=config, **keys)
        return self._clients[service, region]

    # ---- Stacks

    def deploy(self, region, name, template, parameters=None):
        """Creates or updates the stack; an update that changes nothing is none."""
        cloudformation, stack = self.client("cloudformation", region), self.stack(region, name)
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()]
        if stack:
            known = json.loads(template)["Parameters"] if template.lstrip().startswith("{") else None
            kept = {found["ParameterKey"] for found in stack.get("Parameters", [])} - set(parameters or {})
            given += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept) if known is None or key in known]
        change_set = {"StackName": name, "ChangeSetName": f"c-{uuid.uuid4().hex[:8]}"}
        kind = "UPDATE" if stack else "CREATE"
        url = self._in_bucket(region, template)
        cloudformation.create_change_set(**change_set, ChangeSetType=kind, TemplateURL=url, Parameters=given, Capabilities=["CAPABILITY_IAM"])
        made = until(lambda: _ended(cloudformation.describe_change_set(**change_set)), f"the change set of {name}")
        if made["Status"] == "FAILED" and "didn't contain changes" in made.get("StatusReason", ""):
            self.changes = []
            return
        assert made["Status"] == "CREATE_COMPLETE", made.get("StatusReason")
        changes = [change["ResourceChange"] for change in made["Changes"]]
        self.changes = [(change["LogicalResourceId"], change["Action"], change.get("Replacement")) for change in changes]
        cloudformation.execute_change_set(**change_set)
        status = until(lambda: self._settled(region, name), f"{name} to settle", 120)
        assert status == f"{kind}_COMPLETE", (status, self.failures(region, name))

    def _in_bucket(self, region, template):
        """The address of the template in a bucket, as `--s3-bucket` has it: that of the courier is too large to be sent inline."""
        s3, bucket, key = self.client("s3", region), f"templates-{self.account}-{region}", hashlib.sha256(template.encode()).hexdigest()
        if bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=bucket, **({} if region == US else {"CreateBucketConfiguration": {"LocationConstraint": region}}))
        s3.put_object(Bucket=bucket, Key=key, Body=template.encode())
        # Signed: LocalStack fetches it without an account of its own.
        return s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})

    def delete(self, region, name):
        cloudformation, stack = self.client("cloudformation", region), self.stack(region, name)
        cloudformation.delete_stack(StackName=name)
        status = until(lambda: self._settled(region, stack["StackId"]), f"{name} to be deleted", 120)
        assert status == "DELETE_COMPLETE", self.failures(region, stack["StackId"])

    def _settled(self, region, name):
        stack = self.stack(region, name)
        return stack and not stack["StackStatus"].endswith("IN_PROGRESS") and stack["StackStatus"]

    def stack(self, region, name):
        cloudformation = self.client("cloudformation", region)
        try:
            (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except cloudformation.exceptions.ClientError as error:
            assert "does not exist" in str(error), error
            return None
        return None if stack["StackStatus"] == "REVIEW_IN_PROGRESS" else stack

    def outputs(self, region, name):
        return {found["OutputKey"]: found["OutputValue"] for found in self.stack(region, name)["Outputs"]}

    def resources(self, region, name, kind=None):
        found = self.client("cloudformation", region).describe_stack_resources(StackName=name)["StackResources"]
        return {one["LogicalResourceId"]: one.get("PhysicalResourceId") for one in found if kind in (None, one["ResourceType"])}

    def failures(self, region, name):
        events = self.client("cloudformation", region).describe_stack_events(StackName=name)["StackEvents"]
        return [(one["LogicalResourceId"], one["ResourceStatus"], one.get("ResourceStatusReason")) for one in events if "FAILED" in one["ResourceStatus"]]

    # ---- Looks

    def messages(self, url, region=EU):
        """Each message of a queue, also those that wait or are in work. LocalStack's own way to look does not count as a receive."""
        name = url.rpartition("/")[2]
        query = urllib.parse.urlencode({"ShowInvisible": "true", "ShowDelayed": "true"})
        request = urllib.request.Request(f"{self.servers.endpoint}/_aws/sqs/messages/{region}/{self.account}/{name}?{query}", headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = (json.load(answer)["ReceiveMessageResponse"]["ReceiveMessageResult"] or {}).get("Message") or []
        return found if isinstance(found, list) else [found]

    def log(self, group, region=EU):
        """The fields of each JSON line of a log group."""
        logs, lines = self.client("logs", region), []
        try:
            streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        for stream in streams:
            for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, limit=10000)["events"]:
                try:
                    lines.append(json.loads(event["message"]))
                except json.JSONDecodeError:
                    continue
        return lines


def _ended(change_set):
    return change_set if change_set["Status"] in ("CREATE_COMPLETE", "FAILED") else None
