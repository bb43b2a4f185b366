"""The rules that no linter of ours checks: no module-level state and no loose objects (W59), no patched code (W57), and more."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

from tests.architecture.sources import ROOT, Source, product, whole_repository

MODULE_STATE: dict[str, str] = {
    # "file:name": why it is a constant, or a memo that cannot be wrong
    "protocol/codec.py:UPGRADES": "a table of constants that is empty until the schema first changes",
    "protocol/codec.py:_event_decoders": "a memo of pure values, one per event class",
}

ADAPTERS = ("compute/sandbox_agent", "models/", "config/", "protocol/", "testing/")
"""Where the JSON of others is read and written, and so is loose."""

LOOSE_OBJECTS: dict[str, str] = {
    # "file:name": why `dict[str, Any]` is its type although it is in no adapter
    "frontends/cli.py:_output_schema": "a JSON Schema is whatever its author wrote",
    "frontends/invocation.py:_flags": "click hands options over by name",
    "tools/base.py:_inlined": "it walks a JSON Schema",
    "tools/files/notebook.py:_Output": "the format lets every kernel add what it likes",
}

FORBIDDEN_MODULE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "misc"}


def _tracked_texts() -> list[tuple[str, str]]:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    texts: list[tuple[str, str]] = []
    for name in names:
        try:
            texts.append((name, (ROOT / name).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    return texts


def test_no_unfinished_work_is_marked_in_the_tree() -> None:
    marker = re.compile(r"(?:#|//|<!--|/\*)\s*(?:TODO|FIXME|XXX|HACK)\b")
    assert [name for name, text in _tracked_texts() if marker.search(text)] == []


def test_no_file_names_the_folder_that_it_was_written_in() -> None:
    places = {str(ROOT)} if len(ROOT.parts) > 2 else set()
    assert [name for name, text in _tracked_texts() if any(place in text for place in places)] == []


def test_no_module_keeps_mutable_state() -> None:
    found = {place for source in product() for place in _module_state(source)}
    assert found - MODULE_STATE.keys() == set(), "state belongs to an object with an owner"
    assert MODULE_STATE.keys() - found == set(), "these exceptions are not needed any more"


def _module_state(source: Source) -> set[str]:
    found = {f"{source.name}:{name}" for node in ast.walk(source.tree) if isinstance(node, ast.Global) for name in node.names}
    for node in source.tree.body:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if value is not None and _is_empty_container(value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[union-attr]
            found |= {f"{source.name}:{ast.unparse(target)}" for target in targets}
    return found


def _is_empty_container(value: ast.expr) -> bool:
    """An empty container at module level is of no use unless somebody fills it."""
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, (ast.List, ast.Set)):
        return not value.elts
    names = {"dict", "list", "set", "defaultdict", "deque", "OrderedDict", "WeakKeyDictionary", "WeakValueDictionary", "Lock", "Event"}
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in names and not value.args


def test_no_loose_object_goes_past_an_adapter() -> None:
    found = {place for source in product() if not source.name.startswith(ADAPTERS) for place in _loose_objects(source)}
    assert found - LOOSE_OBJECTS.keys() == set(), "give it a class"
    assert LOOSE_OBJECTS.keys() - found == set(), "these exceptions are not needed any more"


def _loose_objects(source: Source) -> set[str]:
    """Functions that take or give one, and classes with one as a field. What stays inside a function is its own affair."""
    found: set[str] = set()
    for name, function in source.functions:
        arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
        if any(_is_loose(annotation) for annotation in (function.returns, *(argument.annotation for argument in arguments))):
            found.add(f"{source.name}:{name}")
    for node in source.classes:
        if any(isinstance(field, ast.AnnAssign) and _is_loose(field.annotation) for field in node.body):
            found.add(f"{source.name}:{node.name}")
    return found


def _is_loose(annotation: ast.expr | None) -> bool:
    return annotation is not None and "dict[str, Any]" in ast.unparse(annotation)


def test_modules_are_named_after_a_noun() -> None:
    assert [source.name for source in product() if FORBIDDEN_MODULE_NAMES & set(Path(source.name).with_suffix("").parts)] == []


def test_no_test_patches_our_own_code() -> None:
    patches = re.compile(r"\bmonkeypatch\.(setattr|delattr)\((?!.?sys\b)|\bmock\.patch\b|\bMagicMock\b|\bunittest\.mock\b")
    own = Path(__file__).name
    offenders = [
        source.name
        for source in whole_repository()
        if source.name.startswith("tests/") and source.path.name != own and patches.search(source.text)
    ]
    assert offenders == []


def test_every_public_function_and_class_of_the_seams_says_what_types_cannot() -> None:
    silent = [
        f"{source.name}:{name}"
        for source in product()
        if source.name in {"models/base.py", "tools/base.py", "stores/base.py", "compute/base.py"}
        for name, node in source.functions
        if not name.rpartition(".")[2].startswith("_") and ast.get_docstring(node) is None and not _is_property(node)
    ]
    assert silent == []


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == "property" for decorator in node.decorator_list)


def test_a_worker_is_handed_what_it_calls_for_a_coroutine_that_never_starts_warns_on_the_users_terminal() -> None:
    handed = [
        f"{source.name}:{node.lineno}"
        for source in product()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run_worker"
        if isinstance(node.args[0], ast.Call) and ast.unparse(node.args[0].func) != "partial"
    ]
    assert handed == [], "functools.partial makes one"
