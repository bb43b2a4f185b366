"""The keys that the user gave to ml-intern: in the system's key store where there is one, else in a file of the user's for each.

The file says which: it holds the key, or the word that sends to the key store. So nobody without a key in the key store pays for
looking into it. A key goes by the name of the variable that would hold it, and that variable wins over it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from, private_dir
from ml_intern.config.private_file import replace_private
from ml_intern.config.secret import SecretStr
from ml_intern.errors import ConfigError

HF_TOKEN = "HF_TOKEN"
KEPT = (HF_TOKEN, "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY")
"""What can be given."""
IN_KEY_STORE = "(in the system's key store)"
SERVICE = "ml-intern"


def kept_token(environ: Environ, variable: str = HF_TOKEN) -> SecretStr | None:
    """The key, if one was given. The key store is asked once for each snapshot of the environment: it may be slow, or ask back."""
    try:
        text = token_file(environ, variable).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ConfigError):
        return None
    if text == IN_KEY_STORE:
        return environ.once(variable, partial(_from_key_store, _account(variable)))
    return SecretStr(text) if text else None


def token_file(environ: Environ, variable: str = HF_TOKEN) -> Path:
    """Where the key is, or where it says that the key store has it."""
    return paths_from(environ).config_dir / _account(variable)


def where_kept(environ: Environ, variable: str) -> str:
    """The place in words; empty when no such key was given."""
    path = token_file(environ, variable)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return "the system's key store" if text == IN_KEY_STORE else str(path) if text else ""


def _account(variable: str) -> str:
    return variable.lower()


def keep_token(token: SecretStr, environ: Environ, variable: str = HF_TOKEN) -> str:
    """Keep it, and say where in words. May wait for the key store: not for an event loop. Raises ``ConfigError``."""
    path = token_file(environ, variable)
    if _into_key_store(token, _account(variable)):
        _write(path, IN_KEY_STORE)
        return "the system's key store"
    _write(path, token.reveal())
    return f"{path} (readable by you alone)"


def forget_token(environ: Environ, variable: str = HF_TOKEN) -> bool:
    """Remove what ``keep_token`` kept; False when there was nothing."""
    path = token_file(environ, variable)
    try:
        in_key_store = path.read_text(encoding="utf-8").strip() == IN_KEY_STORE
        path.unlink()
    except OSError:
        return False
    if in_key_store:
        _out_of_key_store(_account(variable))
    return True


def _write(path: Path, text: str) -> None:
    private_dir(path.parent)
    try:
        replace_private(path, f"{text}\n".encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error


# ── the key store (extra ``keyring``) ────────────────────────────────────────────────────────────────────────────────


def _from_key_store(account: str) -> SecretStr | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        found = keyring.get_password(SERVICE, account)
    except KeyringError:
        return None
    return SecretStr(found) if found else None


def _into_key_store(token: SecretStr, account: str) -> bool:
    """Whether it is there now: a store that takes everything and keeps nothing is none."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return False
    try:
        keyring.set_password(SERVICE, account, token.reveal())
        return keyring.get_password(SERVICE, account) == token.reveal()
    except KeyringError:
        return False


def _out_of_key_store(account: str) -> None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return
    try:
        keyring.delete_password(SERVICE, account)
    except KeyringError:
        return  # it is not there, which is what was wanted
