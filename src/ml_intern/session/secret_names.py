"""Secrets that are known by their name: ``API_KEY="…"``, ``password: …``, ``--token …``, ``{"secret": …}``.

Most of what looks like that in training code is no secret (``pad_token=tok.eos_token``, ``max_token: 512``), and what is taken
out by mistake is lost to the model that reads its own history. So the name says how much the value must look like a secret.
"""

from __future__ import annotations

import re
from enum import Enum


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Suspicion(Enum):
    """What a name makes of its value."""

    NONE = "a token of a tokenizer, a working folder"
    RANDOM_ONLY = "a bare or unknown *token*: only what looks random"
    WITH_DIGIT = "an unknown *_TOKEN: eight characters with a digit"
    KEY = "a key, a known kind of token: not a word of the language"
    PASSWORD = "a password or a secret: anything that is no placeholder"


KEYWORD = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token"
    r"|(?:api|access|secret|private|auth|account|signing|encryption|master|service|subscription|storage|openai|anthropic|wandb"
    r"|gemini|mistral|groq|cohere|comet|hf)[_-]?key(?:[_-]?id)?)s?"
)
SUFFIX = r"(?:[_-]?\d{1,3}|[_-](?:base|prod|dev|staging|default|value))?"
_NAME_END = re.compile(rf"({KEYWORD}){SUFFIX}\Z", re.ASCII | re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", re.ASCII)
_LONGEST_NAME = 80

_SECRET_TOKENS = _words(
    """access admin api app auth authorization authtoken bearer bot comet csrf deploy discord docker face gh git github gitlab
    hf hub hugging huggingface id identity jwt kaggle neptune ngrok npm oauth oauth2 personal pypi read refresh registry replicate
    secret security service session slack telegram upload user vault wandb webhook write x"""
)
_TOKENIZER_TOKENS = _words(
    """added additional assistant audio avg begin bos call cls completion context cost count current decoder delimiter dummy
    document each empty encoder end eos eot extra fim fill first forced generated human image img in infix input instruction last
    left length longest mask max mean middle min n new next no non num number of out output pad padding per placeholder prefix
    prev previous price prompt query response right sentinel sep separator shortest special start stop sub suffix system target
    text think thinking time tool total turn unk unknown video vision vocab word words"""
)


def suspicion(name: str) -> Suspicion:
    """What the name of a variable, key, header or flag says about its value."""
    match = _NAME_END.search(name[-_LONGEST_NAME:])
    if match is None:
        return Suspicion.NONE
    keyword = match[1].lower()
    if keyword == "pwd" and name.upper() in ("PWD", "OLDPWD"):
        return Suspicion.NONE  # the working folder
    if keyword.startswith("token"):
        return _of_token(name[: len(name) - len(match[0])], name, plural=keyword == "tokens")
    return Suspicion.PASSWORD if keyword.startswith(("pass", "pwd", "secret")) and "key" not in keyword else Suspicion.KEY


def _of_token(prefix: str, name: str, *, plural: bool) -> Suspicion:
    words = _WORDS.findall(prefix)
    last = words[-1].lower() if words else ""
    if last in _SECRET_TOKENS:
        return Suspicion.KEY
    if plural or last in _TOKENIZER_TOKENS:
        return Suspicion.NONE
    return Suspicion.WITH_DIGIT if name.isupper() else Suspicion.RANDOM_ONLY


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_REFERENCE = re.compile(
    r"\$[\w:]+|\$[({].*|os\.environ.*|%\w?|%[({].*|[<{\[].*|.*(?:\{\w*\}|://|\.\.\.|…|\*\*\*|xxx|XXX|\$\{).*|[\W_]*|(.)\1*",
    re.ASCII | re.DOTALL,
)
"""``$NAME``, ``${{ … }}``, ``<your token>``, ``[PAD]``, ``hf_...``, a URL: a place for a value, not the value."""
_CONSTANTS = _words(
    """any auto base64 bool boolean bytes default deny disable disabled enable enabled env environ environment false file float int
    integer keyring list new nil none null number oauth2 object off on optional prompt random required self sha256 stdin str
    string text true tuple undefined unset yes"""
)
_DUMMIES = _words(
    """abc anything bar baz changeme change dummy empty example fake fill foo here insert litellm llama llamacpp lm lmstudio local missing
    mock my needed not nothing ollama placeholder put redacted removed replace required sample sglang some studio test todo
    unneeded unused vllm whatever your"""
)
_NAME_WORDS = _words(
    """access account admin api auth aws azure bearer client code credential credentials db default field forgot github hf hub id
    input key keys label name new old openai pass passphrase password passwd private public pwd reset root secret secrets show
    signing ssh token tokens type user username value"""
)
_PROSE = _words(
    """a an and are as at be by can cannot characters do does enter expired for forgot from has have if in incorrect invalid is
    it least long match may missing must no not of on only optional or please required reset should that the this to too use was
    will with wrong you your"""
)
LONGEST_LOOKED_AT = 200
"""What a value is, its beginning tells; and a megabyte of them must not take minutes."""
_SEPARATORS = re.compile(r"[-_.\s/]+")
_NUMBER = re.compile(r"[+-]?[\d_.,]+(?:e[+-]?\d+)?[kmb%]?", re.ASCII | re.IGNORECASE)
_RANDOM = re.compile(r"[A-Za-z0-9_+/=.~-]{12,}", re.ASCII)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]*[.-][\w.-]*", re.ASCII)


