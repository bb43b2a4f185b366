"""Questions that only a person can answer, and the awaits that wait for them.

Open the question first, announce it second: an answer that comes at once must not be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Generic, TypeAlias, TypeVar, cast

import msgspec

from ml_intern.protocol.messages import JsonObject
from ml_intern.protocol.operations import ApprovalAnswer
from ml_intern.session.secret_marks import MARK

A = TypeVar("A")


class Abandoned:
    """The user went on without deciding."""


Decision: TypeAlias = ApprovalAnswer | Abandoned
"""How a call that needed approval was decided."""


class Gate(Generic[A]):
    """Open questions by key. Each is answered at most once. ``attended`` False: nobody sees them, so none may be opened."""

    def __init__(self, *, attended: bool = True) -> None:
        self.attended = attended
        self._open: dict[str, asyncio.Future[A]] = {}
        self._claimed: set[str] = set()
        self._expected: set[str] = set()
        self._ahead: dict[str, A] = {}
        self._once_asked: list[Callable[[], Awaitable[None]]] = []

    @contextmanager
    def ask(self, key: str) -> Generator[asyncio.Future[A]]:
        """An open question; awaiting it waits for the answer. Closed when the block ends."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._open[key] = future
        self._expected.discard(key)
        try:
            yield future
        finally:
            self._open.pop(key, None)
            self._claimed.discard(key)
            future.cancel()

    def claim(self, key: str) -> bool:
        """The right to answer, for one caller alone: who decides in the log first must be who answers. False when it is taken."""
        if not self.is_open(key):
            return False
        self._claimed.add(key)
        return True

    def release(self, key: str) -> None:
        """It was claimed and could not be decided: somebody else may."""
        self._claimed.discard(key)

    def answer(self, key: str, value: A) -> bool:
        """Answer a question. False when it is not open (any more)."""
        future = self._open.get(key)
        if future is None or future.done():
            return False
        future.set_result(value)
        return True

    # ── before they are open ─────────────────────────────────────────────────────────────────────────────────────────

    def expect(self, keys: Iterable[str]) -> None:
        """An earlier process asked these, and this one is about to open them again."""
        self._expected.update(keys)

    def expected(self) -> tuple[str, ...]:
        """Those of them that are not open yet, and that nobody has answered."""
        return tuple(self._expected)

    def answer_ahead(self, key: str, value: A) -> None:
        """Answer one that is expected: it is opened no more."""
        self._expected.remove(key)
        self._ahead[key] = value

    def ahead(self, key: str) -> A | None:
        """Its answer, if that came before the question."""
        return self._ahead.get(key)

    def answer_once_asked(self, keys: Collection[str], answer: Callable[[], Awaitable[None]]) -> None:
        """``answer`` is called when the expected ones are open and announced; nobody else answers these ahead any more."""
        self._expected.difference_update(keys)
        self._once_asked.append(answer)

    async def asked(self) -> None:
        """They are, and nothing more is expected: see ``answer_once_asked``."""
        self._expected.clear()
        answers, self._once_asked = self._once_asked, []
        for answer in answers:
            await answer()

    def forget_ahead(self) -> None:
        """What was answered ahead has been read, or is asked no more: the same key may be another question's."""
        self._expected.clear()
        self._ahead.clear()
        self._once_asked.clear()

    # ── while they are open ──────────────────────────────────────────────────────────────────────────────────────────

    def is_open(self, key: str) -> bool:
        """Whether somebody waits for this answer and nobody has claimed it."""
        future = self._open.get(key)
        return future is not None and not future.done() and key not in self._claimed

    def waiting(self) -> tuple[str, ...]:
        """The questions that wait, in the order they were asked."""
        return tuple(key for key in self._open if self.is_open(key))


def why_refused(answer: Decision) -> tuple[str, str]:
    """Why a call that was not approved does not run: the kind of failure, and the words for the model."""
    if isinstance(answer, Abandoned):
        return "abandoned", "The user went on without deciding: this call was abandoned and not run."
    if answer.reason != "declined":  # no person said so: the words are the frontend's
        return "rejected", f"Nobody decided; the call was not run. {answer.feedback or ''}".rstrip()
    feedback = f" User feedback: {answer.feedback}" if answer.feedback else ""
    return "rejected", f"Rejected by the user; the call was not run.{feedback}"


def edited_arguments(arguments: JsonObject, answer: ApprovalAnswer) -> JsonObject:
    """The arguments as the approval changed them. The user saw marks in place of secrets: what he left as it was keeps its own."""
    edited = dict(arguments if answer.arguments is None else answer.arguments)
    if answer.edited_script is not None and "script" in edited:
        edited["script"] = answer.edited_script
    if answer.namespace is not None and "operation" in edited:
        edited["namespace"] = answer.namespace
    return {key: _with_secrets(value, arguments.get(key)) for key, value in edited.items()}


def _with_secrets(edited: Any, original: Any) -> Any:
    match edited, original:
        case str(), str():
            return original if _is_scrubbed(edited, original) else edited
        case dict(), dict():
            before = cast(JsonObject, original)
            return {key: _with_secrets(value, before.get(key)) for key, value in cast(JsonObject, edited).items()}
        case list(), list():
            items, before = cast("list[Any]", edited), cast("list[Any]", original)
            return [_with_secrets(item, old) for item, old in zip(items, before, strict=True)] if len(items) == len(before) else items
        case _:
            return edited


def _is_scrubbed(text: str, original: str) -> bool:
    """Whether the text is the original with nothing but marks put in."""
    first, *more = MARK.split(text)
    if not more or not original.startswith(first):
        return False
    position = len(first)
    for part in more[:-1]:
        found = original.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return original[position:].endswith(more[-1])


def as_object(arguments: str) -> JsonObject:
    """The arguments for people to look at: an empty object when they are none."""
    try:
        return msgspec.json.decode(arguments.strip() or "{}", type=JsonObject)
    except (msgspec.DecodeError, RecursionError):
        return {}
