#!/usr/bin/env python3
"""Makes the files of a release, so that users need neither Rust nor SAM.

    release.py zip BOOTSTRAP ARCHITECTURE FOLDER   the function's code as ami-courier-VERSION-ARCHITECTURE.zip
    release.py template FOLDER [ADDRESS]           ami-courier.template.json, source-region.yaml; ADDRESS: of the repository, for the alarms
    release.py sums FOLDER                         SHA256SUMS of all files in the folder
    release.py notes [VERSION]                     the notes of this version in CHANGELOG.md
    release.py tag TAG                             fails unless TAG is the version of Cargo.toml
"""

import hashlib
import json
import logging
import os
import re
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURES = ("x86_64", "arm64")
# Where people and their build machines keep sources. `--remap-path-prefix` keeps these folders out of the binary.
BUILDERS_PATH = re.compile(rb"/(?:home|root|Users|builds?|github|tmp|work|workspace|__w)/[\w.@+-]+(?:/[\w.@+-]+)*")


class NotReleasable(Exception):
    """What must be changed before this can be released."""


def version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


# ---- The zip


def zip_code(bootstrap, architecture, folder):
    """The zip holds `bootstrap` alone, with a fixed time: the same binary gives the same bytes."""
    if architecture not in ARCHITECTURES:
        raise NotReleasable(f"{architecture}: the architecture is one of {', '.join(ARCHITECTURES)}")
    code = Path(bootstrap).read_bytes()
    if found := builders_paths(code):
        raise NotReleasable(f"{bootstrap} contains {len(found)} paths of the machine that built it, such as {found[0]}. Build it with release/rustflags.sh.")
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    # Unix, on whatever system this runs.
    entry.create_system = 3
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    path = Path(folder) / f"ami-courier-{version()}-{architecture}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, code, compresslevel=9)
    return path


def builders_paths(code):
    return sorted({found.decode() for found in BUILDERS_PATH.findall(code)})


# ---- The template


def expand(text):
    """The text of template.yaml as plain CloudFormation that takes the code from a bucket."""
    # The translator wants a Region. Nothing here calls AWS.
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    from samtranslator.translator.transform import transform
    from samtranslator.yaml_helper import yaml_parse

    source = yaml_parse(text)
    guard(source)
    with_code_parameters(source)
    warnings = _Warnings()
    logging.getLogger("samtranslator").addHandler(warnings)
    try:
        plain = transform(source, {}, _NoManagedPolicies())
    finally:
        logging.getLogger("samtranslator").removeHandler(warnings)
    if warnings.messages:
        raise NotReleasable(f"the SAM translator warns: {warnings.messages}")
    if left := [name for name, resource in plain["Resources"].items() if resource["Type"].startswith("AWS::Serverless::")]:
        raise NotReleasable(f"{left} still need the SAM transform")
    # The translator's own tag, lambda:createdBy SAM.
    plain["Resources"]["Function"]["Properties"].pop("Tags")
    return plain


def guard(source):
    """Refuses what the SAM translator changes silently when it does not know the parameters' values."""
    if source["Outputs"]["Version"]["Value"] != version():
        raise NotReleasable(f"the output Version is not {version()}, the version of Cargo.toml")
    for name, resource in source["Resources"].items():
        if resource["Type"].startswith("AWS::Serverless::") and resource["Type"] != "AWS::Serverless::Function":
            raise NotReleasable(f"{name}: {resource['Type']} is not tested with this script")
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        properties = resource["Properties"]
        if "Role" not in properties:
            raise NotReleasable(f"{name}: SAM would make a role whose partition and policies are fixed")
        if "AutoPublishAlias" in properties:
            raise NotReleasable(f"{name}: AutoPublishAlias makes a version whose name depends on the code")
        literal = {"PackageType": properties.get("PackageType", ""), "DeadLetterQueue.Type": properties.get("DeadLetterQueue", {}).get("Type", "")}
        for property, value in literal.items():
            if not isinstance(value, str):
                raise NotReleasable(f"{name}: SAM takes {property} literally, so it must be text")
        for event, what in properties.get("Events", {}).items():
            if not isinstance(what["Properties"].get("Enabled", True), bool):
                raise NotReleasable(f"{name}, {event}: SAM takes Enabled for true unless it is true or false literally")


