"""Gaps of LocalStack's services. Each function fills one, and says which."""

import functools
import hashlib
import json
import os

from localstack.aws.connect import connect_to
from localstack.runtime import hooks
from localstack.utils.patch import patch


@hooks.on_runtime_create()
def loopback_only():
    """LocalStack listens on all addresses, whatever GATEWAY_LISTEN says."""
    from twisted.internet import endpoints

    endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")


@hooks.on_infra_start()
def fill():
    """All gaps but that of the address; with GAPS=open none, to see what LocalStack does by itself."""
    the_files_of_s3()
    if os.environ.get("GAPS") == "open":
        return
    from as_process import cloudformation

    the_log_group_that_the_function_names()
    the_kind_of_a_changed_parameter()
    the_id_of_key_material()
    the_metrics_in_the_log()
    cloudformation.fill()


def the_files_of_s3():
    """LocalStack writes them to a fixed folder of the system, whatever TMPDIR says. Two LocalStacks share it."""
    import tempfile

    from localstack.services.s3 import provider

    provider.DEFAULT_S3_TMP_DIR = f"{tempfile.gettempdir()}/s3"


def the_log_group_that_the_function_names():
    """LocalStack writes to /aws/lambda/NAME, whatever LoggingConfig says."""
    from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment

    default = ExecutionEnvironment.get_log_group_name

    def get_log_group_name(self):
        return (self.function_version.config.logging_config or {}).get("LogGroup") or default(self)

    ExecutionEnvironment.get_log_group_name = get_log_group_name


def the_kind_of_a_changed_parameter():
    """LocalStack's "Parameter Store Change" has neither the type nor the data type, and calls each change "Create".

    docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html
    """
    from localstack.services.ssm.provider import SsmProvider

    def notify(account_id, region_name, name, operation):
        clients = connect_to(aws_access_key_id=account_id, region_name=region_name)
        detail = {"name": name, "operation": operation}
        if operation == "Create":
            parameter = clients.ssm.get_parameter(Name=name)["Parameter"]
            detail |= {"type": parameter["Type"], "dataType": parameter.get("DataType", "text")}
            detail["operation"] = "Create" if parameter["Version"] == 1 else "Update"
        arn = f"arn:aws:ssm:{region_name}:{account_id}:parameter/{name.lstrip('/')}"
        entry = {"Source": "aws.ssm", "DetailType": "Parameter Store Change", "Detail": json.dumps(detail), "Resources": [arn]}
        clients.events.put_events(Entries=[entry])

    SsmProvider._notify_event_subscribers = staticmethod(notify)


def the_id_of_key_material():
    """LocalStack's KMS gives bytes to uuid5, which Python takes since 3.12. So no key can be made on 3.11."""
    from localstack.services.kms.models import KmsKey

    KmsKey.generate_key_material_id = lambda self, key_material: hashlib.sha256(key_material).hexdigest()


def the_metrics_in_the_log():
    """LocalStack's logs hold metrics in the embedded format, and CloudWatch never hears of them.

    docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    from localstack.services.lambda_.invocation.version_manager import LambdaVersionManager

    @patch(LambdaVersionManager.store_logs)
    def store_logs(fn, self, invocation_result, execution_env):
        for line in (invocation_result.logs or "").splitlines():
            if line.startswith('{"_aws"'):
                _put(json.loads(line), self.function_version.id)
        return fn(self, invocation_result, execution_env)

    def _put(document, function):
        client = connect_to(aws_access_key_id=function.account, region_name=function.region).cloudwatch
        for directive in document["_aws"]["CloudWatchMetrics"]:
            data = []
            for dimensions in directive["Dimensions"]:
                named = [{"Name": name, "Value": document[name]} for name in dimensions]
                for metric in directive["Metrics"]:
                    values = document[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        data.append({"MetricName": metric["Name"], "Dimensions": named, "Value": value, "Unit": metric.get("Unit", "None")})
            client.put_metric_data(Namespace=directive["Namespace"], MetricData=data)
