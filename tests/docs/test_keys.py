"""docs/kms.md: its key policies are the permissions that the template gives to the role, its commands run, and its dead letter is the function's."""

import json
import re

import pytest
from aws_on_loopback import started
from pages import blocks, read
from policy import Request, allowing
from stack import ACCOUNT, REGION, options, rendered, statements, template
from test_commands import run_here

PAGE = read("docs/kms.md")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ami-courier-Role-0123456789AB"
OF_THE_ROLE = statements(rendered(template(), options("KmsKeyId", "SourceKmsKeyArns")))


def policies():
    return [json.loads(block.text) for block in PAGE.blocks if block.info == "json"]


def comparable(statement):
    """What a statement allows, and when; in a key policy, the resource is the key itself."""
    return {key: statement[key] for key in ("Sid", "Effect", "Action", "Condition") if key in statement}


@pytest.mark.parametrize("policy", policies()[:2], ids=["copies", "sources"])
def test_a_key_policy_has_the_statements_of_the_role(policy):
    of_the_role = {statement.get("Sid"): statement for statement in OF_THE_ROLE}
    assert len(policy) == 2
    for statement in policy:
        assert (statement["Principal"], statement["Resource"]) == ({"AWS": "ROLE_ARN"}, "*")
        assert comparable(statement) == comparable(of_the_role[statement["Sid"]])


def test_all_statements_about_these_keys_are_there():
    about_keys = {statement["Sid"] for statement in OF_THE_ROLE if "kms:" in json.dumps(statement["Action"])}
    assert about_keys == {statement["Sid"] for policy in policies()[:2] for statement in policy}


def test_the_commands_put_the_statements_into_the_key_policy(tmp_path):
    before, after = [block.script for block in blocks("keys", of=[PAGE])]
    with started() as aws:
        kms = aws.client("kms", ACCOUNT, REGION)
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName="alias/golden", TargetKeyId=key)
        aws.shell(before, ACCOUNT, REGION, tmp_path)
        policy = json.loads((tmp_path / "key-policy.json").read_text())
        first = len(policy["Statement"])
        policy["Statement"] += json.loads(json.dumps(policies()[0]).replace("ROLE_ARN", ROLE))
        (tmp_path / "key-policy.json").write_text(json.dumps(policy))
        aws.shell(before.splitlines()[0] + "\n" + after, ACCOUNT, REGION, tmp_path)
        put = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])["Statement"]
    assert first >= 1
    assert [statement["Principal"]["AWS"] for statement in put[first:]] == [ROLE, ROLE]


def of_launchers(policy, account):
    """The statements whose principal is this account, or everybody."""
    return [statement for statement in policy if statement["Principal"] in ("*", {"AWS": f"arn:aws:iam::{account}:root"})]


def may_launch(policy, account, organization):
    """Whether a principal may do all that launching a copy takes: the key's actions, and a grant for EBS."""
    context = {"kms:GrantIsForAWSResource": "true"} | ({"aws:PrincipalOrgID": organization} if organization else {})
    actions = [*policies()[3][0]["Action"], policies()[3][1]["Action"]]
    return [allowing(of_launchers(policy, account), Request(action, "key", context)) is not None for action in actions]


MEMBER, STRANGER = "222233334444", "999999999999"


def test_the_account_may_launch_a_shared_copy_and_nobody_else():
    account = policies()[3]
    assert all(may_launch(account, "444455556666", "o-a1b2c3d4e5"))
    assert not any(may_launch(account, MEMBER, "o-a1b2c3d4e5"))


def test_every_account_of_the_organization_may_launch_a_shared_copy_and_no_other():
    organization = policies()[4]
    assert all(may_launch(organization, MEMBER, "o-a1b2c3d4e5"))
    assert not any(may_launch(organization, STRANGER, "o-z9y8x7w6v5"))
    assert not any(may_launch(organization, STRANGER, None))


@pytest.mark.parametrize("policy", policies()[3:], ids=["account", "organization"])
def test_a_grant_to_launch_is_for_ebs_only(policy):
    use, grant = policy
    asked = Request("kms:CreateGrant", "key", {"aws:PrincipalOrgID": "o-a1b2c3d4e5", "kms:GrantIsForAWSResource": "false"})
    assert allowing(policy, asked) is None
    assert grant["Action"] == "kms:CreateGrant" and grant["Action"] not in use["Action"]


def explanation(text):
    """Without the ids, which are the world's and not the message's."""
    return re.sub(r"\b(ami|snap)-[0-9a-f]+", r"\1-ID", " ".join(text.split()))


def test_the_dead_letter_is_the_one_of_the_function(tmp_path):
    (command,) = [block for block in PAGE.blocks if block.is_console and block.mark == ""]
    (shown,) = [block.text.strip() for block in PAGE.blocks if block.info == "text"]
    done = run_here(command.script, tmp_path)
    real = re.findall(r"^ *((?:Advice|Explanation): .+)$", done.stdout, re.MULTILINE)
    assert explanation(shown) == explanation("\n".join(real))
