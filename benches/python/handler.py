"""The same work, written the usual way: boto3, clients created in the module, one record after the other."""

import json
import os
import uuid

import boto3

REGION = os.environ["AWS_REGION"]
OWNERS = ["self"]
CLIENTS = {REGION: boto3.client("ec2", region_name=REGION)}
EVENTS = boto3.client("events", region_name=REGION)


def ec2(region):
    if region not in CLIENTS:
        CLIENTS[region] = boto3.client("ec2", region_name=region)
    return CLIENTS[region]


def copy(source_image_id, source_region, name=None):
    source = ec2(source_region).describe_images(
        ImageIds=[source_image_id], Owners=OWNERS, IncludeDisabled=True, IncludeDeprecated=True
    )["Images"][0]
    copies = ec2(REGION).describe_images(
        Owners=["self"],
        Filters=[
            {"Name": "source-image-id", "Values": [source_image_id]},
            {"Name": "source-image-region", "Values": [source_region]},
        ],
        IncludeDisabled=True,
        IncludeDeprecated=True,
        MaxResults=1000,
    )["Images"]
    alive = [image for image in copies if image["State"] in ("pending", "available", "disabled")]
    if alive:
        return {"Outcome": "AlreadyCopied", "ImageId": alive[0]["ImageId"]}
    tags = [
        {"Key": "ami-courier:source-image", "Value": source_image_id},
        {"Key": "ami-courier:source-region", "Value": source_region},
        *(tag for tag in source.get("Tags", []) if not tag["Key"].startswith("aws:")),
    ]
    call = {
        "SourceImageId": source_image_id,
        "SourceRegion": source_region,
        "Name": name or source["Name"],
        "Description": source.get("Description", ""),
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
    }
    token = str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([REGION, call], sort_keys=True)))
    image_id = ec2(REGION).copy_image(ClientToken=token, **call)["ImageId"]
    ec2(REGION).describe_images(ImageIds=[image_id], IncludeDisabled=True, IncludeDeprecated=True)
    outcome = {"Outcome": "Started", "ImageId": image_id, "SourceImageId": source_image_id, "SourceRegion": source_region}
    EVENTS.put_events(
        Entries=[{"Source": "ami-courier", "DetailType": "AMI Copy State Change", "Detail": json.dumps(outcome)}]
    )
    print(json.dumps(outcome))
    return outcome


def handler(event, context):
    if "Records" not in event:
        return copy(event["SourceImageId"], event["SourceRegion"], event["Name"])
    failures = []
    for record in event["Records"]:
        try:
            announcement = json.loads(record["body"])
            copy(announcement["detail"]["ImageId"], announcement["region"])
        except Exception as error:
            print(error)
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}
