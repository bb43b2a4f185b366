"""Which keywords a callable of a library takes, read from its source: names are followed through imports, nothing is run.

What cannot be told for certain (a decorator that may change the signature, a metaclass, ``**kwargs``, a compiled module) is
unknown, and nothing is said about it. Runs on any Python from 3.8.
"""

from __future__ import annotations

import ast
import os
from importlib.machinery import PathFinder

MAX_SOURCE_BYTES = 2 * 1024 * 1024
MAX_HOPS = 12

_KEEPING_DECORATORS = frozenset({
    "dataclass", "staticmethod", "classmethod", "contextmanager", "asynccontextmanager", "lru_cache", "cache", "no_grad", "total_ordering",
    "add_start_docstrings", "runtime_checkable", "final",
})  # fmt: skip
"""Decorators that leave the keywords of a call as they are."""
_EMPTY_BASES = frozenset({"object", "Generic", "Protocol", "ABC"})


class Found:
    """A function or class definition, and the module that it stands in."""

    def __init__(self, node: ast.stmt, module: Module) -> None:
        self.node = node
        self.module = module


class Module:
    """A parsed module: what its top level defines and imports. A name that is bound in other ways is in ``unsure``."""

    def __init__(self, name: str, is_package: bool, folders: list[str], tree: ast.Module) -> None:
        self.name = name
        self.is_package = is_package
        self.folders = folders
        self.definitions: dict[str, ast.stmt] = {}
        self.imports = imported_names(tree, name if is_package else name.rpartition(".")[0])
        self.unsure: set[str] = set()
        for statement in _top_level(tree.body):
            self._note(statement)

    def _note(self, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if statement.name in self.definitions or statement.name in self.imports:
                self.unsure.add(statement.name)
            self.definitions[statement.name] = statement
        elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            self.unsure.update(node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def _top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a module, also those inside ``if`` and ``try``."""
    statements: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.If):
            statements += _top_level(statement.body) + _top_level(statement.orelse)
        elif isinstance(statement, ast.Try):
            handlers = [inner for handler in statement.handlers for inner in handler.body]
            statements += _top_level([*statement.body, *handlers, *statement.orelse])
        else:
            statements.append(statement)
    return statements


def imported_names(tree: ast.Module, package: str = "") -> dict[str, tuple[str, str]]:
    """Local name → (module, name in it); the second is empty for a module. Names that are also bound otherwise are left out."""
    names: dict[str, tuple[str, str]] = {}
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (alias.name if alias.asname else alias.name.partition(".")[0], "")
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            for alias in node.names:
                _bind(names, bound, alias.asname or alias.name, (module, alias.name))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
    return {name: origin for name, origin in names.items() if name not in bound}


def _bind(names: dict[str, tuple[str, str]], bound: set[str], name: str, origin: tuple[str, str]) -> None:
    if names.get(name, origin) != origin:
        bound.add(name)
    names[name] = origin


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    return f"{base}.{node.module}" if node.module else base


class Sources:
    """Finds modules on a search path and parses each at most once."""

    def __init__(self, path: list[str]) -> None:
        self._path = [folder for folder in path if folder]
        self._modules: dict[str, Module | None] = {}

    def callable_of(self, function: ast.expr, names: dict[str, tuple[str, str]]) -> Found | None:
        """The definition behind ``name`` or ``module.name`` where it is called."""
        if isinstance(function, ast.Name):
            module, name = names.get(function.id, ("", ""))
            return self._find(module, name) if name else None
        if isinstance(function, ast.Attribute) and (owner := self._module_of(function.value, names)):
            return self._find(owner, function.attr)
        return None

    def _module_of(self, expression: ast.expr, names: dict[str, tuple[str, str]]) -> str:
        if isinstance(expression, ast.Name):
            module, name = names.get(expression.id, ("", ""))
            if not name:
                return module
            inner = f"{module}.{name}"
            return inner if self._module(inner) is not None else ""
        if isinstance(expression, ast.Attribute) and (owner := self._module_of(expression.value, names)):
            inner = f"{owner}.{expression.attr}"
            return inner if self._module(inner) is not None else ""
        return ""

    def _find(self, module_name: str, name: str) -> Found | None:
        for _ in range(MAX_HOPS):
            module = self._module(module_name)
            if module is None or name in module.unsure:
                return None
            if name in module.definitions:
                return Found(module.definitions[name], module)
            if name not in module.imports:
                return None
            module_name, name = module.imports[name]
            if not name:
                return None
        return None

    def _module(self, name: str) -> Module | None:
        if name not in self._modules:
            self._modules[name] = None  # A cycle finds nothing, rather than no end.
            self._modules[name] = self._load(name)
        return self._modules[name]

    def _load(self, name: str) -> Module | None:
        folders: list[str] | None = self._path
        parent = name.rpartition(".")[0]
        if parent:
            package = self._module(parent)
            folders = package.folders if package is not None else None
        if not folders:
            return None
        try:
            spec = PathFinder.find_spec(name, folders)
            if spec is None:
                return None
            locations = list(spec.submodule_search_locations or [])
            if spec.origin is None or not spec.origin.endswith(".py") or os.path.getsize(spec.origin) > MAX_SOURCE_BYTES:
                return Module(name, True, locations, ast.Module(body=[], type_ignores=[])) if locations else None
            with open(spec.origin, encoding="utf-8") as file:
                tree = ast.parse(file.read())
        except (OSError, ValueError, SyntaxError, ImportError, RecursionError):
            return None
        return Module(name, bool(locations), locations, tree)

    # ── keywords ─────────────────────────────────────────────────────────────────────────────────────────────────

    def keywords(self, found: Found) -> set[str] | None:
        """The keywords that a call may use; None when that cannot be told."""
        if isinstance(found.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return _parameters(found.node, skip_first=False)
        return self._class_keywords(found, MAX_HOPS) if isinstance(found.node, ast.ClassDef) else None

    def _class_keywords(self, found: Found, hops: int) -> set[str] | None:
        node = found.node
        assert isinstance(node, ast.ClassDef)
        if hops == 0 or node.keywords or not _decorators_keep(node.decorator_list):
            return None
        methods = {child.name: child for child in node.body if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))}
        if "__new__" in methods:
            return None
        if "__init__" in methods:
            return _parameters(methods["__init__"], skip_first=True)
        if "__init__" in {child.id for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)}:
            return None
        inherited = self._inherited(node, found.module, hops)
        if not any(_decorator_name(decorator) == "dataclass" for decorator in node.decorator_list):
            return inherited
        return None if inherited is None else inherited | _fields(node)

    def _inherited(self, node: ast.ClassDef, module: Module, hops: int) -> set[str] | None:
        """The keywords of all bases together: right for dataclasses, and generous for others."""
        accepted: set[str] = set()
        for base in node.bases:
            expression = base.value if isinstance(base, ast.Subscript) else base
            name = expression.attr if isinstance(expression, ast.Attribute) else expression.id if isinstance(expression, ast.Name) else ""
            if name in _EMPTY_BASES:
                continue
            found = self._base(expression, module)
            keywords = self._class_keywords(found, hops - 1) if found is not None and isinstance(found.node, ast.ClassDef) else None
            if keywords is None:
                return None
            accepted |= keywords
        return accepted

    def _base(self, expression: ast.expr, module: Module) -> Found | None:
        if isinstance(expression, ast.Name) and expression.id in module.definitions and expression.id not in module.unsure:
            return Found(module.definitions[expression.id], module)
        return self.callable_of(expression, module.imports)


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef, *, skip_first: bool) -> set[str] | None:
    if function.args.kwarg is not None or not _decorators_keep(function.decorator_list):
        return None
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    hidden = {argument.arg for argument in function.args.posonlyargs} | (set(names[:1]) if skip_first else set[str]())
    return {*names, *(argument.arg for argument in function.args.kwonlyargs)} - hidden


def _decorators_keep(decorators: list[ast.expr]) -> bool:
    return all(_decorator_name(decorator) in _KEEPING_DECORATORS for decorator in decorators)


def _decorator_name(decorator: ast.expr) -> str:
    expression = decorator.func if isinstance(decorator, ast.Call) else decorator
    return expression.attr if isinstance(expression, ast.Attribute) else expression.id if isinstance(expression, ast.Name) else ""


def _fields(node: ast.ClassDef) -> set[str]:
    names: set[str] = set()
    for child in node.body:
        if not isinstance(child, ast.AnnAssign) or not isinstance(child.target, ast.Name):
            continue
        annotation = ast.dump(child.annotation)
        if "ClassVar" not in annotation and "KW_ONLY" not in annotation and not _kept_out_of_init(child.value):
            names.add(child.target.id)
    return names


def _kept_out_of_init(value: ast.expr | None) -> bool:
    """``field(init=False)``"""
    if not isinstance(value, ast.Call) or _decorator_name(value) != "field":
        return False
    return any(
        keyword.arg == "init" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False for keyword in value.keywords
    )
