"""Whether the first run has something to ask. Cheap: it stands on the path of every start."""

from __future__ import annotations

from pathlib import Path

from ml_intern.config.load import LoadedSettings, hf_token, user_file
from ml_intern.config.paths import private_dir
from ml_intern.errors import ConfigError

MARKER = "first_run"
"""In the state folder: it was asked about traces once."""
SHARE = ("share_traces",)


def is_due(loaded: LoadedSettings) -> bool:
    """No model can be used as far as keys tell, or nobody was asked about traces yet. A local server that answers is found by
    ``steps.look``."""
    return not has_key(loaded) or asks_about_traces(loaded)


def asks_about_traces(loaded: LoadedSettings) -> bool:
    """Whether the user was never asked if traces may be shared. Without a Hugging Face token there is nowhere to share them."""
    if marker(loaded).exists() or hf_token(loaded.environ) is None:
        return False
    from ml_intern.config.edit import read_user
    from ml_intern.config.json_values import lookup

    return not lookup(read_user(user_file(loaded.environ)), SHARE)[0]


def has_key(loaded: LoadedSettings) -> bool:
    """Whether the model of the settings can be used, or without one any."""
    from ml_intern.models.routes import KEYS, Routes  # not where the marker says enough

    routes = Routes(loaded.settings, loaded.environ)
    if loaded.settings.model_name is None:
        return any(routes.has_key(key) for key in KEYS)
    try:
        return routes.missing_key(routes.resolve(loaded.settings.model_name)) is None
    except ConfigError:
        return True  # the model is wrong, which no key mends: the start says what is wrong


def marker(loaded: LoadedSettings) -> Path:
    """The file that says that they were asked about traces."""
    return loaded.paths.state_dir / MARKER


def mark_asked(loaded: LoadedSettings) -> None:
    """Do not ask about traces again by yourself. Raises ``ConfigError`` when the state folder cannot be made."""
    private_dir(loaded.paths.state_dir)
    marker(loaded).touch(mode=0o600)
