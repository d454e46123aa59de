"""Which module of this tree imports which, and what that says: circles, and protocols that only hide one."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("gateway", "services", "compose", "grafana", "loadtests", "docs", "tests")
Graph = Mapping[str, set[str]]


def sources(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Full names of what a file imports, from inside functions and for types only too."""
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def module_graph() -> dict[str, set[str]]:
    """Every module of ours with those that it names in its imports."""
    paths = {module_of(path): path for folder in OURS for path in sources(folder)}
    graph = {}
    for module, path in paths.items():
        named = set(imports(path)) & set(paths)
        # `from package import module` names both; only the module is meant.
        graph[module] = {one for one in named if not any(f"{one}." in f"{other}." for other in named - {one})}
    return {module: found - {module} for module, found in graph.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules each of which is reached from every other of its group."""
    reached = {module: reach(graph, module) for module in graph}
    groups = {
        tuple(sorted(other for other in found if module in reached[other]))
        for module, found in reached.items()
        if module in found
    }
    return sorted(list(group) for group in groups)


def reach(graph: Graph, module: str) -> set[str]:
    """All modules that this one imports, and those that they import."""
    found, ahead = set[str](), [module]
    while ahead:
        new = graph[ahead.pop()] - found
        found |= new
        ahead += new
    return found


@dataclass(frozen=True, slots=True)
class Class:
    """One class: where it stands, what it is made from, the names on its instances."""

    module: str
    name: str
    bases: tuple[str, ...]
    names: frozenset[str] = field(repr=False)


def hidden_circles(graph: Graph) -> list[str]:
    """Protocols that restate the one class which fits them, and whose module imports the protocol's.

    With the class's own name in its place there would be a circle: nothing is decoupled.
    """
    every = [one for folder in OURS if folder != "tests" for path in sources(folder) for one in classes(path)]
    plain = [one for one in every if "Protocol" not in one.bases]
    names = {one: one.names.union(*_inherited(one, every, graph)) for one in plain}
    found = []
    for protocol in every:
        if "Protocol" in protocol.bases:
            fitting = [one for one in plain if protocol.names <= names[one]]
            if len(fitting) == 1 and protocol.module in reach(graph, fitting[0].module) - {fitting[0].module}:
                found.append(f"{protocol.module}.{protocol.name}")
    return sorted(found)


def classes(path: Path) -> Iterator[Class]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ClassDef):
            bases = tuple(ast.unparse(base).partition("[")[0] for base in node.bases)
            yield Class(module_of(path), node.name, bases, frozenset(_names(node)) - {"__slots__"})


def _names(node: ast.ClassDef) -> Iterator[str]:
    for one in node.body:
        match one:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
    for deep in ast.walk(node):
        match deep:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def _inherited(one: Class, every: list[Class], graph: Graph) -> Iterator[frozenset[str]]:
    for base in every:
        near = base.module == one.module or base.module in graph[one.module]
        if base.name in one.bases and near and base != one:
            yield base.names
            yield from _inherited(base, every, graph)
