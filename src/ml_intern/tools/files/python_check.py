"""Checks one Python file: syntax, training arguments that lose the model, keywords that a callable does not take.

Run as a script by the *project's* interpreter (any Python from 3.8), it prints its warnings as a JSON array of strings. It
reads sources and imports nothing, so that neither the project's nor a library's code runs.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import sys
from types import ModuleType

_HERE = os.path.dirname(os.path.abspath(__file__))

TRAINING_CONFIGS = frozenset({"TrainingArguments", "Seq2SeqTrainingArguments", "SFTConfig", "DPOConfig", "GRPOConfig"})
SAVING_KEYWORDS = ("push_to_hub", "hub_model_id")


def check(source: str, path: str) -> list[str]:
    """The warnings for a file's text; ``path`` is where it lies."""
    try:
        tree = ast.parse(source, path)
    except SyntaxError as error:
        place = f" in line {error.lineno}" if error.lineno else ""
        text = f": {error.text.strip()}" if error.text else ""
        return [f"syntax error{place}: {error.msg}{text}"]
    except (ValueError, RecursionError, MemoryError) as error:
        return [f"cannot be parsed: {error or type(error).__name__}"]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    return [*_training_warnings(calls), *_keyword_warnings(tree, calls, os.path.dirname(os.path.abspath(path)))]


def _training_warnings(calls: list[ast.Call]) -> list[str]:
    warnings: list[str] = []
    for call in calls:
        name = _last_name(call.func)
        given = {keyword.arg for keyword in call.keywords}
        if name not in TRAINING_CONFIGS or None in given:  # None: ** hides what is given
            continue
        missing = [keyword for keyword in SAVING_KEYWORDS if keyword not in given]
        if missing:
            warnings.append(
                f"line {call.lineno}: {name}(...) sets no {' and no '.join(missing)}: "
                "on a machine that goes away, the trained model is lost unless it is pushed to the Hub"
            )
    return warnings


def _last_name(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def _keyword_warnings(tree: ast.Module, calls: list[ast.Call], folder: str) -> list[str]:
    signatures = _load_signatures()
    sources = signatures.Sources([folder, *sys.path])
    names = signatures.imported_names(tree)
    warnings: list[str] = []
    for call in calls:
        given = [keyword.arg for keyword in call.keywords]
        if not given or None in given:
            continue
        found = sources.callable_of(call.func, names)
        accepted = None if found is None else sources.keywords(found)
        if accepted is None:
            continue
        where = f"line {call.lineno}: {_last_name(call.func)}() takes no argument"
        warnings += [f"{where} '{keyword}'{_near(keyword, accepted)}" for keyword in given if keyword and keyword not in accepted]
    return warnings


def _load_signatures() -> ModuleType:
    """The module beside this file, also when this file runs alone in an interpreter that has no ml_intern."""
    name = "ml_intern.tools.files.python_signatures"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, os.path.join(_HERE, "python_signatures.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _near(keyword: str, accepted: set[str]) -> str:
    import difflib

    near = difflib.get_close_matches(keyword, sorted(accepted), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def main(path: str) -> None:
    """Print the warnings for the file at ``path``."""
    with open(path, encoding="utf-8", errors="replace") as file:
        source = file.read()
    sys.stdout.write(json.dumps(check(source, path)))


if __name__ == "__main__":
    main(sys.argv[1])
