"""The way in for what the user says, and the way out of a turn: both pass the user's hooks. A snapshot is begun at each message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from ml_intern.protocol.event_base import Event
from ml_intern.protocol.events import ErrorRaised, GuardTriggered, ToolLog, UserMessageAdded
from ml_intern.protocol.messages import AssistantMessage
from ml_intern.protocol.operations import UserInput
from ml_intern.session.hooks.hooks import NO_HOOKS, Hooks
from ml_intern.session.hooks.verdict import Verdict
from ml_intern.session.log import EventLog
from ml_intern.session.message_length import TooLong, too_long
from ml_intern.session.snapshots import Snapshots

TOO_LONG = "Save what is long to a file of the working folder and name that in the message, or use a model with a larger window."
MAX_HELD_BACK = 8
"""How often in one turn hooks may make the model go on: one that never lets it end must not spend all money."""


class Entrance:
    """Of one session."""

    def __init__(
        self, log: EventLog, hooks: Hooks = NO_HOOKS, snapshots: Snapshots | None = None, *, refuses_too_long: bool = False
    ) -> None:
        """``refuses_too_long``: whoever sends messages has not asked what becomes of one that the model's window does not hold."""
        self._refuses_too_long = refuses_too_long
        self._log = log
        self._hooks = hooks
        self._snapshots = snapshots or Snapshots()
        self._starting: asyncio.Task[Verdict] | None = None
        self._held_back = 0

    def session_started(self) -> None:
        """``SessionStart``, beside what else happens; what it says goes ahead of the first message's answer."""
        if self._hooks.has("SessionStart"):
            state = self._log.state
            source = "resume" if state.history.entries else "startup"
            self._starting = asyncio.create_task(self._hooks.tell("SessionStart", source, source=source, model=state.model))

    async def let_in(self, messages: Sequence[UserInput], *then: Event, window: int | None, steering: bool = False) -> bool:
        """Store the messages that no hook blocks, and ``then`` behind them. False when none is left. ``window``: the model's, in tokens.

        Interrupted before, nothing is stored.
        """
        if not messages:
            return False
        added, context, refused = list[Event](), list[str](), list[ErrorRaised]()
        if self._starting is not None:
            context.append((await asyncio.shield(self._starting)).context)
            self._starting = None
        context += self._hooks.late_words()
        for message in messages:
            if problem := self._too_long(message, window):
                refused.append(_refused(problem.words, "MessageTooLong", hint=TOO_LONG))
                continue
            verdict = await self._hooks.tell("UserPromptSubmit", prompt=message.text)
            if verdict.blocked:
                refused.append(_refused(verdict.blocked, "HookBlocked", hint="Change it, or the hook."))
            else:
                added.append(_added(message, steering=steering))
                context.append(verdict.context)
        if not added:
            await self._log.append(*(replace(error, ends_turn=not steering) for error in refused))
            return False
        await self._log.append(*refused, *added, *_told(context), *then)
        if not steering:
            self._held_back = 0
        self._snapshots.begin_turn(self._log.state.history.user_seqs()[-len(added)])
        return True

    def _too_long(self, message: UserInput, window: int | None) -> TooLong | None:
        """What another terminal sent was measured there: the app asks its user, ``attach`` leaves it on the line."""
        if not self._refuses_too_long or message.sent_by:
            return None
        return too_long(message, window=window, used=self._log.state.context_tokens)

    async def hold_back(self) -> bool:
        """``Stop``: whether a hook wants the model to go on; it is told why."""
        if not self._hooks.has("Stop"):
            return False
        if self._held_back >= MAX_HELD_BACK:
            words = f"Stop hooks made the model go on {MAX_HELD_BACK} times in this turn, the most: it ends without asking them again."
            await self._log.append(ToolLog(tool="hooks", log=words, label="hooks"))
            return False
        messages = self._log.state.history.messages
        said = next((m.text for m in reversed(messages) if isinstance(m, AssistantMessage)), "")
        verdict = await self._hooks.tell("Stop", stop_hook_active=self._held_back > 0, last_assistant_message=said)
        if verdict.stop or not verdict.blocked:
            return False
        self._held_back += 1
        await self._log.append(GuardTriggered(guard="stop_hook", message=f"[Not done yet.] {verdict.blocked}"))
        return True

    async def aclose(self) -> None:
        """End a hook that still runs, and write down the last snapshot."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self._snapshots.finish()


def _added(message: UserInput, *, steering: bool) -> UserMessageAdded:
    return UserMessageAdded(content=message.text, images=message.images, steering=steering, sent_by=message.sent_by)


def _refused(why: str, kind: str, *, hint: str) -> ErrorRaised:
    return ErrorRaised(error=f"The message was not sent. {why}", kind=kind, hint=hint, ends_turn=False)


def _told(context: Sequence[str]) -> list[Event]:
    """What hooks had to say, as a message for the model."""
    words = "\n".join(text for text in context if text)
    return [GuardTriggered(guard="hook", message=f"[From a hook of the user's:]\n{words}")] if words else []
