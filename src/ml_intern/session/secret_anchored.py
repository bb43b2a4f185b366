"""More secrets of services that people train with, and those that only the words beside them tell: ``wandb login …``, a netrc.

Forty hexadecimal digits are mostly a commit, so that they need such a word; a prefix of three letters needs the right length.
"""

from __future__ import annotations

import re

from ml_intern.session.secret_marks import MARK, REDACTED
from ml_intern.session.secret_patterns import GITHUB_TOKEN, HF_TOKEN, PROVIDER_KEY, Rule, shape

_BLANK = r"(?:[ \t]|\\?\r?\n|\\n){1,8}"
_QUOTE = r"""\\{0,3}["']?"""
_NAME = r"(?P<name>[A-Za-z0-9_]{0,40}(?:KEY|TOKEN|SECRET|PASSWORD))"

_PREFIXED = (
    ("_", "rpa_", "rpa_", r"[A-Za-z0-9]{36,}"),  # RunPod
    ("_", "tgp_v1_", "tgp_v1_", r"[A-Za-z0-9_-]{30,}"),  # Together
    ("_", "wandb_v1_", "wandb_v1_", r"[A-Za-z0-9_]{30,}"),
    ("_", "fw_", "fw_", r"[A-Za-z0-9]{22,}"),  # Fireworks
    ("_", "sk_", "sk_", r"[0-9a-f]{48}"),  # ElevenLabs
    ("_", "k_live_", "[sr]k_live_", r"[A-Za-z0-9]{20,}"),  # Stripe
    ("_", "whsec_", "whsec_", r"[A-Za-z0-9+/]{24,}"),
    ("_", "jina_", "jina_", r"[A-Za-z0-9_-]{40,}"),
    ("_", "lsv2_", "lsv2_(?:pt|sk)_", r"[0-9a-f]{32}_[0-9a-f]{8,}"),  # LangSmith
    ("_", "pcsk_", "pcsk_", r"[A-Za-z0-9_]{40,}"),  # Pinecone
    ("_", "dop_v1_", "dop_v1_", r"[0-9a-f]{64}"),  # DigitalOcean
    ("_", "dckr_pat_", "dckr_pat_", r"[A-Za-z0-9_-]{20,}"),
    ("_", "kgat_", "KGAT_", r"[0-9a-f]{32}"),  # Kaggle
    ("_", "secret_", "secret_", r"[A-Za-z0-9_-]{1,80}\.[A-Za-z0-9]{32}"),  # Lambda
    ("-", "as-", "as-", r"[A-Za-z0-9]{22}"),  # Modal
    ("-", "csk-", "csk-", r"[a-z0-9]{40,}"),  # Cerebras
    ("-", "tvly-", "tvly-", r"(?:dev-|prod-)?[A-Za-z0-9]{28,}"),  # Tavily
    ("", "dapi", "dapi", r"[0-9a-f]{32}"),  # Databricks
    ("", "eyjhcglf", "eyJhcGlf", r"[A-Za-z0-9+/_-]{60,}={0,2}"),  # Neptune: JSON in base64 that begins with api_
)
"""What a text must hold (a character, an anchor), how the key begins, and the rest of it."""

_OF_ONE_LENGTH = (("hf_", 34, HF_TOKEN), ("r8_", 37, PROVIDER_KEY), ("gsk_", 52, PROVIDER_KEY), ("ghp_", 36, GITHUB_TOKEN))
"""Keys that are found also when a line break cut them in two: both pieces together are just as long as they must be."""


def _prefixed(required: str, anchors: str, prefix: str, rest: str) -> Rule:
    return shape(required, anchors, rf"{prefix}(?<![A-Za-z0-9_]{prefix}){rest}(?![A-Za-z0-9])", _key)


def _key(match: re.Match[str]) -> str:
    """A word of the language has no digit among its letters, or letters of one kind only."""
    run = match[0].rpartition("_")[2] or match[0]
    mixed = any(char.isupper() for char in run) and any(char.islower() for char in run)
    return PROVIDER_KEY if mixed or any(char.isdigit() for char in run) else match[0]


def _cut_in_two(prefix: str, length: int, mark: str) -> Rule:
    def replace(match: re.Match[str]) -> str:
        key = match[1] + match[2]
        mixed = any(char.isdigit() for char in key) and any(char.isupper() for char in key) and any(char.islower() for char in key)
        return mark if len(key) == length and mixed else match[0]

    piece = rf"([A-Za-z0-9]{{1,{length}}})"
    pattern = rf"{prefix}(?<![A-Za-z0-9]{prefix}){piece}(?:\r?\n|(?:\\r)?\\n)[ \t]{{0,8}}{piece}(?![A-Za-z0-9])"
    return shape("_", prefix, pattern, replace)


