#!/usr/bin/env python3
"""A stand-in for hashicorp/aws, with the resource types and the data source of the module. Their arguments are those of the real provider (arguments.json); boto3 carries them out."""

import json
import sys
from pathlib import Path

import boto3
from tf import types
from tf.iface import DataSource, Provider, Resource
from tf.runner import run_provider
from tf.schema import Attribute, Schema
from tf.types import Unknown

ARGUMENTS = json.loads((Path(__file__).parent / "arguments.json").read_text())
KINDS = {"string": types.String(), "bool": types.Bool(), "number": types.Number(), "list": types.List(types.String()), "map": types.Map(types.String())}
# What the provider works out when it is not given.
COMPUTED = {"id", "region", "tags_all", *(ARGUMENTS["data_s3_bucket"].keys() - {"bucket"})}


def attributes(kind):
    for name, what in ARGUMENTS[kind].items():
        required = what.endswith(", required")
        replaced = name in ("bucket", "key", "name")
        kind_of = KINDS[what.removesuffix(", required")]
        yield Attribute(name, kind_of, required=required, optional=not required, computed=name in COMPUTED, requires_replace=replaced)


def known(state):
    return {name: None if value is Unknown else value for name, value in state.items()}


class S3Object(Resource):
    def __init__(self, provider):
        self.s3 = boto3.client("s3", region_name=provider.region)

    @classmethod
    def get_name(cls):
        return "s3_object"

    @classmethod
    def get_schema(cls):
        return Schema(attributes=list(attributes("s3_object")))

    def create(self, context, planned):
        planned = known(planned)
        self.s3.upload_file(planned["source"], planned["bucket"], planned["key"])
        return {**planned, "id": planned["key"], "region": self.s3.meta.region_name, "tags_all": planned["tags"] or {}}

    def read(self, context, current):
        return current

    def update(self, context, current, planned):
        return self.create(context, planned)

    def delete(self, context, current):
        self.s3.delete_object(Bucket=current["bucket"], Key=current["key"])


class S3Bucket(DataSource):
    def __init__(self, provider):
        self.s3 = boto3.client("s3", region_name=provider.region)

    @classmethod
    def get_name(cls):
        return "s3_bucket"

    @classmethod
    def get_schema(cls):
        return Schema(attributes=list(attributes("data_s3_bucket")))

    def read(self, context, config):
        region = self.s3.get_bucket_location(Bucket=config["bucket"])["LocationConstraint"]
        return {**known(config), "id": config["bucket"], "region": region, "bucket_regional_domain_name": f"{config['bucket']}.s3.{region}.amazonaws.com"}


class CloudFormationStack(Resource):
    def __init__(self, provider):
        self.cloudformation = boto3.client("cloudformation", region_name=provider.region)
        self.s3 = boto3.client("s3", region_name=provider.region)

    @classmethod
    def get_name(cls):
        return "cloudformation_stack"

    @classmethod
    def get_schema(cls):
        outputs = Attribute("outputs", types.Map(types.String()), computed=True)
        return Schema(attributes=[*attributes("cloudformation_stack"), outputs])

    def create(self, context, planned):
        return self._carry_out(self.cloudformation.create_stack, known(planned))

    def _carry_out(self, call, planned):
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in planned["parameters"].items()]
        template = {"TemplateURL": planned["template_url"]} if planned["template_url"] else {"TemplateBody": planned["template_body"]}
        call(StackName=planned["name"], **template, Capabilities=planned["capabilities"], Parameters=parameters)
        (stack,) = self.cloudformation.describe_stacks(StackName=planned["name"])["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        return {**planned, "id": stack["StackId"], "region": self.cloudformation.meta.region_name, "tags_all": planned["tags"] or {}, "outputs": outputs}

    def read(self, context, current):
        return current

    def update(self, context, current, planned):
        # If the update failed, CloudFormation would go back, and would need the old code.
        if key := current["parameters"].get("CodeKey"):
            self.s3.head_object(Bucket=current["parameters"]["CodeBucket"], Key=key)
        return self._carry_out(self.cloudformation.update_stack, known(planned))

    def delete(self, context, current):
        self.cloudformation.delete_stack(StackName=current["name"])


class Aws(Provider):
    # The environment's, unless the configuration names one.
    region = None

    def get_model_prefix(self):
        return "aws_"

    def get_provider_schema(self, diagnostics):
        return Schema(attributes=[Attribute("region", types.String(), optional=True)])

    def full_name(self):
        return "registry.terraform.io/hashicorp/aws"

    def validate_config(self, diagnostics, config):
        pass

    def configure_provider(self, diagnostics, config):
        self.region = known(config)["region"]

    def get_data_sources(self):
        return [S3Bucket]

    def get_resources(self):
        return [S3Object, CloudFormationStack]


run_provider(Aws(), sys.argv)
