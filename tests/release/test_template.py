"""The released template: what `template.yaml` says, as plain CloudFormation of less than 51,200 bytes."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import release
import smaller
from samtranslator.yaml_helper import yaml_parse
from stack import OPTIONS, ROOT, options, rendered, template

TEXT = (ROOT / "template.yaml").read_text()
CODE = {"CodeBucket": "code"}
CHECKOV = os.environ.get("CHECKOV", ROOT / "target" / "gate" / "checkov" / "bin" / "checkov")


@pytest.fixture(scope="module")
def plain(released):
    return json.loads((released / "ami-courier.template.json").read_text())


def test_it_fits_inline(released):
    size = (released / "ami-courier.template.json").stat().st_size
    print(f"{size} bytes")
    assert size <= release.MOST_BYTES


def test_a_template_that_does_not_fit_is_refused(tmp_path):
    longer = TEXT.replace("Description: The version of ami-courier.", "Value2: " + "x" * 5000 + "\n    Description: The version.")
    assert longer != TEXT
    with pytest.raises(release.NotReleasable, match="CloudFormation takes 51200 inline"):
        release.write_template(tmp_path, longer)


def test_two_runs_write_the_same_bytes(released, tmp_path):
    subprocess.run([sys.executable, ROOT / "release" / "release.py", "template", tmp_path], check=True, env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONHASHSEED": "7"})
    assert (tmp_path / "ami-courier.template.json").read_bytes() == (released / "ami-courier.template.json").read_bytes()


# ---- It means the same


def in_plain_words(resources):
    """Rendered resources in one notation: one action a statement, each metric of the dashboard in full."""
    resources = deepcopy(resources)
    for resource in resources.values():
        properties = resource["Properties"]
        resource.pop("Metadata", None)
        resource.pop("Condition", None)
        if resource["Type"] == "AWS::Events::Rule":
            properties.pop("Description", None)
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            properties["DashboardBody"] = full_metrics(json.loads(properties["DashboardBody"]))
        if resource["Type"] == "AWS::Lambda::Function":
            properties.pop("Code")
            properties.pop("Tags", None)
        for document in smaller.policies(properties):
            document["Statement"] = one_action_each(document["Statement"])
    return resources


def one_action_each(statements):
    single = [{**statement, "Action": action} for statement in statements for action in smaller.as_list(statement["Action"])]
    return sorted({json.dumps({key: value for key, value in statement.items() if key != "Sid"}, sort_keys=True) for statement in single})


def full_metrics(dashboard):
    for widget in dashboard["widgets"]:
        before = []
        for metric in widget["properties"].get("metrics", []):
            for place, part in enumerate(metric):
                if part == ".":
                    metric[place] = before[place]
            before = metric
    return dashboard


def same(plain, source, parameters):
    return in_plain_words(rendered(plain, {**CODE, **parameters})) == in_plain_words(rendered(source, parameters))


ONE_BY_ONE = [options(), options("all"), *(options(name) for name in OPTIONS), *(options("all", off=[name]) for name in OPTIONS)]


@pytest.mark.parametrize("parameters", ONE_BY_ONE, ids=["no option", "every option", *OPTIONS, *(f"all but {name}" for name in OPTIONS)])
def test_its_resources_are_those_of_the_source(plain, parameters):
    assert same(plain, template(), parameters)


@pytest.mark.parametrize(
    "change",
    [
        lambda resources: resources["Queue"]["Properties"].update(VisibilityTimeout=361),
        lambda resources: resources["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].pop(),
        lambda resources: resources["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0].update(Action="ec2:*"),
        lambda resources: resources["Function"]["Properties"]["Environment"]["Variables"].pop("SOURCE_REGIONS"),
        lambda resources: resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Join"][1]["Fn::Split"][1].update(
            {"Fn::Sub": resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Join"][1]["Fn::Split"][1]["Fn::Sub"].replace("Retired", "Started")}
        ),
        lambda resources: resources.pop("SweepAlarm"),
        lambda resources: resources["SweepAlarm"].update(Condition=resources["KeyPolicy"]["Condition"]),
        lambda resources: resources["DeadLetterQueue"].pop("DeletionPolicy"),
    ],
    ids=["a property", "a statement", "an action", "a variable", "a metric", "a resource", "a condition", "a deletion policy"],
)
def test_a_difference_is_noticed(plain, change):
    changed = deepcopy(plain)
    change(changed["Resources"])
    assert not all(same(changed, template(), parameters) for parameters in (options(), options("all"), options("SweepRate")))


def test_parameters_rules_and_outputs_are_those_of_the_source(plain):
    source = template()
    added = release.code_parameters()
    for parameter in source["Parameters"].values():
        if parameter["Type"] == "Number":
            parameter.pop("ConstraintDescription", None)
    assert plain["Parameters"] == {**added, **source["Parameters"]}
    assert plain["Rules"] == source["Rules"]
    assert set(plain["Outputs"]) == set(source["Outputs"])
    assert plain["Outputs"]["Version"]["Value"] == release.version()
    grouped = [name for group in plain["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(plain["Parameters"])
    assert "Transform" not in plain


@pytest.mark.parametrize(
    ("parameters", "bucket", "key"),
    [
        ({}, "code", f"ami-courier-{release.version()}-x86_64.zip"),
        ({"Architecture": "arm64"}, "code", f"ami-courier-{release.version()}-arm64.zip"),
        ({"CodeKey": "a/b.zip"}, "code", "a/b.zip"),
        ({"BucketPerRegion": "true"}, "code-eu-west-1", f"ami-courier-{release.version()}-x86_64.zip"),
    ],
    ids=str,
)
def test_the_code_comes_from_the_bucket(plain, parameters, bucket, key):
    function = rendered(plain, {**CODE, **parameters})["Function"]["Properties"]
    assert function["Code"] == {"S3Bucket": bucket, "S3Key": key}


# ---- What the SAM translator would change silently


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("Value: 0.1.0", "Value: 0.0.9", "output Version"),
        ("      Role: !GetAtt Role.Arn\n", "", "would make a role"),
        ("      Tracing: Active\n", "      Tracing: Active\n      AutoPublishAlias: !Ref LogLevel\n", "AutoPublishAlias"),
        ("      Tracing: Active\n", "      Tracing: Active\n      PackageType: !Ref LogLevel\n", "PackageType"),
        ("        Type: SQS\n        TargetArn", "        Type: !Ref LogLevel\n        TargetArn", "DeadLetterQueue.Type"),
        ("            BatchSize: 10\n", "            BatchSize: 10\n            Enabled: !If [Sweeps, true, false]\n", "Enabled"),
        ("  LogGroup:\n    Type: AWS::Logs::LogGroup\n", "  LogGroup:\n    Type: AWS::Serverless::SimpleTable\n", "SimpleTable"),
    ],
    ids=["version", "role", "alias", "package type", "dead letters", "enabled", "another type"],
)
def test_a_trap_of_the_translator_is_refused(old, new, why):
    broken = TEXT.replace(old, new)
    assert broken != TEXT
    with pytest.raises(release.NotReleasable, match=why):
        release.expand(broken)


def test_what_looks_like_the_dashboards_quotation_mark_is_refused():
    with pytest.raises(ValueError, match="stands for a quotation mark"):
        smaller.short_dashboard(json.dumps({"widgets": [{"properties": {"title": f"a{smaller.QUOTE}b"}}]}))


# ---- The linters


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)


def cfn_lint(path):
    return run(Path(sys.executable).parent / "cfn-lint", "--", path)


def checkov(path):
    return run(CHECKOV, "--framework", "cloudformation", "--skip-download", "--compact", "--quiet", "-f", path)


def test_cfn_lint_finds_nothing(released):
    result = cfn_lint(released / "ami-courier.template.json")
    assert result.returncode == 0, result.stdout


def test_cfn_lint_complains(plain, tmp_path):
    broken = deepcopy(plain)
    broken["Resources"]["Queue"]["Properties"]["VisibilityTimeout"] = "long"
    (tmp_path / "broken.template.json").write_text(json.dumps(broken))
    assert "E3012" in cfn_lint(tmp_path / "broken.template.json").stdout


def test_checkov_finds_nothing(released):
    result = checkov(released / "ami-courier.template.json")
    assert result.returncode == 0 and "Failed checks: 0" in result.stdout, result.stdout + result.stderr


def test_checkov_complains(plain, tmp_path):
    broken = deepcopy(plain)
    broken["Resources"]["Function"]["Properties"].pop("DeadLetterConfig")
    (tmp_path / "broken.template.json").write_text(json.dumps(broken))
    assert "CKV_AWS_116" in checkov(tmp_path / "broken.template.json").stdout
