"""The size budget. An exception is a line here with its reason; it may only shrink, and goes when it is not needed."""

from __future__ import annotations

import ast

from tests.architecture.sources import Source, product, whole_repository

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_BRANCHES = 12
MAX_PARAMETERS = 8
MAX_PUBLIC_METHODS = 20

EXCEPTIONS: dict[tuple[str, str], tuple[int, str]] = {
    # (rule, "file" or "file:function"): (the most it may be, why)
}

_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)


def _judge(rule: str, limit: int, measured: list[tuple[str, int]]) -> list[str]:
    complaints: list[str] = []
    for place, size in measured:
        allowed, _reason = EXCEPTIONS.get((rule, place), (limit, ""))
        if size > allowed:
            complaints.append(f"{place}: {size} {rule} (at most {allowed})")
    known = dict(measured)
    for (exception_rule, place), (allowed, reason) in EXCEPTIONS.items():
        if exception_rule != rule:
            continue
        if not reason:
            complaints.append(f"{place}: the exception gives no reason")
        if known.get(place, 0) <= limit:
            complaints.append(f"{place}: keeps to the budget by now, remove its exception")
        elif known[place] < allowed:
            complaints.append(f"{place}: shrank to {known[place]}, lower its exception")
    return complaints


def _per_function(sources: list[Source], measure: object) -> list[tuple[str, int]]:
    assert callable(measure)
    return [(f"{source.name}:{name}", measure(node)) for source in sources for name, node in source.functions]


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without decorators, signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def _branches(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Decisions of the function itself; a nested function's are its own."""
    count = 0
    waiting = list(ast.iter_child_nodes(node))
    while waiting:
        child = waiting.pop()
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(child, _BRANCHES) and not _is_last_resort(child):
            count += 1
        waiting.extend(ast.iter_child_nodes(child))
    return count


def _is_last_resort(node: ast.AST) -> bool:
    """``case _:`` decides nothing: it is the ``assert_never`` of a match."""
    return isinstance(node, ast.match_case) and isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def _public_methods(node: ast.ClassDef) -> int:
    methods = (child for child in node.body if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return len({method.name for method in methods if not method.name.startswith("_")})


def test_no_file_is_longer_than_400_lines() -> None:
    sizes = [(source.name, len(source.text.splitlines())) for source in whole_repository()]
    assert _judge("lines of file", MAX_FILE_LINES, sizes) == []


def test_no_function_is_longer_than_50_lines() -> None:
    assert _judge("lines of function", MAX_FUNCTION_LINES, _per_function(whole_repository(), _lines)) == []


def test_no_function_has_more_than_12_branches() -> None:
    assert _judge("branches", MAX_BRANCHES, _per_function(product(), _branches)) == []


def test_no_function_takes_more_than_8_parameters() -> None:
    assert _judge("parameters", MAX_PARAMETERS, _per_function(product(), _parameters)) == []


def test_no_class_has_more_than_20_public_methods() -> None:
    sizes = [(f"{source.name}:{node.name}", _public_methods(node)) for source in product() for node in source.classes]
    assert _judge("public methods", MAX_PUBLIC_METHODS, sizes) == []


def test_the_four_files_a_newcomer_reads_hold_under_700_lines() -> None:
    """Lines to read: blank ones and imports do not count."""
    wanted = {"protocol/operations.py", "protocol/events.py", "session/session.py", "session/turn.py"}
    sizes = {source.name: _lines_to_read(source) for source in product() if source.name in wanted}
    assert sizes.keys() == wanted
    assert sum(sizes.values()) < 700, sizes


def _lines_to_read(source: Source) -> int:
    imports = [node for node in source.tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    skipped = {line for node in imports for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    return sum(bool(text.strip()) for line, text in enumerate(source.text.splitlines(), 1) if line not in skipped)
