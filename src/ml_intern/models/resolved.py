"""A model id, looked up: which wire it speaks, where, with which key, and what is known about the model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from msgspec import Struct, field  # and no dataclass: it stands on the path to the first paint

from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import Prices

Wire: TypeAlias = Literal["openai", "anthropic", "litellm", "scripted"]

ROUTER = "huggingface"
OPENAI = "openai"
ANTHROPIC = "anthropic"
OPENROUTER = "openrouter"


class ResolvedModel(Struct, frozen=True, kw_only=True):
    """Where a model id leads.

    ``model_id`` is the id as the user wrote it, ``wire_model`` what the provider is told. ``provider`` is ``huggingface``
    (the router), ``openai``, ``anthropic``, ``openrouter``, ``litellm``, ``scripted``, a local prefix, or the name of a
    profile. ``api_key_env`` names the variable the key comes from (empty: the provider needs none). ``window`` and
    ``prices`` are None while unknown. ``effort_levels`` are those worth asking for, weakest first.
    """

    model_id: str
    wire: Wire
    provider: str
    base_url: str
    wire_model: str
    api_key_env: str = ""
    api_key: SecretStr | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    window: int | None = None
    prices: Prices | None = None
    sees_images: bool = True
    local: bool = False
    effort_levels: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the headers, which may hold a key."""
        return f"ResolvedModel({self.model_id!r}, {self.wire} at {self.base_url!r}, {self.wire_model!r})"

    @property
    def supports_effort(self) -> bool:
        """Whether any reasoning effort may be asked for."""
        return bool(self.effort_levels)

    @property
    def on_router(self) -> bool:
        """Whether the Hugging Face router serves it."""
        return self.provider == ROUTER
