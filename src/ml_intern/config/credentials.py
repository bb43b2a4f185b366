"""Which secrets there are: the Hugging Face token, and everything that looks like one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ml_intern.config.environ import Environ
from ml_intern.config.kept_token import HF_TOKEN, KEPT, kept_token
from ml_intern.config.paths import expand_home, home_dir
from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import Settings, SlackDestination

_SECRET_WORDS = re.compile(
    r"TOKEN|API_?KEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL|AUTHORIZATION|COOKIE", re.IGNORECASE
)
_SHORTEST_SECRET = 8
"""What is shorter is as likely a word of a text, and would be scrubbed out of it."""


def hf_token(environ: Environ) -> SecretStr | None:
    """The Hugging Face token: the environment's, else the one that was given to ml-intern, else the one that ``hf auth login`` left.

    Variables and file as in https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables.
    """
    found = environ.secret("HF_TOKEN") or environ.secret("HUGGING_FACE_HUB_TOKEN")
    if found is not None or (found := kept_token(environ)) is not None:
        return found
    try:
        saved = _token_file(environ).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return SecretStr(saved) if saved else None


def provider_key(environ: Environ, variable: str) -> SecretStr | None:
    """The key of that name: the environment's, else the one that was given to ml-intern."""
    if variable == HF_TOKEN:
        return hf_token(environ)
    return environ.secret(variable) or (kept_token(environ, variable) if variable in KEPT else None)


def _token_file(environ: Environ) -> Path:
    if path := environ.get("HF_TOKEN_PATH"):
        return expand_home(path, environ)
    if home := environ.get("HF_HOME"):
        return expand_home(home, environ) / "token"
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else home_dir(environ) / ".cache") / "huggingface" / "token"


def looks_secret(name: str) -> bool:
    """Whether a variable or a header of that name is expected to hold a secret."""
    return _SECRET_WORDS.search(name.replace("-", "_")) is not None


def known_secrets(settings: Settings, environ: Environ) -> tuple[SecretStr, ...]:
    """Every secret this process knows, each once: what must never be stored, shown or sent."""
    found = (secret.strip() for secret in _candidates(settings, environ))
    return tuple(SecretStr(secret) for secret in dict.fromkeys(found) if len(secret) >= _SHORTEST_SECRET)


def _candidates(settings: Settings, environ: Environ) -> Iterator[str]:
    key_names = {settings.web.search_key_env, *(profile.api_key_env for profile in settings.providers.values())}
    for name, value in environ.as_dict().items():
        if name in key_names or (looks_secret(name) and not _names_a_place(value)):
            yield value
    for variable in KEPT:  # also one that a variable stands before: it was read, and may be shown
        for token in (provider_key(environ, variable), kept_token(environ, variable)):
            if token is not None:
                yield token.reveal()
    if app_token := settings.messaging.answers.app_token:
        yield app_token.reveal()
    for destination in settings.messaging.destinations.values():
        yield (destination.token if isinstance(destination, SlackDestination) else destination.url).reveal()
    maps = [profile.headers for profile in settings.providers.values()]
    maps += [values for server in settings.mcp_servers.values() for values in (server.headers, server.env)]
    for name, value in (item for values in maps for item in values.items()):
        if looks_secret(name):
            yield value.removeprefix("Bearer ")


def _names_a_place(value: str) -> bool:
    """``HF_TOKEN_PATH=/home/…``, ``GOOGLE_APPLICATION_CREDENTIALS=~/key.json``: a path, no secret."""
    return value.startswith(("/", "~", "./"))
