"""What a hook's program runs, sources or imports in its turn, as far as its text says so by name.

Shell scripts are read like a hook's own line (``hook_lines``), Python by its imports, JavaScript by ``require`` and ``import``. Names that
are made while it runs, other languages, and what is found on ``PATH`` are not known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ml_intern.config.hook_lines import Unclear, Word, read_line, statements

MAX_WORDS = 5000
SCANNED_BYTES = 1024 * 1024
_HERE_MARK = "\0here\0"
"""Stands for the script's folder in words: its name may hold what a shell reads otherwise."""
_SHEBANG = re.compile(r"#![^\n]*?\b(?:(?P<python>python|pypy)|(?P<script>node|deno|bun)|(?P<shell>(?:ba|da|z|k|fi|a)?sh))\b")
_PYTHON = frozenset({".py", ".pyw"})
_SCRIPT = frozenset({".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"})
_SHELL = frozenset({".sh", ".bash", ".zsh", ".ksh", ".dash", ".fish"})
_NO_SCRIPT = frozenset({"makefile", "gnumakefile", "justfile", ".justfile", "rakefile"})
_ZERO = r"\"?\$(?:0|\{0\}|BASH_SOURCE\b|\{BASH_SOURCE(?:\[0\])?\})\"?"
_HERE = re.compile(rf"\$\(\s*dirname\s+(?:--\s+)?(?:\"?\$\(\s*(?:realpath|readlink\s+-f)\s+(?:--\s+)?{_ZERO}\s*\)\"?|{_ZERO})\s*\)")
_HERE_CUT = re.compile(r"\$\{(?:0|BASH_SOURCE(?:\[0\])?)%/\*\}")
_HERE_CD = re.compile(
    r"\$\(\s*+(?:CDPATH=\s*+)?cd\s++(?:-P\s++)?(?:--\s++)?\"?(?P<to>[^\s\"$();&|]++)\"?[^()]*?(?:&&|;)\s*+pwd(?:\s+-[LP])?\s*+\)"
)
_ASSIGNED = re.compile(
    r"^[ \t]*+(?:export[ \t]+|local[ \t]+|readonly[ \t]+|declare[ \t]+)?(\w++)="
    r"(\"[^\"#$`\\\n]*+\"|'[^'\"#$`\\\n]*+'|[^\s\"'#$`\\;&|()]++)[ \t\r]*+(?:;|$)",
    re.MULTILINE,
)
_SET = re.compile(r"(?<![\w.-])(\w++)(?:\[[^\]\n]*+\])?:?\+?=")
_SETS = re.compile(r"\b(?:for|select|read|unset|getopts|mapfile|readarray|printf)\b([^\n;|&]*+)")
_REQUIRED = re.compile(r"""(?:\brequire\s*\(\s*|\bimport\s*\(\s*|\bfrom\s*|\bimport\s+)["'](\.{1,2}/[^"'\n]+|/[^"'\n]+)["']""")
_ENDINGS = ("", ".js", ".mjs", ".cjs", ".ts", ".mts", ".json", "/index.js", "/index.mjs", "/index.ts")


def sources(path: Path, data: bytes, folder: Path) -> Iterator[Word | Unclear]:
    """Names of files that ``path``, which holds ``data``, runs or loads, and what of it cannot be told."""
    text = data[:SCANNED_BYTES].decode("utf-8-sig", "replace")
    language = _language(path, text)
    if language and len(data) > SCANNED_BYTES:
        yield Unclear("it is too long")
    match language:
        case "python":
            yield from _imports(path, text, folder)
        case "script":
            for name in _REQUIRED.findall(text):
                yield from (Word(f"{path.parent / name}{ending}", True) for ending in _ENDINGS)
        case "shell":
            yield from _shell(path, text)
        case _:
            pass


def _language(path: Path, text: str) -> str:
    if found := _SHEBANG.match(text):
        return found.lastgroup or ""
    if text.startswith("#!"):
        return ""
    for suffixes, language in ((_PYTHON, "python"), (_SCRIPT, "script"), (_SHELL, "shell")):
        if path.suffix in suffixes:
            return language
    plain = not path.suffix and path.name.lower() not in _NO_SCRIPT and "\0" not in text
    return "shell" if plain else ""  # what says nothing of itself is a shell's


def _shell(path: Path, text: str) -> Iterator[Word | Unclear]:
    text = _HERE_CUT.sub(_HERE_MARK, _HERE.sub(_HERE_MARK, text))
    text = _HERE_CD.sub(lambda found: found["to"], text)
    known = _known(text)
    count = 0
    for written, document in statements(text):
        for each in read_line(_with_known(written, known)):
            if (count := count + 1) > MAX_WORDS:
                yield Unclear("it is too long")
                return
            if isinstance(each, Word):
                yield Word(each.text.replace(_HERE_MARK, str(path.parent)), each.runs)
            elif not document:  # which may be any text
                yield Unclear(each.text.replace(_HERE_MARK, "."))


def _known(text: str) -> dict[str, str]:
    """Of the names that the script sets to one thing only: which of several holds where it is used is not followed."""
    plain: dict[str, list[str]] = {}
    for name, value in _ASSIGNED.findall(text):
        plain.setdefault(name, []).append(value.strip("\"'"))
    times = Counter(_SET.findall(text))
    others = {word for words in _SETS.findall(text) for word in re.findall(r"\w+", words)}
    return {
        name: values[0] for name, values in plain.items() if len(set(values)) == 1 and len(values) == times[name] and name not in others
    }


def _with_known(line: str, known: dict[str, str]) -> str:
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: known.get(found[1] or found[2], found[0]), line)


def _imports(path: Path, text: str, folder: Path) -> Iterator[Word | Unclear]:
    import ast  # only projects with hooks in Python need it

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield Unclear("it is no Python that can be read")
        return
    tops = (path.parent, folder)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (word for alias in node.names for top in tops for word in _module(top, alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            bases = tops if not node.level else (path.parents[min(node.level, len(path.parents)) - 1],)
            yield from (word for alias in node.names for base in bases for word in _module(base, [*parts, alias.name]))


def _module(base: Path, parts: list[str]) -> Iterator[Word]:
    """The file of every step on the way to it, for all of them are run."""
    for end in range(1, len(parts) + 1):
        place = base.joinpath(*parts[:end])
        yield Word(f"{place}.py", True)
        yield Word(str(place / "__init__.py"), True)
