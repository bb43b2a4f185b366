"""The source tree as the architecture tests see it: paths, text, syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "ml_intern"


@dataclass(frozen=True)
class Source:
    """One Python file. ``name`` is its path under ``src/ml_intern`` (or under the repository root), with slashes."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def functions(self) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Every function with its qualified name; the body of a nested one counts for both."""
        return list(_functions(self.tree, ""))

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]

    @cached_property
    def imports(self) -> list[tuple[str, int]]:
        """Absolute module names imported anywhere in the file, also inside functions, with the line."""
        found: list[tuple[str, int]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(alias.name, node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.append((node.module, node.lineno))
                found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
        return found


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


@cache
def product() -> list[Source]:
    """Every module of the package."""
    return [Source(path, path.relative_to(SRC).as_posix()) for path in sorted(SRC.rglob("*.py"))]


@cache
def whole_repository() -> list[Source]:
    """Every Python file that we keep: the package, tests, benchmark, scripts."""
    folders = ("src", "tests", "bench", "scripts")
    files = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [Source(path, path.relative_to(ROOT).as_posix()) for path in files]
