"""What commands need to know of the session, folded from its events."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime
from typing import NamedTuple

from ml_intern.frontends.headless.text import Line
from ml_intern.frontends.spending.ledger import Ledger
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.display import PlanItem
from ml_intern.protocol.resource_events import HfJobComplete, HfJobSubmit, SandboxCreate, SandboxDestroy
from ml_intern.protocol.rewind_events import RewindComplete

KEPT_ANSWERS = 50
KEPT_JOBS = 500
KEPT_RUNS = 200


class Said(NamedTuple):
    """Words of the user's or the model's, and the number of the event that brought them. Those of one turn have its number."""

    seq: int
    at: datetime
    text: str
    turn: int = 0


class HookRun(NamedTuple):
    """One end of a hook; what it did may be several things."""

    at: datetime
    event: str
    command: str
    outcomes: tuple[str, ...]
    duration_s: float
    exit_code: int | None
    stderr: str

    def is_of(self, event: str, command: str) -> bool:
        """Whether it was this hook's."""
        return (self.event, self.command) == (event, command)


class JobRow(NamedTuple):
    """A job of this session; ``over`` is None while it runs. ``aside_usd`` is the most that it may still cost."""

    job: HfJobSubmit
    submitted_at: datetime
    over: HfJobComplete | None = None
    aside_usd: float = 0.0


class _Awaited(NamedTuple):
    kinds: tuple[type[e.AnyEvent], ...]
    future: asyncio.Future[e.AnyEvent | None]

    def answer(self, event: e.AnyEvent | None) -> None:
        if not self.future.done():
            self.future.set_result(event)


class Recall:
    """An ``EventReader``."""

    def __init__(self) -> None:
        self._awaited: list[_Awaited] = []
        self.begin(keep=False)

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self.ledger = Ledger()
        self.messages: list[Said] = []
        """Everything the user said that was not taken back; a place in it is what ``undo.before_message`` counts."""
        self.answers: deque[Said] = deque(maxlen=KEPT_ANSWERS)
        self.jobs: dict[str, JobRow] = {}
        self.sandboxes: dict[str, SandboxCreate] = {}
        self.effective_effort: dict[str, str | None] = {}
        """What each model took instead of the preference."""
        self.hook_runs: deque[HookRun] = deque(maxlen=KEPT_RUNS)
        self.probed: dict[str, tuple[Line, ...]] = {}
        """What models answered when they were asked in the picker."""
        self.tool_count = 0
        self.turns = 0
        self.last_seq = 0
        self.rewound = ""
        """The snapshot of how the files were before the last rewind."""
        for waiting in self._awaited:
            waiting.answer(None)
        self._plans: list[tuple[int, tuple[PlanItem, ...]]] = []
        self._model = ""
        self._turn = 0
        self._opening = False
        """Whether something was said and its turn has not begun: what is said now belongs to the same one."""

    @property
    def plan(self) -> tuple[PlanItem, ...]:
        """As it stands."""
        return self._plans[-1][1] if self._plans else ()

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        seq = self.last_seq = envelope.seq or self.last_seq
        self.ledger.read(envelope)
        self._answer(envelope.event)
        match event := envelope.event:
            case e.UserMessageAdded():
                self._said(seq, envelope.at, event)
            case e.AssistantMessageAdded() if event.content.strip():
                self.answers.append(Said(seq, envelope.at, event.content))
            case e.UndoComplete() if event.cut_seq:
                self._cut(event.cut_seq)
            case e.PlanUpdate():
                self._plans.append((seq, event.plan))
            case e.Processing():
                self.turns += 1
                self._opening = False
            case e.Ready():
                self.tool_count = event.tool_count
            case e.SessionStarted() | e.ModelSwitched() | e.EffortChanged():
                self._effort(event)
            case HfJobSubmit() | HfJobComplete() | SandboxCreate() | SandboxDestroy():
                self._resource(event, envelope.at)
            case e.HookRan():
                self._hook(event, envelope.at)
            case RewindComplete():
                self.rewound = event.saved or self.rewound
            case _:
                pass

    def awaiting(self, *kinds: type[e.AnyEvent]) -> asyncio.Future[e.AnyEvent | None]:
        """The next event of one of these kinds: what answers an operation. None when another session takes this one's place."""
        waiting = _Awaited(kinds, asyncio.get_running_loop().create_future())
        self._awaited = [other for other in self._awaited if not other.future.done()] + [waiting]
        return waiting.future

    def _answer(self, event: e.AnyEvent) -> None:
        for waiting in self._awaited:
            if isinstance(event, waiting.kinds):
                waiting.answer(event)

    def _said(self, seq: int, at: datetime, event: e.UserMessageAdded) -> None:
        if not event.steering and not self._opening:
            self._turn += 1
            self._opening = True
        self.messages.append(Said(seq, at, event.content, self._turn))

    def last_turns(self, count: int) -> list[Said]:
        """The first message of each of the last turns, the oldest first; fewer where there are no more."""
        first = {said.turn: said for said in reversed(self.messages)}
        return list(first.values())[:count][::-1]

    def _cut(self, seq: int) -> None:
        self._opening = False
        self.messages = [said for said in self.messages if said.seq < seq]
        self.answers = deque((said for said in self.answers if said.seq < seq), maxlen=KEPT_ANSWERS)
        self._plans = [plan for plan in self._plans if plan[0] < seq]

    def _effort(self, event: e.SessionStarted | e.ModelSwitched | e.EffortChanged) -> None:
        if not isinstance(event, e.EffortChanged):
            self._model = event.model
        elif event.effective == event.effort:
            self.effective_effort.clear()
        else:
            self.effective_effort[self._model] = event.effective

    def _hook(self, event: e.HookRan, at: datetime) -> None:
        """Its events follow one another: those of one moment and one duration are one run."""
        run = HookRun(at, event.hook_event_name, event.command, (event.outcome,), event.duration_s, event.exit_code, event.stderr)
        last = self.hook_runs[-1] if self.hook_runs else None
        if last is not None and last._replace(outcomes=()) == run._replace(outcomes=()):
            self.hook_runs[-1] = last._replace(outcomes=(*last.outcomes, event.outcome))
        else:
            self.hook_runs.append(run)

    def _resource(self, event: HfJobSubmit | HfJobComplete | SandboxCreate | SandboxDestroy, at: datetime) -> None:
        match event:
            case HfJobSubmit():
                self.jobs[event.job_id] = JobRow(event, at)
                if len(self.jobs) > KEPT_JOBS:
                    del self.jobs[next(iter(self.jobs))]
            case HfJobComplete():
                if (row := self.jobs.get(event.job_id)) is not None:
                    self.jobs[event.job_id] = row._replace(over=event)
            case SandboxCreate():
                self.sandboxes[event.sandbox_id] = event
            case SandboxDestroy():
                self.sandboxes.pop(event.sandbox_id, None)