def _beside(match: re.Match[str]) -> str:
    """What stands behind such words, unless it is a place for a secret."""
    from ml_intern.session.secret_names import is_placeholder

    value = match[2]
    return match[0] if is_placeholder(value) or MARK.search(value) else f"{match[1]}{REDACTED}"


_WANDB = re.compile(r"[Ww]andb[ .:]")
_WANDB_WORD = re.compile(r"(?:login|key|token)\b", re.ASCII)
_BEFORE = 190


def _of_wandb(match: re.Match[str]) -> str:
    """``wandb login 0123…``: the words are looked for from the key backwards, so that a text full of such words costs nothing."""
    before = match.string[max(0, match.start() - _BEFORE) : match.start()].rpartition("\n")[2]
    wandb = _WANDB.search(before)
    return REDACTED if wandb and _WANDB_WORD.search(before, wandb.end()) else match[0]


def _named(match: re.Match[str]) -> str:
    """A value whose name stands beside it without ``=`` or ``:``."""
    from ml_intern.session.secret_names import is_secret, suspicion

    is_one = is_secret(match["value"], suspicion(match["name"])) and not MARK.search(match["value"])
    return f"{match[1]}{REDACTED}" if is_one else match[0]


_RANDOM_40 = r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"

ANCHORED: tuple[Rule, ...] = (
    *(_cut_in_two(*row) for row in _OF_ONE_LENGTH),
    *(_prefixed(*row) for row in _PREFIXED),
    shape("", "agzf", r"(?<![A-Za-z0-9+/])aGZf[A-Za-z0-9+/]{40,}={0,2}", HF_TOKEN),  # hf_… in base64
    shape("", "wandb", r"(?<=[ \t\"'=(])[0-9a-f]{40}(?![0-9A-Za-z])", _of_wandb),
    shape(
        "",
        "password passwd",
        rf"(\bmachine{_BLANK}(?:[A-Za-z0-9-]{{1,60}}(?:\.[A-Za-z0-9-]{{1,60}}){{1,8}}|localhost)"
        rf"(?:{_BLANK}(?:login|account){_BLANK}[^\s\\]{{1,100}}){{0,2}}{_BLANK}password{_BLANK})([^\s\\\"']{{4,200}})",
        _beside,
    ),
    shape(
        "_",
        "_key _token _secret _password",
        rf"((?:ENV|ARG|setenv|set[ \t]+-[a-zA-Z]{{1,4}})[ \t]{{1,4}}{_NAME}[ \t]{{1,4}}{_QUOTE})(?P<value>(?!\$)[^\s\\\"'=]{{6,256}})",
        _named,
    ),
    shape(
        "_",
        "_key _token _secret _password",
        rf"([Nn]ame{_QUOTE}[ \t]{{0,3}}[:=][ \t]{{0,3}}{_QUOTE}{_NAME}{_QUOTE}[ \t]{{0,3}}[,;]?(?:\s|\\n){{0,16}}"
        rf"{_QUOTE}[Vv]alue{_QUOTE}[ \t]{{0,3}}[:=][ \t]{{0,3}}{_QUOTE})(?P<value>(?!\$)[^\s\\\"',}}]{{6,256}})",
        _named,
    ),
    shape("", "akia asia", rf"(A(?:KI|SI)A[A-Z0-9]{{16}}(?:[ \t,;:|\"']|\r?\n|\\n){{1,8}})({_RANDOM_40})", _beside),
    shape("", "secret_access aws", rf"((?i:secret[_ ]access[_ ]key)[^\n]{{0,40}}?[\s\"':=])({_RANDOM_40})", _beside),
    shape("=", "sig=", r"([?&;]sig=)([A-Za-z0-9%+/]{40,100}={0,2})", _beside),
    shape("", "cohere", r"""(\bcohere\.(?:Async)?Client(?:V2)?\(\s{0,8}["'])([A-Za-z0-9]{40})(?=["'])""", _beside),
    shape("", "api-key apikey", r"(\b(?:set|config)[ \t]{1,3}(?:--)?api-?[kK]ey[ \t=]{1,3})([A-Za-z0-9_-]{20,})", _beside),
)
