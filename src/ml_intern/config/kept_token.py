"""The Hugging Face token that the user gave to ml-intern: in the system's key store where there is one, else in a file of the user's.

The file says which: it holds the token, or the word that sends to the key store. So nobody without a token in the key store pays for
looking into it.
"""

from __future__ import annotations

from pathlib import Path

from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from, private_dir
from ml_intern.config.private_file import replace_private
from ml_intern.config.secret import SecretStr
from ml_intern.errors import ConfigError

FILE_NAME = "hf_token"
IN_KEY_STORE = "(in the system's key store)"
SERVICE, ACCOUNT = "ml-intern", "hf_token"


def kept_token(environ: Environ) -> SecretStr | None:
    """The token, if one was given. The key store is asked once for each snapshot of the environment: it may be slow, or ask back."""
    try:
        text = token_file(environ).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ConfigError):
        return None
    if text == IN_KEY_STORE:
        return environ.once(FILE_NAME, _from_key_store)
    return SecretStr(text) if text else None


def token_file(environ: Environ) -> Path:
    """Where the token is, or where it says that the key store has it."""
    return paths_from(environ).config_dir / FILE_NAME


def keep_token(token: SecretStr, environ: Environ) -> str:
    """Keep it, and say where in words. May wait for the key store: not for an event loop. Raises ``ConfigError``."""
    path = token_file(environ)
    if _into_key_store(token):
        _write(path, IN_KEY_STORE)
        return "the system's key store"
    _write(path, token.reveal())
    return f"{path} (readable by you alone)"


def forget_token(environ: Environ) -> bool:
    """Remove what ``keep_token`` kept; False when there was nothing."""
    path = token_file(environ)
    try:
        in_key_store = path.read_text(encoding="utf-8").strip() == IN_KEY_STORE
        path.unlink()
    except OSError:
        return False
    if in_key_store:
        _out_of_key_store()
    return True


def _write(path: Path, text: str) -> None:
    private_dir(path.parent)
    try:
        replace_private(path, f"{text}\n".encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error


# ── the key store (extra ``keyring``) ────────────────────────────────────────────────────────────────────────────────


def _from_key_store() -> SecretStr | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        found = keyring.get_password(SERVICE, ACCOUNT)
    except KeyringError:
        return None
    return SecretStr(found) if found else None


def _into_key_store(token: SecretStr) -> bool:
    """Whether it is there now: a store that takes everything and keeps nothing is none."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return False
    try:
        keyring.set_password(SERVICE, ACCOUNT, token.reveal())
        return keyring.get_password(SERVICE, ACCOUNT) == token.reveal()
    except KeyringError:
        return False


def _out_of_key_store() -> None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return
    try:
        keyring.delete_password(SERVICE, ACCOUNT)
    except KeyringError:
        return  # it is not there, which is what was wanted