def is_placeholder(value: str) -> bool:
    """``password``, ``<token>``, ``$PASS``, ``your-key-here``: what examples are written with."""
    return _is_harmless(value.strip())


def is_secret(value: str, suspected: Suspicion) -> bool:
    """Whether a literal under a name of that suspicion is to be taken out."""
    value = value[:LONGEST_LOOKED_AT].strip()
    if suspected is Suspicion.NONE or not value or _is_harmless(value):
        return False
    if _NUMBER.fullmatch(value):
        return suspected in (Suspicion.PASSWORD, Suspicion.KEY) and len(value) >= 6 and value.isdigit()
    match suspected:
        case Suspicion.PASSWORD:
            return len(value) >= 3 and not _is_prose(value)
        case Suspicion.KEY:
            return len(value) >= 6 and not any(char.isspace() for char in value) and (_has_digit(value) or _is_long_word(value))
        case Suspicion.WITH_DIGIT:
            return len(value) >= 8 and not any(char.isspace() for char in value) and _has_digit(value)
        case _:
            return looks_random(value)


def _is_harmless(value: str) -> bool:
    lowered = value.lower()
    if lowered in _CONSTANTS or _REFERENCE.fullmatch(value) or value.startswith(("/", "./", "../", "~/")):
        return True
    words = [word for word in _SEPARATORS.split(lowered) if word]
    if not all(word.isalpha() for word in words):
        return False
    return any(word in _DUMMIES for word in words) or all(word in _NAME_WORDS for word in words)


def _is_prose(value: str) -> bool:
    """A sentence about a password (a label, an error message) rather than one."""
    words = [word.strip(".,:;!?").lower() for word in value.split()]
    return len(words) > 1 and (len(value) > 64 or any(word in _PROSE or word in _NAME_WORDS for word in words))


def _is_long_word(value: str) -> bool:
    """Letters alone make a key when there are many of them in one piece; hyphenated words are a name."""
    return (len(value) >= 8 and value.isalpha()) or len(value) >= 32


def looks_random(value: str) -> bool:
    """At least 12 characters of letters and digits mixed, and no path, model id or variable's name."""
    if not _RANDOM.fullmatch(value) or _REPOSITORY.fullmatch(value):
        return False
    digits = sum(char.isdigit() for char in value)
    letters = sum(char.isalpha() for char in value)
    return digits >= 3 and letters >= 3 and _longest_piece(value) >= 12


def _longest_piece(value: str) -> int:
    return max(len(piece) for piece in re.split(r"[_.\-/]+", value))


def _has_digit(value: str) -> bool:
    return any(char in "0123456789" for char in value)


# ── values that may be code ──────────────────────────────────────────────────────────────────────────────────────────

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_NAMES_A_SECRET = re.compile(r"token|key|pass|pwd|secret|cred", re.IGNORECASE)
_ENDS_AS_A_NAME = re.compile(r"(?:token|key|password|secret|credential)s?\d?\Z", re.IGNORECASE)


def is_bare_secret(value: str, suspected: Suspicion, *, is_shell: bool) -> bool:
    """The same for a value without quotes, which in a program is an expression. ``is_shell``: ``NAME=value``, all upper case."""
    value = value[:LONGEST_LOOKED_AT]
    if _DOTTED.fullmatch(value) and not any(looks_random(part) and not _NAMES_A_SECRET.search(part) for part in value.split(".")):
        return False
    if is_shell:
        stricter = Suspicion.KEY if suspected is Suspicion.WITH_DIGIT else suspected
        return len(value) >= 4 and is_secret(value, stricter)
    if value[0] in "@&*:!?":
        return False  # a decorator, a YAML anchor or tag, a parameter of SQL
    if not _has_digit(value) and (_IDENTIFIER.fullmatch(value) or len(value) < 16):
        return False
    if _IDENTIFIER.fullmatch(value) and (_NAMES_A_SECRET.search(value) or len(value) < 6):
        return looks_random(value) and "_" not in value and not _ENDS_AS_A_NAME.search(value)
    return is_secret(value, suspected)
