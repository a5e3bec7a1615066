"""README and docs/ as their readers use them: blocks of commands, links, anchors, tables.

The word after `console` says who runs the commands of a block; readers of the rendered page do not see it:

- none: the test runs the block in the repository, with the built `local` (test_commands.py);
- the name of a scenario: a test runs the block, with all blocks of that scenario in the order of the pages, in one shell;
- `gate`: the block is slow, and a stage of .ci/run has the same command;
- `needs-aws`, `needs-docker`, `needs-github`, `needs-localstack`, `needs-sam` (which takes minutes): only readers run the block.

A block `text printed` is what the block before it prints: its lines, in this order, among others; `…` stands for any text.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Also within a numbered step, where it is indented.
FENCE = re.compile(r"^( {0,3})```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    place: str
    info: str
    text: str

    @property
    def is_console(self):
        return self.info.split()[:1] == ["console"]

    @property
    def mark(self):
        return self.info.removeprefix("console").strip()

    @property
    def script(self):
        """What the shell gets: the block without its prompts."""
        return "\n".join(re.sub(r"^(\$|>) ?", "", line) for line in self.text.splitlines())

    @property
    def commands(self):
        """Each command of a block that has one command a line."""
        return [re.sub(r"\s+#.*$", "", line[1:]).strip() for line in self.text.splitlines() if line.startswith("$")]


class Page:
    def __init__(self, name, text):
        self.name, self.text = name, text

    @cached_property
    def blocks(self):
        return [
            Block(f"{self.name}:{self.text.count(chr(10), 0, found.start()) + 1}", found[2].strip(), re.sub(f"^{found[1]}", "", found[3], flags=re.MULTILINE))
            for found in FENCE.finditer(self.text)
        ]

    @cached_property
    def prose(self):
        return FENCE.sub("", self.text)

    @cached_property
    def links(self):
        """The targets of the links in the prose, without those in code."""
        prose = re.sub(r"`[^`\n]*`", "code", self.prose)
        return re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'(?:href|src|srcset)="([^"]+)"', prose)

    @cached_property
    def anchors(self):
        """Ids given by hand, and those that GitHub makes of headings; of equal headings, the second gets `-1`."""
        slugs, seen = set(), {}
        for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE):
            shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
            slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            slugs.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
            seen[slug] = seen.get(slug, 0) + 1
        return slugs | set(re.findall(r'id="([^"]+)"', self.prose))

    def table(self, heading):
        """The rows of the first table under a heading, each a list of cells."""
        _, found, rest = self.text.partition(f"{heading}\n")
        assert found, f"{self.name} has no heading {heading!r}"
        lines = re.search(r"^\|.*\n\|[-:| ]+\|\n((?:\|.*\n)+)", rest, re.MULTILINE)[1].splitlines()
        return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def read(name):
    return Page(name, (ROOT / name).read_text())


def pages():
    """README first, then docs/ in the order of the names."""
    found = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return [read("README.md"), *(read(name) for name in found)]


def blocks(mark, *, of=None):
    """The console blocks with a mark."""
    found = [block for page in of or pages() for block in page.blocks if block.is_console and block.mark == mark]
    if not found:
        raise LookupError(f"no page has a block `console {mark}`")
    return found


def script(mark, *, having=""):
    """All blocks with a mark, of which each contains `having`, as one shell script."""
    chosen = [block.script for block in blocks(mark) if having in block.text]
    if not chosen:
        raise LookupError(f"no block `console {mark}` has {having!r}")
    return "\n".join(chosen)
