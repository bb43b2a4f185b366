"""The permission rules of one session: where each comes from, and changing them while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ml_intern.errors import ConfigError
from ml_intern.protocol.permission_events import RuleInForce
from ml_intern.protocol.permission_operations import OUTCOMES, ChangeRule, RuleOutcome, RuleScope
from ml_intern.session.permissions import Rule, RuleTexts

SESSION_ORIGIN = "this session"


class Kept(Protocol):
    """Rules that outlive the session. Methods block; they raise ``ConfigError`` or ``OSError``."""

    def read(self) -> Sequence[RuleInForce]:
        """All of them."""
        ...

    def change(self, scope: RuleScope, outcome: RuleOutcome, rule: str, *, wanted: bool, replaces: str = "") -> bool:
        """Add one (in the place of another), or take one out; False when what is to go is not there."""
        ...

    def stamp(self) -> object:
        """Another one once somebody changed what is kept. Cheap."""
        ...


class RuleBook:
    """``own`` are the rules of the session's log, as outcome and text, at any moment."""

    def __init__(self, kept: Kept, own: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """Reads what is kept. Raises ``ConfigError``."""
        self._kept = kept
        self._own = own
        self._turns = asyncio.Lock()  # of two changes at once, the later reading must be the one that stays
        self._stamp = kept.stamp()
        self._read = tuple(kept.read())

    async def refresh(self) -> None:
        """Before calls are judged: another session may have changed what is kept. What cannot be read now stays as it was."""
        async with self._turns:
            try:
                await asyncio.to_thread(self._read_if_changed)
            except (ConfigError, OSError):
                return  # half written by hand, say: it is read when it changes again

    def _read_if_changed(self) -> None:
        if (stamp := self._kept.stamp()) != self._stamp:
            self._stamp = stamp
            self._read = tuple(self._kept.read())

    def rules(self) -> tuple[RuleInForce, ...]:
        """In the order in which they are looked at, those without effect behind the others of their outcome."""
        own = [RuleInForce(outcome=outcome, rule=rule, scope="session", origin=SESSION_ORIGIN) for outcome, rule in self._own()]
        every = (*own, *self._read)
        return tuple(sorted(every, key=lambda rule: (_place(rule.outcome), bool(rule.idle))))

    def texts(self) -> RuleTexts:
        """Those in force."""
        found: dict[str, list[str]] = {outcome: [] for outcome in OUTCOMES}
        for rule in self._read:
            if not rule.idle:
                found[rule.outcome].append(rule.rule)
        for outcome, text in self._own():
            found[outcome].append(text)
        return RuleTexts(deny=tuple(found["deny"]), ask=tuple(found["ask"]), allow=tuple(found["allow"]))

    def for_subagents(self) -> RuleTexts:
        """Nobody is asked for them: what would ask is denied."""
        texts = self.texts()
        return RuleTexts(deny=(*texts.deny, *texts.ask))

    async def change(self, change: ChangeRule) -> bool:
        """Keep it, or take it out; the session's own rules follow the log instead. False when there is none to take out.

        Raises ``ConfigError`` for what is no rule, and for a file that cannot be written.
        """
        if not change.remove:
            (Rule.wanted if change.outcome == "allow" else Rule.parse)(change.rule)
        if change.remove and change.replaces:
            raise ConfigError("A rule that is removed replaces none.")
        if change.scope == "session":
            gone = change.replaces or (change.rule if change.remove else "")
            return not gone or (change.outcome, gone) in self._own()
        try:
            async with self._turns:
                return await asyncio.to_thread(self._change, change)
        except OSError as error:
            raise ConfigError(f"The rule '{change.rule}' cannot be kept: {error}.", hint="Keep it for this session instead.") from error

    def _change(self, change: ChangeRule) -> bool:
        changed = self._kept.change(change.scope, change.outcome, change.rule, wanted=not change.remove, replaces=change.replaces)
        self._stamp = self._kept.stamp()
        self._read = tuple(self._kept.read())
        return changed


def _place(outcome: str) -> int:
    return next((place for place, known in enumerate(OUTCOMES) if known == outcome), len(OUTCOMES))
