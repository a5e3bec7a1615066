"""The blocks that nothing here can run: their shell syntax is right, and the AWS CLI and SAM know their commands and options."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import boto3
import pytest
from botocore import xform_name
from pages import blocks, pages

TOOLS = Path(sys.executable).parent
# Commands of the AWS CLI itself, with the options that these pages use: docs.aws.amazon.com/cli/latest/reference.
OF_THE_CLI = {
    ("s3", "cp"): set(),
    ("s3", "rb"): {"--force"},
    ("logs", "tail"): {"--follow", "--since", "--filter-pattern"},
    ("cloudformation", "deploy"): {"--stack-name", "--template-file", "--s3-bucket", "--capabilities", "--parameter-overrides"},
}
EVERYWHERE = {"--region", "--profile", "--query", "--output", "--cli-input-json"}


def commands_of(script, program):
    """The arguments of each call of a program: the words up to the end of the command."""
    text = re.sub(r"\\\n", " ", script)
    words = shlex.split(re.sub(r"[;\n]", " ; ", text), comments=False)
    calls = []
    for index, word in enumerate(words):
        if word == program:
            end = next((i for i in range(index, len(words)) if words[i] in (";", "|", "||", "&&", "#")), len(words))
            calls.append(words[index + 1 : end])
    return calls


@cache
def options_of(service, operation):
    if (service, operation) in OF_THE_CLI:
        return OF_THE_CLI[service, operation]
    model = boto3.client(service, region_name="eu-west-1")._service_model
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        return None
    return {f"--{xform_name(member, '-')}" for member in model.operation_model(names[operation]).input_shape.members}


@cache
def help_of_sam(command):
    return subprocess.run([TOOLS / "sam", command, "--help"], capture_output=True, text=True, timeout=120).stdout


def complaints(script):
    for service, operation, *rest in commands_of(script, "aws"):
        known = options_of(service, operation)
        if known is None:
            yield f"aws {service} has no command {operation}"
            continue
        for option in (word for word in rest if word.startswith("--")):
            # A switch has a negative, which the model does not list.
            if option not in known | EVERYWHERE and option.replace("--no-", "--", 1) not in known:
                yield f"aws {service} {operation} has no option {option}"
    for command, *rest in commands_of(script, "sam"):
        for option in (word for word in rest if word.startswith("--")):
            if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", help_of_sam(command)):
                yield f"sam {command} has no option {option}"


@pytest.mark.parametrize("block", [block for page in pages() for block in page.blocks if block.is_console], ids=lambda block: block.place)
def test_the_shell_can_read(block):
    done = subprocess.run(["bash", "-n", "-c", block.script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def modified(script):
    """Variables that zsh, the shell of macOS, reads with a modifier: `$account:event-bus` becomes `vent-bus`."""
    return re.findall(r"\$\w+:[A-Za-z&]", script)


@pytest.mark.parametrize("block", [block for page in pages() for block in page.blocks if block.is_console], ids=lambda block: block.place)
def test_zsh_takes_no_text_for_a_modifier(block):
    assert modified(block.script) == []


def test_a_modifier_of_zsh_is_found():
    assert modified('echo "arn:aws:events:$region:$account:event-bus/x" "${account}:e"') == ["$account:e"]


@pytest.mark.parametrize("block", blocks("needs-aws"), ids=lambda block: block.place)
def test_aws_and_sam_know(block):
    assert list(complaints(block.script)) == []


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("aws sqs send-mesage --queue-url x", "aws sqs has no command send-mesage"),
        ("aws sqs send-message --queue x", "aws sqs send-message has no option --queue"),
        ("output() { aws sqs send-message \\\n  --bodies x; }", "aws sqs send-message has no option --bodies"),
        ("sam deploy --guide", "sam deploy has no option --guide"),
    ],
)
def test_it_complains_of(script, complaint):
    assert list(complaints(script)) == [complaint]


def test_the_shell_cannot_read_a_loop_without_an_end():
    assert subprocess.run(["bash", "-n", "-c", "for x in 1; do echo"], capture_output=True).returncode != 0
