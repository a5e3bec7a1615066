"""A courier in an account of its own, and what its user does and sees: the stack in the destination Region, that of the source Region, AMIs, messages, letters."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

from aws import EU, US, Aws, until
from servers import UNHEARD

STACK, SOURCE = "ami-courier", "ami-courier-source"
FINISHED, SOURCE_IMAGE = "ami-courier:finished", "ami-courier:source-image"


def tags_of(thing):
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


class Courier:
    def __init__(self, servers, release, account, region=EU):
        self.aws, self.release, self.region = Aws(servers, account), release, region
        self.template = (release / "ami-courier.template.json").read_text()
        self.source_template = (release / "source-region.yaml").read_text()

    # ---- The stacks

    def create(self, **parameters):
        self.update(**{**self.upload(), "SourceRegions": US, **parameters})
        return self

    def upload(self):
        """Puts the code into a bucket; the parameter that names it."""
        s3, (code,), bucket = self.client("s3"), self.release.glob("ami-courier-*-x86_64.zip"), f"code-{self.aws.account}-{self.region}"
        if bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.region})
        s3.upload_file(str(code), bucket, code.name)
        return {"CodeBucket": bucket}

    def update(self, template=None, **parameters):
        """To another template, if there is one, and to these parameters."""
        text = json.dumps(template, separators=(",", ":"), ensure_ascii=False) if isinstance(template, dict) else template
        self.aws.deploy(self.region, STACK, text or self.template, parameters)

    def forward(self, aws=None, **parameters):
        """The stack of the source Region, of this account or another."""
        (aws or self.aws).deploy(US, SOURCE, self.source_template, {"EventBusArns": self.outputs["EventBusArn"], **parameters})
        return self

    @property
    def outputs(self):
        return self.aws.outputs(self.region, STACK)

    def resources(self, kind=None):
        return self.aws.resources(self.region, STACK, kind)

    def client(self, service, region=None):
        return self.aws.client(service, region or self.region)

    # ---- AMIs

    def register(self, name, region=US, **tags):
        tags = [{"ResourceType": "image", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}] if tags else []
        device = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}
        return self.client("ec2", region).register_image(Name=name, RootDeviceName="/dev/xvda", BlockDeviceMappings=[device], TagSpecifications=tags)["ImageId"]

    def unheard(self, name, region=US, **tags):
        """An AMI whose own event is lost, as EC2's can be."""
        return self.register(f"{UNHEARD}{name}", region, **tags)

    def tag(self, image, region=US, **tags):
        self.client("ec2", region).create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])

    def copies(self, source):
        found = self.client("ec2").describe_images(Owners=["self"], Filters=[{"Name": f"tag:{SOURCE_IMAGE}", "Values": [source]}])
        return found["Images"]

    def finished(self, source, seconds=120):
        """The copy of `source`, once it is finished. There is never a second one."""

        def look():
            copies = self.copies(source)
            assert len(copies) <= 1, copies
            return copies and FINISHED in tags_of(copies[0]) and copies[0]

        return until(look, lambda: f"a finished copy of {source}; the log has {self.outcomes(source)}, there are {self.copies(source)}", seconds)

    # ---- Messages

    def tell(self, source, kind, detail, region=None, resources=(), event_region=None, account=None, bus="default"):
        """Puts an event onto a bus; `event_region` and `account` say where it comes from."""
        entry = {"Source": source, "DetailType": kind, "Detail": json.dumps(detail), "Resources": list(resources), "EventBusName": bus}
        if event_region or account:
            # LocalStack's way to keep both.
            entry["TraceHeader"] = json.dumps({"original_region": event_region or region or self.region, "original_account": account or self.aws.account})
        assert self.client("events", region).put_events(Entries=[entry])["FailedEntryCount"] == 0

    def announce(self, image, region=US):
        """EC2's event, once more, as the forwarder of its Region brings it."""
        detail = {"RequestId": "again", "ImageId": image, "State": "available", "ErrorMessage": ""}
        self.tell("aws.ec2", "EC2 AMI State Change", detail, resources=[f"arn:aws:ec2:{region}::image/{image}"], event_region=region)

    def send(self, body, **options):
        text = body if isinstance(body, str) else json.dumps(body)
        return self.client("sqs").send_message(QueueUrl=self.outputs["QueueUrl"], MessageBody=text, **options)["MessageId"]

    def request(self, image, name, region=US, **more):
        return {"SourceImageId": image, "SourceRegion": region, "Name": name, **more}

    def invoke(self, payload):
        """The error, if there is one, and the answer."""
        answer = self.client("lambda").invoke(FunctionName=self.outputs["FunctionName"], Payload=json.dumps(payload))
        return answer.get("FunctionError"), json.loads(answer["Payload"].read() or b"null")

    def invoke_later(self, payload):
        self.client("lambda").invoke(FunctionName=self.outputs["FunctionName"], InvocationType="Event", Payload=json.dumps(payload))

    # ---- What became of them

    def lines(self):
        return [line["fields"] | {"at": line["timestamp"]} for line in self.aws.log(self.outputs["LogGroupName"], self.region) if "fields" in line]

    def outcomes(self, image):
        return [line.get("outcome") for line in self.lines() if line.get("source_image") == image]

    def outcome(self, image, wanted, seconds=120):
        """The log's first line about the AMI with that outcome."""
        look = lambda: next((line for line in self.lines() if line.get("source_image") == image and line.get("outcome") == wanted), None)  # noqa: E731
        return until(look, lambda: f"{wanted} for {image}, not {self.outcomes(image)}", seconds)

    def waiting(self):
        """What is in the queue but for second looks: the courier's own, a quarter of an hour after it started a copy that was not visible yet."""
        return [message for message in self.aws.messages(self.outputs["QueueUrl"], self.region) if '"SecondLook"' not in message["Body"]]

    def letters(self, count=1, seconds=120):
        """So many dead letters, neither more nor fewer: bodies, and attributes as text."""
        url = self.outputs["DeadLetterQueueUrl"]
        until(lambda: len(self.aws.messages(url, self.region)) >= count, lambda: f"{count} dead letters, not {self.aws.messages(url, self.region)}", seconds)
        letters = [(found["Body"], _attributes(found)) for found in self.aws.messages(url, self.region)]
        assert len(letters) == count, letters
        return letters

    def forget_letters(self):
        self.client("sqs").purge_queue(QueueUrl=self.outputs["DeadLetterQueueUrl"])

    # ---- What an operator does

    @property
    def mapping(self):
        (found,) = self.client("lambda").list_event_source_mappings(FunctionName=self.outputs["FunctionName"])["EventSourceMappings"]
        return found

    @contextmanager
    def at_rest(self):
        """Lambda takes no message out of the queue."""
        client, mapping = self.client("lambda"), self.mapping["UUID"]

        def turn(on):
            client.update_event_source_mapping(UUID=mapping, Enabled=on)
            state = "Enabled" if on else "Disabled"
            until(lambda: client.get_event_source_mapping(UUID=mapping)["State"] == state, f"the mapping to be {state}")

        turn(False)
        try:
            yield
        finally:
            turn(True)

    def kill(self):
        """Ends the processes of the function, which LocalStack on this machine has started; how many there were."""
        count, function = 0, self.outputs["FunctionName"]
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_text().rstrip("\0")
                if function in command and command.endswith("/bootstrap"):
                    os.kill(int(path.parent.name), 9)
                    count += 1
            except OSError:
                continue
        return count


def _attributes(message):
    found = message.get("MessageAttribute") or []
    found = found if isinstance(found, list) else [found]
    return {one["Name"]: one["Value"]["StringValue"] for one in found}
