"""Finds names with their values in any text: programs, ``.env`` files, YAML, JSON, JSON inside JSON, command lines."""

from __future__ import annotations

import re

from ml_intern.session.secret_marks import REDACTED, lower
from ml_intern.session.secret_names import SUFFIX, Suspicion, is_bare_secret, is_secret, suspicion

_ASSIGNMENT = re.compile(
    rf"""(?P<keyword>(?:token|secret|passw(?:or)?d|passphrase|pwd|key(?:[_-]?id)?)s?{SUFFIX})(?![a-z0-9_])
    (?P<quote>\\{{0,7}}["'`])?\]?
    (?:
        :[ \t]{{0,3}}[a-z_][\w.\[\],|\ ]{{0,60}}?[ \t]=[ \t]{{0,3}}   # name: type = value
      | (?P<separator>[ \t]{{0,4}}(?::=|=>|=(?!=)|:(?!:))[ \t]{{0,4}})
      | (?P<flag>[ \t]{{1,3}})                                     # --name value
    )""",
    re.ASCII | re.VERBOSE,
)
"""Searched in the text in lower case: a pattern that ignores case is ten times as slow."""
_VALUE = re.compile(
    r"""(?:[rbfu]{1,2}(?=["']))?
    (?:
        (?P<opening>\\{1,7}["'])(?P<escaped>[^"'\\\n]{0,2048}+)
      | "(?P<double>(?:[^"\\\n]|\\.){0,2048}+)
      | '(?P<single>(?:[^'"\\\n]|\\[^"\n]){0,2048}+)
      | `(?P<tick>[^`"\n]{0,512}+)
      | (?P<bare>[^\s"'`,;)\]}<>&|\\(\[{=]{1,512}+={0,2})
    )""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_REST_OF_RUN = re.compile(r"""[^\s"'`,;)\]}<>&|\\(\[{]*+""", re.ASCII)
_NAME_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")
_AFTER_A_QUOTE = frozenset(" \t,:;]})\"'")
_LONGEST_PREFIX = 40
LONG_WORD = 16


def redact_assignments(text: str) -> str:
    """The text with the values of secret names replaced; names, separators and quotes stay."""
    lowered = lower(text)
    kept: list[str] = []
    done = position = 0
    while match := _ASSIGNMENT.search(lowered, position):
        position = match.end()
        span = _secret_span(text, match)
        if span is not None:
            start, position, mark = span
            kept += [text[done:start], mark]
            done = position
    return "".join(kept) + text[done:] if kept else text


def _secret_span(text: str, match: re.Match[str]) -> tuple[int, int, str] | None:
    """Where the value starts and ends, and what to put there."""
    name_start = _name_start(text, match.start())
    is_flag = text.startswith("--", name_start) and match["quote"] is None
    if match["flag"] is not None and not is_flag:
        return None
    name = text[name_start : match.end("keyword")].rpartition(".")[2].lstrip("-")
    suspected = suspicion(name)
    if is_flag and suspected is Suspicion.RANDOM_ONLY:
        suspected = Suspicion.KEY  # a program that takes a --token takes no word of a text
    if suspected is Suspicion.NONE or (text[name_start - 1 : name_start] == ":" and match["separator"] == ":"):
        return None  # the second: arn:aws:…:secret:name is a path with colons
    value = _VALUE.match(text, match.end())
    if value is None:
        return None
    if value["bare"] is None:
        return _quoted_span(text, value, suspected)
    is_shell = is_flag or (name.isupper() and match["separator"] == "=")
    return _bare_span(text, match, value, suspected, is_shell=is_shell)


def _quoted_span(text: str, value: re.Match[str], suspected: Suspicion) -> tuple[int, int, str] | None:
    start, end = value.span(str(value.lastgroup))
    if text[start : start + 1] in _AFTER_A_QUOTE:
        return None  # the quote ended a text that ended with the name: ["password:", 1]
    if text[end : end + 1] not in ("'", '"', "`", "\\") and (run := _REST_OF_RUN.match(text, start)):
        end = run.end()  # the quote is not closed on this line: cut off, or an apostrophe
    return (start, end, REDACTED) if is_secret(text[start:end], suspected) else None


def _bare_span(
    text: str, match: re.Match[str], value: re.Match[str], suspected: Suspicion, *, is_shell: bool
) -> tuple[int, int, str] | None:
    start, end = value.span("bare")
    if text[end : end + 1] in ("(", "[", "{"):
        return None  # a call, a subscript, a template
    if not is_bare_secret(value["bare"], suspected, is_shell=is_shell):
        return None
    if match["flag"] is not None and value["bare"].isalpha() and len(value["bare"]) < LONG_WORD:
        return None  # --password requires …: a sentence of a help text
    rest = _REST_OF_RUN.match(text, end)
    quote = match["quote"] or ""
    in_json = bool(quote) and match["separator"] is not None and ":" in match["separator"]
    return start, rest.end() if rest else end, f"{quote}{REDACTED}{quote}" if in_json else REDACTED


def _name_start(text: str, keyword_start: int) -> int:
    start = keyword_start
    lowest = max(0, keyword_start - _LONGEST_PREFIX)
    while start > lowest and text[start - 1] in _NAME_CHARS:
        start -= 1
    if start > 0 and text[start - 1] == "\\" and start < keyword_start:
        start += 1  # the n of a \n in quoted text
    return start
