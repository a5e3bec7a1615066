"""Text as a reader reads it: no comment markers, no line ends, names as words; and where each expression of the list stands in it."""

from bisect import bisect
from dataclasses import dataclass, field
from pathlib import Path
import re
import tomllib

import rust

LIST = Path(__file__).with_name("expressions.toml")

_MARKER = re.compile(r"^\s*(?://[/!]?|/\*+!?|\*/?(?=\s)|#+!?(?=\s)|>(?=\s)|<!--)?\s*")
_PARAGRAPH = "¶ "


@dataclass
class Expression:
    instead: str
    sample: str
    text: str = ""
    name: str = ""
    samples: list = field(default_factory=list)
    fine: str = ""

    def __post_init__(self):
        self.pattern = re.compile(self.text.replace(" ", r"\s+"), re.IGNORECASE) if self.text else re.compile(self.name)

    def found_in(self, source):
        """(line, the words found) for each place in a Source."""
        if self.text:
            return [(source.line_of(found.start()), found[0]) for found in self.pattern.finditer(source.prose)]
        return [(source.code.count("\n", 0, found.start()) + 1, found[0]) for found in self.pattern.finditer(source.code)]


def expressions():
    return [Expression(**entry) for entry in tomllib.loads(LIST.read_text())["expression"]]


class Source:
    """One file: its prose in one line, and, of a Rust file, its code."""

    def __init__(self, text, is_rust=False):
        self._starts, lines, length = [], [], 0
        for line in text.splitlines():
            self._starts.append(length)
            lines.append(read(line))
            length += len(lines[-1])
        self.prose = "".join(lines)
        self.code = rust.code(text) if is_rust else ""

    def line_of(self, position):
        return bisect(self._starts, position)


def read(line):
    """One line as words, with a space behind it; an empty one ends a paragraph."""
    line = _MARKER.sub("", line)
    # A literal or a paragraph goes on in the next line.
    line = line.strip().removesuffix("-->").removesuffix("*/").rstrip("\\").strip(" \t\"").replace("’", "'").replace("*", "")
    line = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", line.replace("_", " "))
    line = re.sub(r"\s+", " ", line).strip()
    return line + " " if line else _PARAGRAPH
