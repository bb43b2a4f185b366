"""Secrets that are known by their shape: prefixes that providers gave their keys, so that they can be found.

Each rule has anchors, plain substrings (in lower case) without one of which it cannot match: a text without is not searched. The
patterns start with a literal and take a whole run of characters at once, so that no text makes them slow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ml_intern.session.secret_marks import MARK, REDACTED

Replace = Callable[[re.Match[str]], str]

HF_TOKEN = "[REDACTED_HF_TOKEN]"
PROVIDER_KEY = "[REDACTED_PROVIDER_API_KEY]"
GITHUB_TOKEN = "[REDACTED_GITHUB_TOKEN]"
AWS_KEY_ID = "[REDACTED_AWS_KEY_ID]"
SLACK_TOKEN = "[REDACTED_SLACK_TOKEN]"
GOOGLE_KEY = "[REDACTED_GOOGLE_KEY]"
JWT = "[REDACTED_JWT]"
PRIVATE_KEY = "[REDACTED_PRIVATE_KEY]"


class Rule(NamedTuple):
    """``required``: a character without which no anchor can occur, or empty. It spares short texts most of the anchors."""

    required: str
    anchors: tuple[str, ...]
    apply: Callable[[str], str]


def shape(required: str, anchors: str, pattern: str, replacement: str | Replace) -> Rule:
    """``anchors``: with blanks between. re's own cache compiles the pattern when it is first needed."""

    def apply(text: str) -> str:
        return re.sub(pattern, replacement, text, flags=re.ASCII)

    return Rule(required, tuple(anchors.split()), apply)


def _when(test: Callable[[str], bool], mark: str) -> Replace:
    return lambda match: mark if test(match[0]) else match[0]


def _has_digit(text: str) -> bool:
    return any(char in "0123456789" for char in text)


def _is_key(run: str) -> bool:
    """``sk-…`` is also how hyphenated words begin; a key has digits and a long piece without hyphens."""
    return _has_digit(run) and (run.startswith("sk-ant-") or re.search(r"[A-Za-z0-9]{16}", run) is not None)


def _bearer(match: re.Match[str]) -> str:
    return f"{match[1]}{REDACTED}" if _has_digit(match[2]) else match[0]


def _credentials(match: re.Match[str]) -> str:
    from ml_intern.session.secret_names import is_placeholder

    if is_placeholder(match[2]) or MARK.search(match[2]) or match[2].endswith(("}", ">")):
        return match[0]
    return f"{match[1]}{REDACTED}@"


def _jwts(match: re.Match[str]) -> str:
    """Two parts that begin with ``eyJ`` and a signature. The run is taken whole: each of many beginnings would be followed to its end."""
    parts = match[0].split(".")
    kept: list[str] = []
    at = 0
    while at < len(parts):
        start = parts[at].find("eyJ")
        more = parts[at + 1 : at + 3]
        if start >= 0 and len(parts[at]) - start >= 11 and len(more) == 2 and _ends_jwt(*more):
            kept.append(parts[at][:start] + JWT)
            at += 3
        else:
            kept.append(parts[at])
            at += 1
    return ".".join(kept)


def _ends_jwt(payload: str, signature: str) -> bool:
    return payload.startswith("eyJ") and len(payload) >= 11 and len(signature) >= 8


_CURL = re.compile(r"\bcurl\b", re.ASCII)


def _of_curl(match: re.Match[str]) -> str:
    """From the flag backwards: many a ``curl`` on a line would have the rest of it looked through each time."""
    before = match.string[max(0, match.start() - 304) : match.start()].rpartition("\n")[2]
    return f"{match[1]}{REDACTED}" if _CURL.search(before) else match[0]


_PRIVATE_BEGIN = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_END = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_KEY_BODY = r"[A-Za-z0-9+/=\s\\,:.-]*+"
_BASE64_LINE = r"[A-Za-z0-9+/]{24}"


def _private_keys(text: str) -> str:
    """Whole blocks, also when the end is cut off. The bare first line, as a program names it, is no key."""
    kept: list[str] = []
    done = 0
    begins = list(re.finditer(_PRIVATE_BEGIN, text))
    limits = [*(begin.start() for begin in begins), len(text)][1:]
    for begin, limit in zip(begins, limits, strict=True):
        # up to the next first line and no further: each character is looked at once
        last = re.compile(_PRIVATE_END).search(text, begin.end(), limit) or re.compile(_KEY_BODY).match(text, begin.end(), limit)
        until = last.end() if last else begin.end()
        if re.compile(_BASE64_LINE).search(text, begin.end(), until):
            kept += [text[done : begin.start()], PRIVATE_KEY]
            done = until
    return "".join(kept) + text[done:] if kept else text


