"""The linters: cfn-lint with its serverless rules, checkov, parliament, and for the CI workflow zizmor. Each is seen to complain when it should."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import parliament
import pytest
from stack import ROOT, options, rendered, statements, template
from test_permissions import STAR_BY_AWS, UNKNOWN_TO_PARLIAMENT, WITHOUT_RESOURCE

TEMPLATES = ["template.yaml", "source-region.yaml"]
BUSES = "arn:aws:events:eu-west-1:123456789012:event-bus/default"
HERE = Path(sys.executable).parent
# It has an environment of its own (tests/requirements-checkov.txt).
CHECKOV = os.environ.get("CHECKOV", ROOT / "target" / "gate" / "checkov" / "bin" / "checkov")


def run(*command):
    return subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=300)


def cfn_lint(path):
    return run(HERE / "cfn-lint", "--append-rules", "cfn_lint_serverless.rules", "--include-checks", "I", "--", path)


def checkov(path):
    return run(CHECKOV, "--framework", "cloudformation", "--skip-download", "--compact", "--quiet", "-f", path)


def zizmor(path):
    return run(HERE / "zizmor", "--offline", "--persona", "pedantic", path)


def without(tmp_path, name, line):
    """A copy of the file `name` in which the one line that contains `line` is gone."""
    text = (ROOT / name).read_text()
    assert len([found for found in text.splitlines() if line in found]) == 1, line
    copy = tmp_path / Path(name).name
    copy.write_text("".join(found for found in text.splitlines(keepends=True) if line not in found))
    return copy


@pytest.mark.parametrize("name", TEMPLATES)
def test_cfn_lint_finds_nothing(name):
    result = cfn_lint(name)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("line", ["Tracing: Active", "  NamesSourceRegions: !Not", "DeletionPolicy: Delete"])
def test_cfn_lint_complains_without(tmp_path, line):
    assert cfn_lint(without(tmp_path, "template.yaml", line)).returncode != 0


@pytest.mark.parametrize("name", TEMPLATES)
def test_checkov_finds_nothing_in_the_template(name):
    result = checkov(name)
    assert result.returncode == 0 and "Failed checks: 0" in result.stdout, result.stdout + result.stderr


def as_created(tmp_path, name, parameters, change=lambda resources: None):
    """The template as CloudFormation would create it, with the suppressions that it carries."""
    resources = rendered(template(name), parameters)
    change(resources)
    path = tmp_path / "created.json"
    path.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
    return path


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("template.yaml", options()), ("template.yaml", options("all")), ("source-region.yaml", {"EventBusArns": BUSES})],
    ids=["courier, no option", "courier, every option", "source Region"],
)
def test_checkov_finds_nothing_in_what_is_created(tmp_path, name, parameters):
    result = checkov(as_created(tmp_path, name, parameters))
    assert result.returncode == 0 and "Failed checks: 0" in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("rule", "break_it"),
    [
        ("CKV_AWS_116", lambda resources: resources["Function"]["Properties"].pop("DeadLetterConfig")),
        ("CKV_AWS_63", lambda resources: statements(resources)[0].update(Action="*")),
        ("CKV_AWS_60", lambda resources: resources["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0].update(Principal={"AWS": "*"})),
        ("CKV_AWS_158", lambda resources: resources["LogGroup"].pop("Metadata")),
    ],
)
def test_checkov_complains_of(tmp_path, rule, break_it):
    result = checkov(as_created(tmp_path, "template.yaml", options(), break_it))
    assert result.returncode != 0 and rule in result.stdout, result.stdout


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_suppression_has_its_reason(name):
    lines = (ROOT / name).read_text().splitlines()
    for number, line in enumerate(lines):
        if "ignore_checks" in line:
            assert lines[number - 1].strip().startswith("# "), f"{name}:{number + 1}: no reason above"
        if re.search(r"- id: CKV", line):
            assert re.match(r"\s+comment: \S.{20,}", lines[number + 1]), f"{name}:{number + 2}: no reason below"


def findings(policy):
    """What parliament says of a policy's statements, each analysed alone so that a finding names its own."""
    # GetAtt is left as it is by the rendering; any ARN of the service will do.
    arns = {"Queue.Arn": "sqs:eu-west-1:123456789012:queue", "DeadLetterQueue.Arn": "sqs:eu-west-1:123456789012:letters"}
    arns["LogGroup.Arn"] = "logs:eu-west-1:123456789012:log-group:name:*"
    for statement in policy:
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        for attribute, arn in arns.items():
            text = text.replace(f'"{attribute}"', f'"arn:aws:{arn}"')
        for finding in parliament.analyze_policy_string(text).findings:
            if finding.issue == "UNKNOWN_ACTION" and finding.detail.split()[-1] in WITHOUT_RESOURCE | UNKNOWN_TO_PARLIAMENT:
                continue
            if finding.issue == "RESOURCE_STAR" and statement["Sid"] in STAR_BY_AWS:
                continue
            yield f"{statement['Sid']}: {finding.issue} {finding.detail}"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("template.yaml", options()), ("template.yaml", options("all")), ("source-region.yaml", {"EventBusArns": BUSES})],
    ids=["courier, no option", "courier, every option", "source Region"],
)
def test_parliament_finds_nothing(name, parameters):
    assert list(findings(statements(rendered(template(name), parameters)))) == []


@pytest.mark.parametrize(
    "part",
    [
        {"Action": "ec2:CopyImages"},
        {"Action": "ec2:*", "Resource": "*"},
        {"Action": "ec2:CopyImage", "Resource": "arn:aws:s3:::bucket"},
        {"Action": "ec2:CopyImage", "Resource": "*"},
        {"Condition": {"StringEquals": {"ec2:NoSuchKey": "x"}}},
        {"Condition": {"StringEqual": {"aws:RequestedRegion": "x"}}},
    ],
    ids=str,
)
def test_parliament_complains_of(part):
    (good,) = [statement for statement in statements(rendered(template(), options())) if statement["Sid"] == "Copy"]
    assert not list(findings([good]))
    assert list(findings([{**good, **part}]))


def test_zizmor_finds_nothing_in_the_workflow():
    result = zizmor(".github/workflows/ci.yml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_zizmor_complains_of_an_action_that_is_not_pinned(tmp_path):
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    copy = tmp_path / ".github" / "workflows" / "ci.yml"
    copy.parent.mkdir(parents=True)
    copy.write_text(re.sub(r"(uses: \S+)@[0-9a-f]{40} # (\S+)", r"\1@\2", workflow, count=1))
    assert copy.read_text() != workflow
    assert zizmor(copy).returncode != 0
