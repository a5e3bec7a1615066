"""What an update of a stack would replace, remove or refuse.

`last-release.json` holds what these checks need of an older template. To make it again: `python tests/upgrade/replacement.py TEMPLATE > last-release.json`.

CloudFormation replaces a resource when a property changes that can be set only at creation. The provider schemas of CloudFormation, which cfn-lint brings,
call these properties `createOnlyProperties`: docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "stack"))

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from samtranslator.yaml_helper import yaml_parse
from stack import REGION, plain_of, template

# What decides whether a stack's present value is accepted.
CONSTRAINTS = ("Type", "AllowedValues", "AllowedPattern", "MinLength", "MaxLength", "MinValue", "MaxValue")


def only_at_creation(kind):
    """The top-level properties of a resource type that an update cannot change in place."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    return sorted({path.split("/")[2] for path in schema.get("createOnlyProperties", [])})


def digest(source):
    """The part of a template that an update depends on."""
    plain = plain_of(source)
    return {
        "Parameters": {
            name: {key: parameter[key] for key in (*CONSTRAINTS, "Default") if key in parameter} for name, parameter in plain["Parameters"].items()
        },
        "Resources": {
            name: {
                "Type": resource["Type"],
                "OnlyAtCreation": {
                    key: resource["Properties"][key] for key in only_at_creation(resource["Type"]) if key in resource["Properties"]
                },
            }
            for name, resource in plain["Resources"].items()
        },
        "Outputs": sorted(plain["Outputs"]),
    }


def last_release():
    return json.loads((HERE / "last-release.json").read_text())


def replaced(old, new):
    """Each resource that an update would remove or replace, with what forces that."""
    found = {}
    for name, before in old["Resources"].items():
        after = new["Resources"].get(name)
        if after is None:
            found[name] = ["removed"]
        elif after["Type"] != before["Type"]:
            found[name] = ["Type"]
        else:
            keys = before["OnlyAtCreation"].keys() | after["OnlyAtCreation"].keys()
            if changed := sorted(key for key in keys if before["OnlyAtCreation"].get(key) != after["OnlyAtCreation"].get(key)):
                found[name] = changed
    return found


def stricter(old, new):
    """Each parameter whose present value an update could refuse, with what has changed. A parameter without a default needs a value."""
    found = {}
    for name, before in old["Parameters"].items():
        after = new["Parameters"].get(name)
        found[name] = ["removed"] if after is None else [key for key in CONSTRAINTS if _is_stricter(key, before.get(key), after.get(key))]
    for name in new["Parameters"].keys() - old["Parameters"].keys():
        found[name] = [] if "Default" in new["Parameters"][name] else ["Default"]
    return {name: why for name, why in found.items() if why}


def _is_stricter(key, before, after):
    if before == after or after is None:
        return False
    if before is None:
        return True
    match key:
        case "AllowedValues":
            return not set(before) <= set(after)
        case "MaxLength" | "MaxValue":
            return after < before
        case "MinLength" | "MinValue":
            return after > before
    # Nobody compares two patterns here: another one counts as stricter.
    return True


if __name__ == "__main__":
    source = yaml_parse(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else template()
    json.dump(digest(source), sys.stdout, indent=1, sort_keys=True)
    print()
