"""What every test stands on: a home of its own, no secrets from outside, and no network beyond this machine."""

from __future__ import annotations

import ipaddress
import logging
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

_FOREIGN = re.compile(
    r"(TOKEN|API_KEY|SECRET|PASSWORD|CREDENTIAL|ACCESS_KEY)"
    r"|^(HF|HUGGING_FACE|ML_INTERN|OPENAI|ANTHROPIC|OPENROUTER|LOCAL_LLM|OLLAMA|VLLM|LMSTUDIO|LLAMACPP|SLACK|GITHUB|XDG|LITELLM)_"
    r"|^(NO_COLOR|FORCE_COLOR|COLUMNS|LINES|PYTHONDONTWRITEBYTECODE|(HTTPS?|ALL|NO)_PROXY)$",
    re.IGNORECASE,
)
_NOBODY_LISTENS = "http://127.0.0.1:9"

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("default")


class OutsideNetworkRefused(RuntimeError):
    """A test tried to leave the machine. Not an ``OSError``, so that no product code can take it for a lost connection."""


def _refuse_outside(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook sees every socket of the process, whichever library opened it, and cannot be patched away."""
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_here(address[0]):
            raise OutsideNetworkRefused(f"{event} to {address}")
    elif event == "socket.getaddrinfo" and not _is_here(arguments[0]):
        raise OutsideNetworkRefused(f"look-up of {arguments[0]}")


def _is_here(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if not name or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_refuse_outside)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started behind a shell's "&": the programs under test would be deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """As it was: a handler that one test leaves behind would write to another one's closed streams."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home folder; child processes inherit it, and find a proxy that leads nowhere for whatever is not loopback."""
    folder = tmp_path_factory.mktemp("home")
    for name in _inherited_names():
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    for variable, subfolder in (
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_CACHE_HOME", ".cache"),
    ):
        monkeypatch.setenv(variable, str(folder / subfolder))
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, _NOBODY_LISTENS)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1,localhost,::1")
    return folder


def _inherited_names() -> list[str]:
    import os

    return [name for name in os.environ if _FOREIGN.search(name)]
