"""The environment of commands: the user's, less what looks like a secret, plus what keeps programs from waiting for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_SECRET_WORDS = frozenset({
    "TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "PWD", "CREDENTIAL", "CREDENTIALS", "KEY", "KEYS", "APIKEY",
    "PAT", "COOKIE", "AUTH", "DSN", "WEBHOOK", "WEBHOOKS",
})  # fmt: skip
"""A variable is a secret when one of the words of its name is one of these."""

_SECRET_ENDINGS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "APIKEY", "PASSFILE", "WEBHOOK", "DSN")
"""Names written in one word: ``PGPASSWORD``, ``GITHUBTOKEN``."""

_HARMLESS_PASSES = ("COMPASS", "BYPASS", "TRESPASS", "SURPASS", "OVERPASS", "UNDERPASS")
"""Words that end like ``PGPASS`` and ``DBPASS`` but are none."""

_WEBHOOKS = (
    "hooks.slack.com/", "discord.com/api/webhooks/", "discordapp.com/api/webhooks/", ".webhook.office.com/", "outlook.office.com/webhook/",
    "hooks.zapier.com/", "chat.googleapis.com/v1/spaces/", "api.telegram.org/bot", "maker.ifttt.com/trigger/",
)  # fmt: skip
"""Addresses that are secrets themselves: who knows one can post."""

_SECRET_VALUES = (
    "hf_", "sk-", "ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "ASIA", "AIza", "-----BEGIN ",
)  # fmt: skip
"""What the keys of well-known services begin with, whatever the variable is called."""

_NO_SECRETS = frozenset({"PWD", "OLDPWD", "TOKENIZERS_PARALLELISM", "GPG_TTY", "KEYBOARD_LAYOUT"})

_DOORS = frozenset({
    "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DOCKER_HOST", "KUBECONFIG", "TMUX",
    "STY",
})  # fmt: skip
"""Not secrets themselves, but ways to programs that act for the user: agents, buses, terminals."""

_LOGIN_URLS = ("_PROXY", "INDEX_URL", "_FIND_LINKS", "_INDEX")
"""Names whose URLs may carry a login because programs cannot reach the network or their packages without it."""

_UNATTENDED = {
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_NO_INPUT": "1",
    "PYTHONUNBUFFERED": "1",
    "TERM": "dumb",
}
"""Nobody is there to page or to type; unbuffered, so that output is live and survives a time-out."""


def is_secret(name: str, value: str) -> bool:
    """Whether a command should not see this variable unless the user says so."""
    upper = name.upper()
    if upper in _NO_SECRETS:
        return False
    if upper in _DOORS or upper.startswith("ML_INTERN_"):
        return True
    if upper.endswith(_SECRET_ENDINGS) or not _SECRET_WORDS.isdisjoint(upper.split("_")):
        return True
    if upper.endswith("PASS") and not upper.endswith(_HARMLESS_PASSES):
        return True
    if value.startswith(_SECRET_VALUES) or any(webhook in value for webhook in _WEBHOOKS):
        return True
    return _has_login(value) and not upper.endswith(_LOGIN_URLS)


def _has_login(value: str) -> bool:
    """``scheme://user:password@host``"""
    _, scheme, rest = value.partition("://")
    login, at, _ = rest.partition("/")[0].rpartition("@")
    return bool(scheme and at and ":" in login)


def child_environment(environ: Mapping[str, str], pass_env: Iterable[str] = ()) -> dict[str, str]:
    """What a command gets. ``pass_env`` names the secrets that the user lets through."""
    allowed = frozenset(pass_env)
    kept = {name: value for name, value in environ.items() if name in allowed or not is_secret(name, value)}
    return {**kept, **_UNATTENDED}