def with_code_parameters(source):
    source["Metadata"].pop("AWS::ServerlessRepo::Application")
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    groups.insert(0, {"Label": {"default": "The code"}, "Parameters": list(code_parameters())})
    source["Parameters"] = {**code_parameters(), **source["Parameters"]}
    source["Conditions"]["HasBucketPerRegion"] = {"Fn::Equals": [{"Ref": "BucketPerRegion"}, "true"]}
    source["Conditions"]["NamesCodeKey"] = {"Fn::Not": [{"Fn::Equals": [{"Ref": "CodeKey"}, ""]}]}
    function = source["Resources"]["Function"]
    for how in ("BuildMethod", "BuildProperties"):
        function["Metadata"].pop(how)
    function["Properties"]["CodeUri"] = {
        # Lambda takes code only from a bucket in its own Region. With a bucket per Region, one stack set serves all Regions.
        "Bucket": {"Fn::If": ["HasBucketPerRegion", {"Fn::Sub": "${CodeBucket}-${AWS::Region}"}, {"Ref": "CodeBucket"}]},
        # CloudFormation takes new code only when the key changes, so the version is part of the key.
        "Key": {"Fn::If": ["NamesCodeKey", {"Ref": "CodeKey"}, {"Fn::Sub": f"ami-courier-{version()}-${{Architecture}}.zip"}]},
    }


def code_parameters():
    return {
        "CodeBucket": {"Type": "String", "MinLength": 3, "MaxLength": 63, "Description": "S3 bucket in this Region that holds the zip."},
        "BucketPerRegion": {
            "Type": "String",
            "Default": "false",
            "AllowedValues": ["true", "false"],
            "Description": "true - the bucket is CodeBucket-REGION.",
        },
        "CodeKey": {
            "Type": "String",
            "Default": "",
            "MaxLength": 1024,
            "Description": f"Key of the zip. Empty - ami-courier-{version()}-ARCHITECTURE.zip.",
        },
    }


def named_by_alarms(name, repository):
    """The text of a template. Alarms name their section of the runbook by its whole address, since who gets the mail may have no clone."""
    at = f"{repository}/blob/v{version()}/" if repository else ""
    return (ROOT / name).read_text().replace("docs/operations.md#", f"{at}docs/operations.md#")


def write_template(folder, repository=""):
    plain = expand(named_by_alarms("template.yaml", repository))
    path = Path(folder) / "ami-courier.template.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    # For people to read: CloudFormation takes it from a bucket, where 1 MB is allowed (tests/release).
    path.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
    (Path(folder) / "source-region.yaml").write_text(named_by_alarms("source-region.yaml", repository))
    return path


class _NoManagedPolicies:
    """SAM asks for the ARNs of managed policies; the stack uses none."""

    @staticmethod
    def load():
        return {}


class _Warnings(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        # These are about the translator's own metrics, which nobody collects here.
        if not record.name.startswith("samtranslator.metrics"):
            self.messages.append(record.getMessage())


# ---- What is published beside them


def write_sums(folder):
    """In the format of sha256sum."""
    files = sorted(path for path in Path(folder).iterdir() if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (Path(folder) / "SHA256SUMS").write_text("".join(lines))


def notes(changelog, of_version):
    """The section of CHANGELOG.md about `of_version`, without its heading."""
    sections = re.split(r"^## \[?([^\]\s]+)\]?.*$", changelog, flags=re.MULTILINE)
    found = dict(zip(sections[1::2], sections[2::2], strict=True)).get(of_version, "").strip()
    if not found:
        raise NotReleasable(f"CHANGELOG.md has no notes under ## [{of_version}]")
    return found


def check_tag(tag):
    if tag != f"v{version()}":
        raise NotReleasable(f"the tag {tag} is not v{version()}, the version of Cargo.toml")


def main(arguments):
    match arguments:
        case ["zip", bootstrap, architecture, folder]:
            print(zip_code(bootstrap, architecture, folder))
        case ["template", folder, *repository] if len(repository) < 2:
            print(write_template(folder, *repository))
        case ["sums", folder]:
            write_sums(folder)
        case ["notes"]:
            print(notes((ROOT / "CHANGELOG.md").read_text(), version()))
        case ["notes", of_version]:
            print(notes((ROOT / "CHANGELOG.md").read_text(), of_version))
        case ["tag", tag]:
            check_tag(tag)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NotReleasable as problem:
        sys.exit(f"release.py: {problem}")
