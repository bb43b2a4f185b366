"""What every server of a session stands in: variables, folders, the Hub's address and token. And who may see that token."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from ml_intern.compute.child_env import is_secret
from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings, hf_token
from ml_intern.config.paths import Paths
from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import McpServer
from ml_intern.gateways.outside import Outside

HUGGING_FACE = "https://huggingface.co"
_INHERITED = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
    "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "NODE_PATH", "NVM_DIR", "PYENV_ROOT",
    "VIRTUAL_ENV", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
})  # fmt: skip
_INHERITED_BEGINNINGS = ("LC_", "XDG_", "UV_", "NPM_CONFIG_")
"""What programs such as npx and uvx need to find themselves, their caches and the network."""
_PORTS = {"http": 80, "https": 443}


class Surroundings(Struct, frozen=True, kw_only=True):
    """``cwd`` is where programs start that the settings give no folder; ``hub_endpoint`` without a path."""

    environ: Environ
    paths: Paths
    cwd: Path
    hub_endpoint: str = HUGGING_FACE
    hub_token: SecretStr | None = None


def surroundings_of(loaded: LoadedSettings) -> Surroundings:
    """Those of a session in the folder of these settings."""
    outside = Outside(loaded.settings, loaded.environ, loaded.paths.cache_dir)
    return Surroundings(
        environ=loaded.environ,
        paths=loaded.paths,
        cwd=loaded.cwd,
        hub_endpoint=outside.hub_endpoint,
        hub_token=hf_token(loaded.environ),
    )


def program_variables(server: McpServer, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a server that is a program: its own from the settings, and harmless ones of ours. No secret is inherited."""
    harmless = {name: value for name, value in environ.items() if _is_inherited(name.upper()) and not is_secret(name, value)}
    return {"TERM": "dumb", **harmless, **server.env}


def _is_inherited(name: str) -> bool:
    return name in _INHERITED or name.startswith(_INHERITED_BEGINNINGS)


def request_headers(server: McpServer, around: Surroundings) -> dict[str, str]:
    """The configured headers; the Hub's own server gets the Hub's token beside them, unless the user says otherwise. Nobody else does."""
    headers = dict(server.headers)
    if around.hub_token is not None and belongs_to_hub(server, around) and not _authorizes(server):
        headers["Authorization"] = f"Bearer {around.hub_token.reveal()}"
    return headers


def belongs_to_hub(server: McpServer, around: Surroundings) -> bool:
    """Whether it answers at the very origin that the Hub's token is for."""
    return server.url is not None and origin(server.url) == origin(around.hub_endpoint)


def is_hugging_face(server: McpServer, around: Surroundings) -> bool:
    """Whether it is the server of the Hub in use, or of the public one."""
    return belongs_to_hub(server, around) or (server.url is not None and origin(server.url) == origin(HUGGING_FACE))


def why_dormant(server: McpServer, around: Surroundings) -> str:
    """Why the server is not contacted at all, as a sentence; empty when it is."""
    if not server.enabled:
        return "It is disabled in the settings."
    if not is_hugging_face(server, around) or _authorizes(server) or server.oauth:
        return ""
    if not belongs_to_hub(server, around):
        other = f"the Hub in use is {around.hub_endpoint}" if around.hub_token is None else f"your token is for {around.hub_endpoint}"
        return f"It is the public Hub's, and {other}."
    return "" if around.hub_token is not None else "It needs a Hugging Face token: set HF_TOKEN, or run `hf auth login`."


def _authorizes(server: McpServer) -> bool:
    return any(name.lower() == "authorization" for name in server.headers)


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port, as RFC 6454 compares them."""
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme.lower())


def address(server: McpServer) -> str:
    """How to name the server to a person: without arguments and query, which may hold keys."""
    return server.command or (server.url or "").partition("?")[0]
