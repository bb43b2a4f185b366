"""The background commands of a session, by name: what ``bash`` starts and ``background`` looks after."""

from __future__ import annotations

from msgspec import Struct

from ml_intern.compute.base import RunningCommand

MAX_RUNNING = 16


class BackgroundCommand(Struct, frozen=True, kw_only=True):
    """One of them. ``left_over``: a foreground command ended, but left this running."""

    id: str
    line: str
    running: RunningCommand
    keep_running: bool = False
    left_over: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more, as far as we can see."""
        return self.running.result is not None and not self.running.holds_on


class BackgroundCommands:
    """In the order they were started; ended ones stay readable."""

    def __init__(self) -> None:
        self._commands: dict[str, BackgroundCommand] = {}

    def add(self, line: str, running: RunningCommand, *, keep_running: bool = False, left_over: bool = False) -> BackgroundCommand:
        """Remember one under a new id."""
        command = BackgroundCommand(
            id=f"bg_{len(self._commands) + 1}", line=line, running=running, keep_running=keep_running, left_over=left_over
        )
        self._commands[command.id] = command
        return command

    def get(self, command_id: str) -> BackgroundCommand | None:
        """The one of that id."""
        return self._commands.get(command_id)

    def all(self) -> tuple[BackgroundCommand, ...]:
        """The oldest first."""
        return tuple(self._commands.values())

    @property
    def running_count(self) -> int:
        """How many have not ended."""
        return sum(not command.ended for command in self._commands.values())
