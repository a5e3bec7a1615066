"""Just enough of Rust's grammar for the checks of this folder: code without comments, literals and tests, and the paths in it."""

import re

# A comment, a literal, or a lifetime; what matches first at a place wins.
_TOKEN = re.compile(
    r"""
      (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>\b[bc]?r(?P<hashes>\#*)"(?s:.*?)"(?P=hashes))
    | (?P<string>\b[bc]"(?:[^"\\]|\\(?s:.))*"|"(?:[^"\\]|\\(?s:.))*")
    | (?P<char>(?:\bb)?'(?:[^'\\\n]|\\(?:u\{[^}]*\}|x[0-9a-fA-F]{2}|.))')
    """,
    re.VERBOSE,
)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def code(text):
    """The source with comments and literals replaced by spaces: every line and column stays where it is."""
    out, position = [], 0
    while found := _TOKEN.search(text, position):
        end = _end_of_block(text, found.start()) if found["block"] else found.end()
        out += [text[position : found.start()], _blank(text[found.start() : end])]
        position = end
    return "".join(out) + text[position:]


def _end_of_block(text, start):
    """Where a block comment ends; these nest."""
    depth = 0
    for mark in re.finditer(r"/\*|\*/", text[start:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return start + mark.end()
    return len(text)


def closing(text, opening):
    """The position of the bracket that closes the one at `opening`. The text must be `code`."""
    pair = {"{": "}", "(": ")", "[": "]"}[text[opening]]
    depth = 0
    for position in range(opening, len(text)):
        depth += (text[position] == text[opening]) - (text[position] == pair)
        if depth == 0:
            return position
    return len(text) - 1


_TEST = re.compile(r"#\s*\[\s*cfg\s*\(\s*(?:test|all\s*\(\s*test\b[^\]]*)\s*\)\s*\]")


def without_tests(text):
    """`code` without the items that only tests have: what follows `#[cfg(test)]`, up to its semicolon or closing brace."""
    while found := _TEST.search(text):
        ends = [text.find(mark, found.end()) for mark in ";{"]
        semicolon, brace = (end if end >= 0 else len(text) for end in ends)
        # A `use` may have braces before its semicolon.
        if re.match(r"\s*(?:pub(?:\([^)]*\))?\s+)?use\b", text[found.end() :]) or semicolon < brace:
            end = semicolon
        else:
            end = closing(text, brace) if brace < len(text) else brace
        text = text[: found.start()] + _blank(text[found.start() : end + 1]) + text[end + 1 :]
    return text


def use_trees(text):
    """Every `use` of `code`: (path as a tuple, the name it brings into scope). A glob's last part is `*`."""
    for found in re.finditer(r"\buse\s+([^;]+);", text):
        yield from _tree(found[1].strip().removeprefix("::"), ())


def _tree(text, prefix):
    text = text.strip()
    if not text:
        return
    if "{" not in text:
        path, _, alias = (part.strip() for part in text.partition(" as "))
        parts = prefix + tuple(part.strip() for part in path.split("::"))
        if parts[-1] == "self" and len(parts) > 1:
            parts = parts[:-1]
        yield parts, alias or parts[-1]
        return
    opening = text.index("{")
    head = tuple(part.strip() for part in text[:opening].split("::") if part.strip())
    for branch in _branches(text[opening + 1 : closing(text, opening)]):
        yield from _tree(branch, prefix + head)


def _branches(text):
    depth, start = 0, 0
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def paths(text):
    """Every path of `code` outside of `use`, as a tuple of its parts."""
    text = re.sub(r"\buse\s+[^;]+;|\bpub\s*\(\s*in\s[^)]*\)", lambda found: _blank(found[0]), text)
    for found in re.finditer(r"(?<!\w)(?<!\w::)(?<!>::)\$?[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*)+", text):
        yield tuple(part.strip() for part in found[0].lstrip("$").split("::"))
