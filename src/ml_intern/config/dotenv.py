"""``.env`` files: variables that a project brings along. They never override the process's own.

A ``.env`` arrives with whatever folder one works in, so it is trusted with values, not with power: variables that say where
credentials or the conversation are sent, what programs load, or how ml-intern itself behaves are left out, and said so.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ml_intern.config.brought_file import read_brought
from ml_intern.errors import ConfigError

MAX_FILE_BYTES = 1_000_000

_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*")
_SINGLE_QUOTED = re.compile(r"'([^']*)'")
_DOUBLE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_COMMENT = re.compile(r"(?:^|[ \t])#")
_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}

_POWERFUL = re.compile(
    r"""
    ML_INTERN_.* | _ML_INTERN_.* | SLACK_.* | XDG_.* | HOME | USER | LOGNAME | SHELL | PATH | TMPDIR | IFS | ENV | BASH_.* | ZDOTDIR
    | LD_.* | DYLD_.* | PYTHON.* | NODE_OPTIONS | PERL5.* | RUBYOPT | JAVA_TOOL_OPTIONS | GIT_.* | SSH_.* | EDITOR | VISUAL | PAGER
    | .*_PROXY | SSL_.* | .*_CA_BUNDLE | .*_CA_PATH | SSLKEYLOGFILE | OPENSSL_.*
    | .*_BASE_URL | .*_API_BASE | .*_ENDPOINT | .*_ENDPOINT_URL | HF_HOME | HF_TOKEN_PATH | HF_HUB_.* | HUGGINGFACE_HUB_CACHE
    | UV_.* | PIP_.* | LITELLM_.*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ADDRESS = re.compile(r".*_BASE_URL", re.IGNORECASE)
_LOOPBACK = re.compile(r"https?://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?(?:/.*)?", re.IGNORECASE)


class DotEnv(NamedTuple):
    """What a file holds, and what about it the user should hear."""

    values: dict[str, str]
    warnings: tuple[str, ...]


def read(path: Path, project: Path | None = None) -> DotEnv | None:
    """The file's variables; None when there is no such file. An unreadable one is a warning: it never stops a run.

    ``project``: see ``read_brought``; a link may lead to another ``.env`` file of it (``.env -> .env.local``).
    """
    try:
        data = read_brought(path, MAX_FILE_BYTES + 1, project or path.parent)
        if data is None:
            return DotEnv({}, (f"{path}: ignored: it cannot be read.",)) if path.is_file() else None
        if len(data) > MAX_FILE_BYTES:
            return DotEnv({}, (f"{path}: ignored: larger than {MAX_FILE_BYTES:,} bytes.",))
        text = data.decode("utf-8-sig")
    except ConfigError as error:
        return DotEnv({}, (error.message,))
    except UnicodeDecodeError:
        return DotEnv({}, (f"{path}: ignored: not valid UTF-8.",))
    return _without_power(path, parse(text, str(path)))


def parse(text: str, source: str = ".env") -> DotEnv:
    """``NAME=value`` lines: ``export``, comments, single quotes (verbatim), double quotes (escapes, several lines).

    ``${NAME}`` and ``${NAME:-default}`` refer to variables of the same file only: were the process's own within reach, a
    project could copy a token to a name that child processes are allowed to see.
    """
    values: dict[str, str] = {}
    warnings: list[str] = []
    position = 0
    while position < len(text):
        end = _line_end(text, position)
        line = text[position:end].strip()
        if line and not line.startswith("#"):
            found = _NAME.match(text, position)
            value = _value(text, found.end(), values) if found else None
            if found is None or value is None:
                number = text.count("\n", 0, position) + 1
                warnings.append(f"{source}: line {number} is no NAME=value and was ignored.")
            else:
                values[found["name"]], end = value
        position = end + 1
    return DotEnv(values, tuple(warnings))


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return end if end >= 0 else len(text)


def _value(text: str, start: int, values: dict[str, str]) -> tuple[str, int] | None:
    """The value that starts there and the end of its last line; None when something follows a closing quote."""

    def reference(match: re.Match[str]) -> str:
        return values.get(match["name"]) or match["default"] or ""

    quoted = _SINGLE_QUOTED.match(text, start) or _DOUBLE_QUOTED.match(text, start)
    if quoted is None:
        end = _line_end(text, start)
        plain = text[start:end]
        comment = _COMMENT.search(plain)
        return _REFERENCE.sub(reference, plain[: comment.start() if comment else None].strip()), end
    end = _line_end(text, quoted.end())
    rest = text[quoted.end() : end].strip()
    if rest and not rest.startswith("#"):
        return None
    if quoted[0].startswith("'"):
        return quoted[1], end
    return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), _REFERENCE.sub(reference, quoted[1])), end


def _without_power(path: Path, dotenv: DotEnv) -> DotEnv:
    refused = [name for name, value in dotenv.values.items() if _is_powerful(name, value)]
    if not refused:
        return dotenv
    kept = {name: value for name, value in dotenv.values.items() if name not in refused}
    warning = (
        f"{path}: ignored {', '.join(sorted(refused))}: such variables decide where data goes or how programs run, "
        "and count only from your own environment."
    )
    return DotEnv(kept, (*dotenv.warnings, warning))


def _is_powerful(name: str, value: str) -> bool:
    if _ADDRESS.fullmatch(name) and _LOOPBACK.fullmatch(value):
        return False  # a model server on this very machine
    return _POWERFUL.fullmatch(name) is not None
