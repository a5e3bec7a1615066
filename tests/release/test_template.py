"""The released template: what `template.yaml` says, word for word, as plain CloudFormation that takes the code from a bucket."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import limits
import pytest
import release
from stack import ROOT, options, plain_of, rendered, template

TEXT = (ROOT / "template.yaml").read_text()
CODE = {"CodeBucket": "code"}
CHECKOV = os.environ.get("CHECKOV", ROOT / "target" / "gate" / "checkov" / "bin" / "checkov")


@pytest.fixture(scope="module")
def plain(released):
    return json.loads((released / "ami-courier.template.json").read_text())


def test_it_fits_into_what_cloudformation_takes_from_a_bucket(released):
    size = (released / "ami-courier.template.json").stat().st_size
    print(f"{size} bytes")
    assert size <= limits.TEMPLATE_BODY


def test_each_of_its_parts_is_within_cloudformations_limits(plain):
    for part in ("Parameters", "Resources", "Outputs"):
        assert len(plain[part]) <= limits.LIMITS[part]["number"], part
        assert max(map(len, plain[part])) <= limits.LIMITS[part]["name"], part
    assert len(plain["Description"].encode()) <= limits.TEMPLATE_DESCRIPTION
    for name, parameter in plain["Parameters"].items():
        assert len(parameter["Description"]) <= limits.PARAMETER_DESCRIPTION, name
    for name, output in plain["Outputs"].items():
        assert len(output["Description"].encode()) <= limits.OUTPUT_DESCRIPTION, name


def test_two_runs_write_the_same_bytes(released, tmp_path):
    subprocess.run([sys.executable, ROOT / "release" / "release.py", "template", tmp_path], check=True, env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONHASHSEED": "7"})
    assert (tmp_path / "ami-courier.template.json").read_bytes() == (released / "ami-courier.template.json").read_bytes()


def test_with_the_address_of_the_repository_each_alarm_names_a_whole_one(plain, released, tmp_path):
    subprocess.run([sys.executable, ROOT / "release" / "release.py", "template", tmp_path, "https://git.example.com/team/ami-courier"], check=True)
    at = f"https://git.example.com/team/ami-courier/blob/v{release.version()}/docs/operations.md#"
    for name, alarms in {"ami-courier.template.json": len([1 for resource in plain["Resources"].values() if resource["Type"] == "AWS::CloudWatch::Alarm"]), "source-region.yaml": 1}.items():
        with_address = (tmp_path / name).read_text()
        assert with_address.count(at) == alarms
        assert with_address.replace(at, "docs/operations.md#") == (released / name).read_text()


# ---- It says the same


def of_the_source(plain):
    """The released template without what a release adds, and the function's code."""
    source = deepcopy(plain)
    for name in release.code_parameters():
        source["Parameters"].pop(name)
    for name in ("HasBucketPerRegion", "NamesCodeKey"):
        source["Conditions"].pop(name)
    source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"].pop(0)
    source["Resources"]["Function"]["Properties"].pop("Code")
    return source


def test_a_reviewer_reads_in_it_what_the_source_says(plain):
    """Every Sid, description, label, condition's name and reason of a suppression."""
    source = plain_of(template())
    source["Metadata"].pop("AWS::ServerlessRepo::Application")
    function = source["Resources"]["Function"]
    for how in ("BuildMethod", "BuildProperties"):
        function["Metadata"].pop(how)
    for added in ("Code", "Tags"):
        function["Properties"].pop(added)
    assert of_the_source(plain) == source


def test_what_a_release_adds_is_the_code(plain):
    assert {name: plain["Parameters"][name] for name in release.code_parameters()} == release.code_parameters()
    assert plain["Outputs"]["Version"]["Value"] == release.version()
    grouped = [name for group in plain["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(plain["Parameters"])
    assert "Transform" not in plain


@pytest.mark.parametrize("parameters", [options(), options("all"), options("SweepRate")], ids=["no option", "every option", "sweeps"])
def test_it_creates_what_the_source_creates(plain, parameters):
    made, wanted = rendered(plain, {**CODE, **parameters}), rendered(template(), parameters)
    for function in (made["Function"], wanted["Function"]):
        function["Properties"].pop("Code")
        function["Properties"].pop("Tags", None)
        function.pop("Metadata")
    assert made == wanted


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
    function = rendered(plain, {**CODE, "SourceRegions": "us-east-1", **parameters})["Function"]["Properties"]
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
