"""The import graph of a crate, file by file: who names what of whose."""

from dataclasses import dataclass, field
from pathlib import Path
import re

import rust

_MODULE = re.compile(r"(?:#\s*\[\s*path\s*=\s*(?P<path>[^\]]*)\]\s*)?\bmod\s+(?P<name>[a-z_]\w*)\s*(?P<kind>[;{])")


@dataclass
class Module:
    """One module: a file, or a `mod name { … }` inside of one."""

    path: tuple
    file: Path
    code: str
    children: set = field(default_factory=set)


class Crate:
    """The modules of one crate that its root files reach, without those that only tests have."""

    def __init__(self, source, name=None, roots=("lib.rs", "main.rs")):
        self.source, self.name = Path(source), name
        self.modules = {}
        # A binary's `crate` is its own: it has modules beneath another first part.
        for root in roots:
            if (file := self.source / root).exists():
                self._read(() if root == "lib.rs" or not self.modules else ("bin",), file, self.source)

    def _read(self, path, file, folder):
        text = file.read_text()
        code = rust.without_tests(rust.code(text))
        if not re.search(r"#!\s*\[\s*cfg\s*\(\s*test\s*\)\s*\]", code):
            self._add(path, file, folder, code, text)

    def _add(self, path, file, folder, code, text):
        module = Module(path, file, code)
        self.modules[path] = module
        position = 0
        while found := _MODULE.search(module.code, position):
            name = found["name"]
            module.children.add(name)
            if found["kind"] == "{":
                end = rust.closing(module.code, found.end() - 1)
                inside = " " * found.end() + module.code[found.end() : end]
                module.code = module.code[: found.start()] + " " * (end - found.start()) + module.code[end:]
                self._add((*path, name), file, folder / name, inside, text)
                position = end
            else:
                # `code` has no literals: the value of `#[path]` stands in the text, at the same place.
                given = re.search(r'"([^"]+)"', text[found.start() : found.end()]) if found["path"] is not None else None
                places = [file.parent / given[1]] if given else [folder / f"{name}.rs", folder / name / "mod.rs"]
                there = [place for place in places if place.exists()]
                if not there:
                    raise FileNotFoundError(f"{file}: no file for `mod {name}`")
                self._read((*path, name), there[0], folder / name)
                position = found.end()

    def named(self, module):
        """Every path that a module names, with what `use` brought into scope written out, as (parts, is it absolute in this crate)."""
        scope = {}
        for parts, name in rust.use_trees(module.code):
            # `use x::x;` does not name itself.
            if parts != (name,):
                scope[name] = parts
            yield self._resolved(parts, module, {})
        for parts in rust.paths(module.code):
            yield self._resolved(parts, module, scope)

    def _resolved(self, parts, module, scope):
        if parts[0] in scope:
            parts = scope[parts[0]] + parts[1:]
        root = ("bin",) if module.path[:1] == ("bin",) else ()
        if parts[0] == "crate":
            return root + parts[1:], True
        if parts[0] in ("self", "super"):
            base = module.path
            while parts and parts[0] in ("self", "super"):
                base = base[:-1] if parts[0] == "super" else base
                parts = parts[1:]
            return base + parts, True
        if self.name and parts[0] == self.name:
            return parts[1:], True
        if parts[0] in module.children:
            return module.path + parts, True
        return parts, False

    def imports(self):
        """{file: the files that it imports from}, of this crate alone."""
        graph = {module.file: set() for module in self.modules.values()}
        for module in self.modules.values():
            for parts, inside in self.named(module):
                if inside:
                    graph[module.file].add(self._module_of(parts).file)
        return {file: targets - {file} for file, targets in graph.items()}

    def _module_of(self, parts):
        while parts not in self.modules:
            parts = parts[:-1]
        return self.modules[parts]

    def outside(self):
        """Every (file, path) that begins in another crate: ("std", "env", "var")."""
        for module in self.modules.values():
            for parts, inside in self.named(module):
                if not inside:
                    yield module.file, parts

    def words(self):
        """Every (file, identifier)."""
        for module in self.modules.values():
            for word in set(re.findall(r"[A-Za-z_]\w*", module.code)):
                yield module.file, word


def circles(graph):
    """One shortest circle through each node that has one, as a list of nodes whose last is its first; none twice."""
    found = {}
    for start in sorted(graph):
        came_from, front = {}, [start]
        while front and start not in came_from:
            front = [
                target
                for node in front
                for target in sorted(graph[node])
                if target not in came_from and not came_from.update({target: node})
            ]
        if start in came_from:
            circle = [start]
            while (before := came_from[circle[-1]]) != start:
                circle.append(before)
            circle = [start, *reversed(circle[1:]), start]
            found.setdefault(frozenset(circle), circle)
    return list(found.values())


def folders(graph, source):
    """The same graph between the top modules: `aws/ec2/copy.rs` and `aws.rs` are `aws`. The root files are left out."""

    def top(file):
        part = file.relative_to(source).parts[0]
        return None if part in ("lib.rs", "main.rs") else part.removesuffix(".rs")

    tops = {}
    for file, targets in graph.items():
        if top(file):
            tops.setdefault(top(file), set()).update({top(target) for target in targets} - {None, top(file)})
    return tops


def shown(circle):
    return " -> ".join(str(node) for node in circle)
