"""What a hook's line for the shell runs: the words that are programs, or are read as such, and whether some cannot be told.

It reads as a shell would, without running anything. What a line writes (``>``, ``tee``, ``-o``) is no program; what it gives a program to
read is one only where it looks like it. Variables and commands whose result nobody knows beforehand are not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

ROOT, HOME = "\0root\0", "\0home\0"
"""Stand for the project's folder and the user's, in words."""
_INNER = r"""\$\((?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^()'"\\])*+\)"""
_DOUBLE = rf'"(?:\\.|{_INNER}|[^"\\])*+"'
_WORD = rf"""(?P<word>(?:\\.|'[^']*'|{_DOUBLE}|\$\([^()]*\)|\$\{{[^{{}}]*\}}|`[^`]*`|[^\s;&|<>()'"\\`])++)"""
_QUIET_PIECE = re.compile(rf"""\\\n|(?P<op>[;&|<>()\n]+)|{_WORD}|(?P<bad>['"`\\])""", re.DOTALL)
_PIECE = re.compile(rf"#[^\n]*|{_QUIET_PIECE.pattern}", re.DOTALL)  # a word has no # in front: where one stands there, a comment begins
_STATEMENT = re.compile(rf"""(?:\\.|'[^']*'|{_DOUBLE}|(?:^|(?<=[\s;&|()]))#[^\n]*|[^'"\\\n])*+""", re.DOTALL)
_DOCUMENT = re.compile(r"""(?<!<)<<(?!<)(-?)[ \t]*(?:'([^'\n]+)'|"([^"\n]+)"|\\?([^\s;&|<>()'"\\`]+))""")
_QUOTED = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)""", re.DOTALL)
_ESCAPED = re.compile(r"\\(?:([$`\"\\])|\n)")
_TOP = re.compile(r"\$\(\s*(?:git\s+rev-parse\s+--show-toplevel|pwd(?:\s+-[LP])?)\s*\)|`(?:git rev-parse --show-toplevel|pwd)`")
_ROOT = re.compile(
    r"\$(?:\{(?:CLAUDE_PROJECT_DIR|ML_INTERN_PROJECT_DIR|PWD)(?::?[-?=][^{}]*)?\}|(?:CLAUDE_PROJECT_DIR|ML_INTERN_PROJECT_DIR|PWD)\b)"
)
_HOME = re.compile(r"\$(?:\{HOME(?::?[-?=][^{}]*)?\}|HOME\b)")
_ELSE = re.compile(r"\$\{\w+:?[-=]([^{}$]*)\}")
_BODY = re.compile(r"\$\(([^()]*)\)|`([^`]*)`")
_ASSIGNED = re.compile(r"\w+=")
_TAKES_FILE = frozenset({"-o", "--output"})
_GOES_ON = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "do",
        "while",
        "until",
        "!",
        "{",
        "}",
        "env",
        "exec",
        "nohup",
        "time",
        "timeout",
        "nice",
        "sudo",
        "command",
        "builtin",
        "xargs",
        "stdbuf",
        "setsid",
        "uv",
        "uvx",
        "poetry",
        "pipx",
        "pdm",
        "run",
        "hatch",
        "conda",
        "mamba",
        "micromamba",
        "busybox",
        "eval",
    ]
)
"""After these words a command follows; after a number too (``timeout 5 ./x``)."""
_SHELLS = frozenset(["sh", "bash", "dash", "zsh", "ksh", "fish", "ash"])
_READERS = _SHELLS | frozenset(
    [
        ".",
        "source",
        "python",
        "python3",
        "pypy",
        "pypy3",
        "node",
        "deno",
        "bun",
        "ruby",
        "perl",
        "php",
        "Rscript",
        "lua",
        "tclsh",
        "awk",
        "gawk",
        "make",
        "gmake",
    ]
)
"""They run a file that their words name, whatever it is called."""
_BROUGHT: Mapping[str, tuple[str, ...]] = {
    "make": ("GNUmakefile", "makefile", "Makefile"), "gmake": ("GNUmakefile", "makefile", "Makefile"),
    "npm": ("package.json",), "yarn": ("package.json",), "pnpm": ("package.json",), "bun": ("package.json",), "npx": ("package.json",),
    "just": ("justfile", "Justfile", ".justfile"), "task": ("Taskfile.yml", "Taskfile.yaml"), "tox": ("tox.ini", "pyproject.toml"),
    "nox": ("noxfile.py",), "cargo": ("Cargo.toml", "build.rs"), "rake": ("Rakefile",), "pre-commit": (".pre-commit-config.yaml",),
    "pytest": ("conftest.py", "pyproject.toml", "pytest.ini"), "gradle": ("build.gradle",), "mvn": ("pom.xml",), "uv": ("pyproject.toml",),
    "poetry": ("pyproject.toml",), "docker-compose": ("docker-compose.yml", "compose.yaml"),
}  # fmt: skip
"""Files that say what these run, by a name that the line does not say."""
_DEEPEST = 4


class Word(Struct, frozen=True):
    """A word that may name a file: ``runs`` whatever the file is, or where it looks like a program."""

    text: str
    runs: bool


class Unclear(Struct, frozen=True):
    """Something runs here that cannot be told beforehand."""

    text: str


class _Reader:
    """Of one line. ``quiet``: the line may be no command at all (an argument with spaces in it)."""

    def __init__(self, depth: int, quiet: bool) -> None:
        self._depth = depth
        self._quiet = quiet
        self._command = ""
        self._expects_command = True
        self._next = ""  # what the next word is to the one before it: "written", "read", "module", "code", "skipped"
        self._operands = 0

    def read(self, line: str) -> Iterator[Word | Unclear]:
        for piece in (_QUIET_PIECE if self._quiet else _PIECE).finditer(line):
            if piece["bad"] and not self._quiet:
                yield Unclear(line)
            elif (op := piece["op"]) is not None:
                yield from self._operator(op)
            elif word := piece["word"]:
                yield from self._word(word)
        yield from self._ended()

    def _operator(self, op: str) -> Iterator[Word | Unclear]:
        if "<" in op or ">" in op:
            self._next = "written" if ">" in op else "read"
            return
        yield from self._ended()
        self._command, self._expects_command, self._next, self._operands = "", True, "", 0

    def _ended(self) -> Iterator[Unclear]:
        """An interpreter that was given nothing reads what it is told on its standard input."""
        if self._command in _SHELLS and not self._operands and not self._quiet:
            yield Unclear(self._command)

    def _word(self, written: str) -> Iterator[Word | Unclear]:
        word = meant(written)
        for match in _BODY.finditer(word):
            yield from self._within(match[1] or match[2] or "", quiet=self._quiet)
        role, self._next = self._next, ""
        if role == "written":
            return
        if role:
            yield from self._after(role, word)
        elif self._expects_command:
            yield from self._begins(word)
        else:
            yield from self._argument(word)

    def _after(self, role: str, word: str) -> Iterator[Word | Unclear]:
        if role == "module":
            self._operands += 1
            path = word.replace(".", "/")
            parents = path.split("/")[:-1]
            inits = ["/".join([*parents[: i + 1], "__init__.py"]) for i in range(len(parents))]
            yield from (Word(each, True) for each in (f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py", *inits))
        elif role == "code" and self._command in _SHELLS:
            self._operands += 1
            yield from self._within(word, quiet=False)
        elif role == "code":
            self._operands += 1
            yield Unclear(f"{self._command} {word}")
        elif role == "read":
            yield from self._argument(word)

    def _begins(self, word: str) -> Iterator[Word | Unclear]:
        if _ASSIGNED.match(word):
            yield from self._plain(word.partition("=")[2], False)
            return
        name = word.rpartition("/")[2]
        yield from (Word(brought, True) for brought in _BROUGHT.get(name, ()))
        if word in _GOES_ON or word.startswith("-") or re.fullmatch(r"[\d.]+[smhd]?", word):
            return
        self._expects_command, self._command = False, re.sub(r"(?<=python)[\d.]+$", "", name)
        yield from self._plain(word, True)

    def _argument(self, word: str) -> Iterator[Word | Unclear]:
        if self._command == "tee" or (word in _TAKES_FILE and self._command not in _SHELLS):
            self._next = "written" if word in _TAKES_FILE else ""
            return
        if word.startswith("-"):
            yield from self._option(word)
            return
        reads = self._command in _READERS and not self._operands
        self._operands += 1
        yield from self._plain(word, reads)

    def _option(self, word: str) -> Iterator[Word | Unclear]:
        name, _, value = word.partition("=")
        if name in _TAKES_FILE or (word.startswith("-o") and self._command not in _SHELLS):
            return
        if self._command in _READERS and not self._operands:
            if re.fullmatch(r"-[a-zA-Z]*c", word) or word in ("-e", "--eval", "-p"):
                self._next = "code"
            elif word == "-m" and self._command.startswith("py"):
                self._next = "module"
        yield from self._plain(value or word[2:], False)

    def _plain(self, word: str, runs: bool) -> Iterator[Word | Unclear]:
        if runs and re.search(r"[$`]", word) and not self._quiet:
            yield Unclear(word)
        if re.search(r"\s", word):
            yield from self._within(word, quiet=True)
        for each in filter(None, (word, *re.split(r"[=,:]", word)[1:])):
            yield Word(each, runs)

    def _within(self, text: str, *, quiet: bool) -> Iterator[Word | Unclear]:
        if self._depth < _DEEPEST:
            yield from _Reader(self._depth + 1, quiet).read(text)
        elif not quiet:
            yield Unclear(text)


def read_line(line: str) -> Iterator[Word | Unclear]:
    """Every word of it that may be a program, and what cannot be told."""
    return _Reader(0, quiet=False).read(_TOP.sub(ROOT, line))


def statements(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of a script as the shell takes them together, quotes and all; True for one of a here-document, which is read
    as well: it may be for a shell. A quote that never ends spoils no other line than its own."""
    at, delimiters = 0, list[tuple[str, bool]]()
    while at <= len(text):
        end = _end_of_line(text, at)
        if delimiters:
            delimiter, tabs = delimiters[0]
            line = text[at:end]
            if (line.lstrip("\t") if tabs else line) == delimiter:
                del delimiters[0]
            else:
                yield line, True
        else:
            whole = _STATEMENT.match(text, at)
            closed = whole is not None and (whole.end() == len(text) or text[whole.end()] == "\n")
            end = whole.end() if whole is not None and closed else end
            yield text[at:end], False
            delimiters = [(a or b or c, tabs == "-") for tabs, a, b, c in _DOCUMENT.findall(text, at, end)]
        at = end + 1


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def meant(word: str) -> str:
    """Without quotes, and with the folders in it that are known. Of a value with a default, the default."""
    tilde = re.sub(r"^~(?=/|$)", HOME, word)
    bare = _QUOTED.sub(lambda found: found[1] or _ESCAPED.sub(r"\1", found[2] or "") or (found[3] or "").strip("\n"), tilde)
    return _ELSE.sub(lambda found: found[1], _HOME.sub(HOME, _ROOT.sub(ROOT, bare)))
