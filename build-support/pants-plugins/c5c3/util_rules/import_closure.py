"""Which modules of imagekit a command runs, so that a step's key holds exactly the code that it runs."""

from __future__ import annotations

import ast
from typing import Dict, FrozenSet, Iterator, Mapping, Set


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
        # A module that is handed on by name, to run in a sandbox.
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def import_closure(sources: Mapping[str, bytes], start: str) -> FrozenSet[str]:
    """The paths in ``sources`` that module ``start`` imports, itself included, however deep.

    ``sources`` maps paths below one source root (``imagekit/oci/layer.py``) to their content. Imports inside functions
    count, and so do modules named in a string, and the packages that a module lies in.

    Raises ``KeyError`` when ``start`` is not among the sources.
    """
    modules: Dict[str, str] = {}
    for path in sources:
        name = path[: -len(".py")].replace("/", ".")
        modules[name[: -len(".__init__")] if name.endswith(".__init__") else name] = path
    if start not in modules:
        raise KeyError(start)
    found: Set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in modules or modules[name] in found:
            continue
        found.add(modules[name])
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        waiting.extend(_imported_names(ast.parse(sources[modules[name]], filename=modules[name])))
    return frozenset(found)