_RUN = r"[A-Za-z0-9_-]"

RULES: tuple[Rule, ...] = (
    Rule("-", ("private key",), _private_keys),
    shape("_", "hf_", r"hf_(?<![A-Za-z0-9]hf_)(?:oauth_|jwt_)?[A-Za-z0-9]{30,}", HF_TOKEN),
    shape("_", "api_org_", r"api_org_(?<![A-Za-z0-9]api_org_)[A-Za-z0-9]{30,}", HF_TOKEN),
    shape("-", "sk-", rf"sk-(?<![A-Za-z0-9]sk-){_RUN}{{20,}}+", _when(_is_key, PROVIDER_KEY)),
    shape("_", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_(?<![A-Za-z0-9]gh[pousr]_)[A-Za-z0-9]{36,}", GITHUB_TOKEN),
    shape("_", "github_pat_", r"github_pat_[A-Za-z0-9_]{36,}", GITHUB_TOKEN),
    shape("", "akia asia", r"A(?:KI|SI)A(?<![A-Za-z0-9]A[KS]IA)[A-Z0-9]{16}(?![A-Za-z0-9])", AWS_KEY_ID),
    shape("", "aiza", rf"AIza(?<![A-Za-z0-9]AIza){_RUN}{{35}}(?!{_RUN})", GOOGLE_KEY),
    shape("-", "gocspx-", rf"GOCSPX-{_RUN}{{20,}}", GOOGLE_KEY),
    shape(".", "ya29.", rf"ya29\.{_RUN}{{20,}}", GOOGLE_KEY),
    shape("-", "xox", r"xox[abeoprsc](?:\.xox[abp])?-(?<![A-Za-z0-9]xox.-)[A-Za-z0-9-]{10,}+", _when(_has_digit, SLACK_TOKEN)),
    shape("-", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{10,}", SLACK_TOKEN),
    shape(
        "/", "hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}", f"hooks.slack.com/{SLACK_TOKEN}"
    ),
    shape(".", "eyj", r"eyJ[A-Za-z0-9_.-]*+", _jwts),
    shape("-", "glpat- gldt- glrt-", rf"gl(?:pat|dt|rt)-{_RUN}{{20,}}", REDACTED),
    shape("_", "npm_", r"npm_(?<![A-Za-z0-9]npm_)[A-Za-z0-9]{36}(?![A-Za-z0-9])", REDACTED),
    shape("-", "pypi-ag", rf"pypi-Ag{_RUN}{{50,}}", REDACTED),
    shape("_", "gsk_", r"gsk_(?<![A-Za-z0-9]gsk_)[A-Za-z0-9]{40,}", PROVIDER_KEY),
    shape("_", "r8_", r"r8_(?<![A-Za-z0-9]r8_)[A-Za-z0-9]{37}(?![A-Za-z0-9])", PROVIDER_KEY),
    shape("-", "nvapi- xai- pplx-", rf"(?:nvapi|xai|pplx)-{_RUN}{{40,}}", PROVIDER_KEY),
    shape(" ", "bearer", r"\b((?:[Bb]earer|BEARER)[ \t]{1,4})([A-Za-z0-9._~+/=-]{20,}+)", _bearer),
    shape(
        " ",
        "authorization",
        r"""((?:[Aa]uthorization|AUTHORIZATION)\\{0,3}["']?[ \t]{0,3}[:=][ \t]{0,3}\\{0,3}["']?"""
        r"(?:[Bb]asic|[Tt]oken)[ \t]{1,3})[A-Za-z0-9+/=._-]{8,}+",
        rf"\1{REDACTED}",
    ),
    shape("@", "://", r"""(://[^\s:/?#@"'<>\\]{0,128}+:)([^\s/?#@"'<>\\]{1,256}+)@""", _credentials),
    shape(
        ":",
        "curl",
        r"""(\s(?:-u|--user)[ =]?["']?[^\s:"'$]{1,64}:)(?!\[REDACTED|\$)[^\s"']{1,128}""",
        _of_curl,
    ),
    shape(
        '"',
        '"username"',
        r"""("username"\s{0,4}:\s{0,4}"[^"\n]{1,64}"\s{0,4},\s{0,8}"key"\s{0,4}:\s{0,4}")[0-9a-f]{32}(?=")""",
        rf"\1{REDACTED}",
    ),
)
"""In the order in which they are applied."""
