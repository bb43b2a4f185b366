"""One call of the command line, as its sub-commands see it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ml_intern.config.load import LoadedSettings
    from ml_intern.frontends.tui.backend import OpenBackend


class Invocation:
    """What sub-commands share: the flags of this call, and the settings they lead to (``Invocation.of(ctx)``)."""

    def __init__(self, open_session: OpenBackend) -> None:
        self.open_session = open_session
        self.options: dict[str, Any] = {}

    @classmethod
    def of(cls, ctx: click.Context) -> Invocation:
        """The one of this call."""
        found = ctx.find_object(cls)
        assert found is not None
        return found

    def load(self, *, warn: bool = True) -> LoadedSettings:
        """Read the settings; ``warn`` prints what the user should hear about them. Raises ``ConfigError``."""
        from pathlib import Path

        from ml_intern.config.load import load_settings, process_environ

        folder = self.options.get("cwd") or _working_folder()
        loaded = load_settings(frontend="cli", cwd=Path(folder), environ=process_environ(), flags=_flags(self.options))
        for warning in loaded.warnings if warn else ():
            click.echo(f"warning: {warning}", err=True)
        return loaded


def _working_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        from ml_intern.errors import ConfigError

        raise ConfigError("The current folder does not exist any more.", hint="Change to another, or use --cwd.") from None


def _flags(options: dict[str, Any]) -> dict[str, object]:
    """The settings that the flags change, by dotted key."""
    given: dict[str, object] = {
        "model_name": options.get("model"),
        "max_iterations": options.get("max_iterations"),
        "max_cost_usd": options.get("max_cost"),
        "stream": False if options.get("no_stream") else None,
        "tool_runtime": "sandbox" if options.get("sandbox_tools") else None,
        "sandbox.enabled": False if options.get("no_sandbox") else None,
        "read_only": True if options.get("read_only") else None,
        "wait_for_approval_s": options.get("wait_for_approval"),
    }
    flags = {key: value for key, value in given.items() if value is not None}
    if effort := options.get("effort"):
        flags["reasoning_effort"] = None if effort == "off" else effort
    return flags
