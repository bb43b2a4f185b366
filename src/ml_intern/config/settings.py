"""Every setting, as one frozen tree. The docstring under a field is its documentation (``docs/configuration.md``)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of every group of settings."""


class ProviderProfile(Section):
    """A named provider: models are then ``<name>/<model>``."""

    base_url: str
    wire: Literal["openai", "anthropic", "litellm"] = "openai"
    api_key_env: str = ""
    headers: dict[str, str] = {}
    context_window: Annotated[int, Meta(ge=1)] | None = None
    prices: dict[str, float] | None = None


class Permissions(Section):
    """Rules such as ``bash(pytest *)``, ``write``, ``hf_jobs(run cpu-*)``, ``mcp:github:*``. Deny wins over ask, ask over allow."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class SandboxSettings(Section):
    enabled: bool = True
    network: bool = True
    pass_env: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()


class Settings(Section):
    model_name: str | None = None
