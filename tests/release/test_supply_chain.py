"""The workflow of a release installs only files that are locked by their hashes, in the versions that the gate tests."""

import re
import subprocess
import sys
from importlib.metadata import requires

import pytest
import yaml
from packaging.requirements import Requirement
from stack import ROOT

WORKFLOW = (ROOT / ".github" / "workflows" / "release.yml").read_text()
# Of the document as GitHub reads it: a file that is no YAML installs nothing.
COMMANDS = [step["run"] for job in yaml.safe_load(WORKFLOW)["jobs"].values() for step in job["steps"] if "run" in step]
INSTALLS = re.findall(r"pip3? install (.*)", "\n".join(COMMANDS))
LOCKS = ["release/requirements", "release/build-requirements"]


def pins(text):
    """The versions that a list of requirements names, by package."""
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s\\;]+)", text, re.MULTILINE))


def entries(text):
    """Each requirement with its hashes, in one line."""
    return [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line and not line.lstrip().startswith("#")]


def unlocked(text):
    return [line for line in entries(text) if not re.fullmatch(r"[A-Za-z0-9_.-]+==\S+( --hash=sha256:[0-9a-f]{64})+", line)]


def test_every_installation_of_the_workflow_is_locked():
    assert len(INSTALLS) == len(LOCKS)
    for arguments in INSTALLS:
        words = arguments.split()
        assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(words), arguments
        assert words[-1].removesuffix(".txt") in LOCKS and words[-2] == "--requirement", arguments
    assert not re.search(r"npm install|curl |wget |cargo install", WORKFLOW)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_by_its_hashes(name):
    text = (ROOT / f"{name}.txt").read_text()
    assert len(entries(text)) > 5 and unlocked(text) == []
    wanted = pins((ROOT / f"{name}.in").read_text())
    assert wanted and wanted.items() <= pins(text).items()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_whatever_its_packages_require(name):
    """pip looks for nothing more (--no-deps)."""
    locked = {package.lower().replace("_", "-").replace(".", "-") for package in pins((ROOT / f"{name}.txt").read_text())}
    missing, seen, todo = set(), set(), [(package, frozenset()) for package in pins((ROOT / f"{name}.in").read_text())]
    while todo:
        package, extras = todo.pop()
        if (package, extras) in seen:
            continue
        seen.add((package, extras))
        if package not in locked:
            missing.add(package)
            continue
        for line in requires(package) or []:
            requirement = Requirement(line)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                todo.append((requirement.name.lower().replace("_", "-").replace(".", "-"), frozenset(requirement.extras)))
    assert missing == set()


def test_the_template_is_made_with_the_locked_packages_and_no_others(released, tmp_path):
    """A package may import what it does not declare: only an environment without anything else shows that."""
    python = tmp_path / "tools" / "bin" / "python"
    arguments = next(arguments for arguments in INSTALLS if arguments.endswith("release/requirements.txt")).split()
    for command in (
        [sys.executable, "-m", "venv", tmp_path / "tools"],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments],
        [python, "release/release.py", "template", tmp_path],
    ):
        subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    for name in ("ami-courier.template.json", "source-region.yaml"):
        assert (tmp_path / name).read_bytes() == (released / name).read_bytes(), name


def test_a_release_is_built_with_what_the_gate_tests():
    tested = pins((ROOT / "tests" / "requirements.txt").read_text())
    build = pins((ROOT / "release" / "build-requirements.in").read_text())
    assert build.keys() == {"aws-sam-cli", "cargo-lambda"} and build.items() <= tested.items()
    translators = {pins((ROOT / f"{name}.txt").read_text())["aws-sam-translator"] for name in LOCKS}
    assert len(translators) == 1


@pytest.mark.parametrize("text", ["boto3==1.0\n", "boto3>=1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n", "boto3==1.0 \\\n    --hash=md5:0\n"])
def test_an_entry_without_a_hash_or_a_version_is_found(text):
    assert unlocked(text)
