"""The commands of the documentation, so that tests run what readers run."""

import re

from stack import ROOT


def commands(*, having):
    """The console blocks of docs/ that contain `having`, as one shell script each, in the order of the page."""
    found = [
        block
        for page in sorted((ROOT / "docs").glob("*.md"))
        for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        if having in block
    ]
    if not found:
        raise LookupError(f"no page of docs/ has a console block with {having!r}")
    return ["\n".join(re.sub(r"^(\$|>) ?", "", line) for line in block.splitlines()) for block in found]
