"""The composition root: the only module that knows every layer. Settings in, a running session out."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ml_intern.assembly import open_on
from ml_intern.config.load import LoadedSettings, load_settings, process_environ
from ml_intern.errors import ConfigError, SessionBusy, SessionNotFound
from ml_intern.place import Place, Shared
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import SCHEMA_VERSION, decode_data, encode_data
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.approval_wait import answers_elsewhere, approval_wait_s
from ml_intern.session.clock import Clock, SystemClock
from ml_intern.session.control import FOLDER, Kind
from ml_intern.session.door import Doors
from ml_intern.session.host import SessionHost, resume_complete
from ml_intern.session.joining import joined
from ml_intern.session.log import EventLog
from ml_intern.session.policies.auto_compact import AutoCompact
from ml_intern.session.policies.base import Policy
from ml_intern.session.policies.doom_loop import DoomLoop
from ml_intern.session.policies.finished_jobs import FinishedJobs
from ml_intern.session.policies.hook_stop import HookStop
from ml_intern.session.policies.iteration_limit import IterationLimit
from ml_intern.session.policies.malformed_calls import MalformedCalls
from ml_intern.session.policies.spend_cap import SpendCap
from ml_intern.session.policies.truncated_reply import TruncatedReply
from ml_intern.session.policies.unfinished_plan import UnfinishedPlan
from ml_intern.session.policies.usage_warning import UsageWarning
from ml_intern.session.remote import RemoteHost
from ml_intern.session.session import Session
from ml_intern.session.state import SessionState
from ml_intern.stores.base import EventStore, SessionRecord, StoredEvent
from ml_intern.tools.base import Tool, ToolSpec
from ml_intern.tools.closing import close_tools
from ml_intern.tools.outside import entry_point_tools

if TYPE_CHECKING:
    from ml_intern.sinks.remote_answers import AnswerDesk

PREVIEW_CHARS = 72


def default_policies(max_iterations: int) -> tuple[Policy, ...]:
    """Stops first, then questions of money, then room, then words to the model."""
    return (
        HookStop(),
        IterationLimit(max_iterations),
        SpendCap(),
        UsageWarning(),
        AutoCompact(),
        FinishedJobs(),
        DoomLoop(),
        MalformedCalls(),
        TruncatedReply(),
        UnfinishedPlan(),
    )


async def open_session(
    *,
    cwd: str | Path | None = None,
    model: str | None = None,
    resume: str | None = None,
    tools: Iterable[Tool[Any] | ToolSpec] = (),
    auto_approve: bool = False,
    read_only: bool = False,
    max_cost_usd: float | None = None,
    loaded: LoadedSettings | None = None,
) -> SessionHost:
    """A session to submit operations to and to read events from; use it as ``async with await open_session(…) as session``.

    ``cwd`` is the workspace (the current folder when None), ``resume`` an id, prefix, index or ``last``. ``auto_approve`` runs
    unasked what the OS sandbox and the budget contain; what they do not contain still asks. ``loaded`` replaces reading the
    settings files and the environment. Raises ``ConfigError`` or ``StoreError``.
    """
    if loaded is None:
        flags = {"model_name": model, "max_cost_usd": max_cost_usd}
        given = {key: value for key, value in flags.items() if value is not None}
        loaded = load_settings(frontend="cli", cwd=Path(cwd or Path.cwd()), environ=process_environ(), flags=given)
    factory = Factory(loaded, tools=tools, auto_approve=auto_approve, read_only=read_only, kind="library")
    return await _host(factory, resume, factory.new() if resume is None else factory.resume(resume))


async def open_or_join(*, loaded: LoadedSettings, resume: str | None, auto_approve: bool, read_only: bool) -> SessionHost:
    """``open_session`` for our own frontends: a session that another process of this user has open is joined there."""
    factory = Factory(loaded, auto_approve=auto_approve, read_only=read_only, kind="headless" if auto_approve else "app")
    return await _host(factory, resume, factory.new() if resume is None else factory.resume_or_join(resume))


async def _host(factory: Factory, resume: str | None, opening: Awaitable[Session | RemoteHost]) -> SessionHost:
    try:
        session = await opening
    except BaseException:
        await factory.aclose()
        raise
    if resume is not None and isinstance(session, Session):
        await session.log.append(resume_complete(session, resume))
    return SessionHost(factory, session)


LAST = "last"


class Factory:
    """Opens sessions over one store. A session works by the settings of its own folder, wherever this process was started."""

    def __init__(
        self,
        loaded: LoadedSettings,
        *,
        tools: Iterable[Tool[Any] | ToolSpec] = (),
        auto_approve: bool = False,
        read_only: bool = False,
        kind: Kind = "library",
    ) -> None:
        """``kind``: what others are told of this process (``session/control.py``)."""
        self._loaded = loaded
        self._home = Place(loaded)
        self._places = {str(loaded.cwd): self._home}
        self._clock: Clock = SystemClock()
        self._open: set[str] = set()
        self._desks: dict[str, AnswerDesk] = {}
        self.last_words: list[str] = []
        self._doors = Doors(loaded.paths.state_dir / FOLDER, kind)
        self._shared = Shared(
            paths=loaded.paths,
            clock=self._clock,
            outside=(*tools, *entry_point_tools()),
            auto_approve=auto_approve,
            read_only=read_only,
            refuses_too_long=kind == "library",  # our own frontends ask the user
            policies=default_policies,
            leave=self._leave,
            at_end=self.last_words.append,
        )
        self._store = self._open_store()

    def _open_store(self) -> EventStore:
        if not self._home.settings.save_sessions:
            from ml_intern.stores.memory import MemoryStore

            return MemoryStore()
        from ml_intern.stores.sqlite import SqliteStore

        store = SqliteStore(self._loaded.paths.sessions_db, spill_dir=self._loaded.paths.spill_dir)
        store.start()
        return store

    async def new(self, after: SessionState | None = None) -> Session:
        """See ``SessionFactory``."""
        place = self._place(after.cwd) if after else self._home
        _check_folder(self._loaded.cwd)
        model_id = after.model if after else await place.catalog.default_model()
        place.catalog.check(model_id)  # a wrong id or a missing key is said before anything is written
        started = e.SessionStarted(
            session_id=os.urandom(16).hex(),
            cwd=after.cwd if after else str(self._loaded.cwd),
            model=model_id,
            effort=after.effort if after else place.settings.reasoning_effort,
        )
        async with self._created(self._record(started)):
            log = self._log(place, started.session_id)
            await log.append(started, *_cap_events(place, log.state, started.session_id))
            return await self._opened(place, log)

    async def find(self, name: str) -> str:
        """See ``SessionFactory``."""
        return (await self._last_here() if name == LAST else await self._store.find(name)).id

    def _moved_to(self, record: SessionRecord) -> str:
        """A session whose folder is gone goes on in this one; empty when it is there."""
        return "" if os.path.isdir(record.cwd) else str(self._loaded.cwd)

    async def _last_here(self) -> SessionRecord:
        sessions = await self._store.sessions()
        here = str(self._loaded.cwd)
        if record := next((record for record in sessions if record.cwd == here), None):
            return record
        short = short_id(sessions[0].id) if sessions else ""
        newest = f"The newest one is {short}, in {sessions[0].cwd}: --resume {short}." if sessions else ""
        raise SessionNotFound(f"There is no session of this folder, {here}.", hint=newest)

    async def resume(self, name: str) -> Session:
        """See ``SessionFactory``. ``last`` is the last session of this folder."""
        record = await self._last_here() if name == LAST else await self._store.find(name)
        if record.id in self._open:  # a lease that is held already would be taken once more
            raise SessionBusy(f"This process works on session {short_id(record.id)} itself.", hint="Leave that session first.")
        _check_no_demo(record)
        moved_to = self._moved_to(record)
        place = self._place(moved_to or record.cwd)
        async with self._owned(record.id):
            log = self._log(place, record.id)
            count = await log.load()
            changes = await _changes_at_resume(place, log.state)
            resumed = e.ResumedFrom(path=name, original_session_id=record.id, original_event_count=count, forked=False, cwd=moved_to)
            await log.append(resumed, *changes)
            return await self._opened(place, log)

    async def resume_or_join(self, name: str) -> Session | RemoteHost:
        """See ``SessionFactory``."""
        try:
            return await self.resume(name)
        except SessionBusy as busy:
            return await joined(busy, self._loaded)

    async def fork(self, session: Session | RemoteHost, at_seq: int | None) -> Session:
        """See ``SessionFactory``. Events keep their numbers, so that what refers to a number still finds it."""
        parent = session.state
        last = parent.last_seq if at_seq is None else at_seq
        if not 1 <= last <= parent.last_seq:
            raise ConfigError(f"This session has no event {at_seq}.", hint=f"Its events are 1 to {parent.last_seq}.")
        place = self._place(parent.cwd)
        started = e.SessionStarted(
            session_id=os.urandom(16).hex(),
            cwd=parent.cwd,
            model=parent.model,
            effort=parent.effort,
            parent_id=session.session_id,
            forked_at_seq=last,
        )
        first = StoredEvent(1, self._clock.now(), started.wire, encode_data(started), SCHEMA_VERSION)
        rows = [first, *(row for row in await self._store.load(session.session_id) if 1 < row.seq <= last)]
        log = self._log(place, started.session_id)
        for row in rows:
            log.state.apply(row.seq, decode_data(row.type, row.data, row.version))
        for seq, event in enumerate(_left_with_parent(log.state, session.session_id), last + 1):
            rows.append(StoredEvent(seq, self._clock.now(), event.wire, encode_data(event), SCHEMA_VERSION))
            log.state.apply(seq, event)
        async with self._created(self._record(started, log.state)):
            await self._store.append(started.session_id, rows)
            return await self._opened(place, log)

    async def aclose(self) -> None:
        """See ``SessionFactory``."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._store.aclose)
            for place in self._places.values():
                stack.push_async_callback(place.aclose)
            stack.push_async_callback(close_tools, [tool for tool in self._shared.outside if isinstance(tool, Tool)])

    async def _opened(self, place: Place, log: EventLog) -> Session:
        """A running session that other terminals can join."""
        session = await open_on(place, log, self._shared)
        await self._doors.open(session)
        if (desk := self._answer_desk(place, session)) is not None:
            self._desks[log.session_id] = desk
            desk.start(log.events(after_seq=log.state.last_seq))
        return session

    def _answer_desk(self, place: Place, session: Session) -> AnswerDesk | None:
        """Asks elsewhere what the session waits for: as long as it does, in a run that nobody attends."""
        messaging = place.settings.messaging
        answers, destination = messaging.answers, messaging.answers_in
        wait_s = approval_wait_s(place.settings) if self._shared.auto_approve else answers.expires_s
        if not answers_elsewhere(place.settings) or not wait_s or answers.app_token is None or destination is None:
            return None
        from ml_intern.gateways.slack_socket import SlackAnswers
        from ml_intern.sinks.remote_answers import AnswerDesk

        return AnswerDesk(
            SlackAnswers(destination, answers.app_token, place.settings.services.slack),
            replace(answers, expires_s=min(wait_s, answers.expires_s)),
            session.state,
            answer=session.answer,
            append=session.log.append,
            scrub=place.scrubber.scrub,
            now=self._clock.now,
            about=f"Session {short_id(session.log.session_id)} in {session.state.cwd}",
        )

    # ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _record(self, started: e.SessionStarted, copied: SessionState | None = None) -> SessionRecord:
        now = self._clock.now()
        state = copied or SessionState()
        return SessionRecord(
            id=started.session_id,
            created_at=now,
            updated_at=now,
            cwd=started.cwd,
            model=state.model or started.model,
            parent_id=started.parent_id,
            title=state.title,
            preview=" ".join(state.first_user_text.split())[:PREVIEW_CHARS],
            turn_count=state.turn_count,
            cost_usd=state.spending.own_usd,
            unpriced_calls=state.spending.own_unpriced,
        )

    @asynccontextmanager
    async def _created(self, record: SessionRecord) -> AsyncGenerator[None]:
        """A new session of ours; gone again if what follows fails."""
        await self._store.create(record)
        try:
            async with self._owned(record.id):
                yield
        except BaseException:
            await self._store.delete(record.id)
            raise

    @asynccontextmanager
    async def _owned(self, session_id: str) -> AsyncGenerator[None]:
        """Own the session; not any more if what follows fails."""
        await self._store.acquire(session_id)
        self._open.add(session_id)
        try:
            yield
        except BaseException:
            self._open.discard(session_id)
            await self._store.release(session_id)
            raise

    async def _leave(self, log: EventLog) -> None:
        if (desk := self._desks.pop(log.session_id, None)) is not None:
            await desk.aclose()
        await self._doors.close(log.session_id)  # while the store is there: its watchers may be behind
        self._open.discard(log.session_id)
        await self._store.release(log.session_id)
        state = log.state
        if not state.first_user_text and not state.history.entries and not state.parent_id:
            with suppress(SessionBusy):  # somebody else has it by now
                await self._store.delete(log.session_id)  # nobody said anything: nothing to keep

    def _log(self, place: Place, session_id: str) -> EventLog:
        state = SessionState(first_usage_warning_usd=place.settings.usage_warning_usd)
        return EventLog(self._store, session_id, clock=self._clock, scrub=place.scrubber.scrub_event, state=state)

    def _place(self, cwd: str) -> Place:
        """Raises ``ConfigError`` when the folder's own settings are wrong."""
        if cwd not in self._places:
            self._places[cwd] = Place(self._loaded.at(Path(cwd)), more_secrets=self._loaded.secrets)
        return self._places[cwd]


def _cap_events(place: Place, state: SessionState, session_id: str) -> list[Event]:
    """A cap from flag or settings holds from now on; one that the log has holds where none is given."""
    cap = place.settings.max_cost_usd
    if cap is None or cap == state.spending.cap_usd:
        return []
    return [e.SessionUpdate(session_id=session_id, auto_approval={"enabled": False, "cost_cap_usd": cap})]


def _left_with_parent(copied: SessionState, parent_id: str) -> list[e.AnyEvent]:
    """Jobs, sandboxes and the money set aside for them are looked after once, by the session that started them."""
    settled: list[e.AnyEvent] = [e.BudgetSettled(reservation_id=reservation, actual_usd=0.0) for reservation in copied.spending.reserved]
    forked = e.ResumedFrom(path=parent_id, original_session_id=parent_id, original_event_count=copied.last_seq, forked=True)
    return [*settled, forked]


def _check_no_demo(record: SessionRecord) -> None:
    """A demo's script would go on against the real world, without the services that it was written for."""
    from ml_intern.models.scripted import is_demo

    if is_demo(record.model):
        hint = f"See it with  ml-intern sessions show {short_id(record.id)} , or watch a new one: ml-intern demo"
        raise ConfigError(f"Session {short_id(record.id)} is a demo: it goes on only inside the demo, which has ended.", hint=hint)


async def _changes_at_resume(place: Place, state: SessionState) -> list[Event]:
    """What this start's flags and settings change of the saved session."""
    changes = _cap_events(place, state, state.session_id)
    if state.auto_approval and not changes:  # the user's word for one sitting
        cap = state.spending.cap_usd
        changes.append(e.SessionUpdate(session_id=state.session_id, auto_approval={"enabled": False, "cost_cap_usd": cap}))
    chosen = place.loaded.is_flag("model_name")
    wanted = place.settings.model_name if chosen else state.model
    try:
        place.catalog.check(wanted or state.model)
    except ConfigError:
        if chosen:
            raise
        wanted = await place.catalog.default_model()  # the saved one is no longer configured
    if wanted and wanted != state.model:
        changes.append(e.ModelSwitched(model=wanted, previous=state.model))
    effort = place.settings.reasoning_effort
    if place.loaded.is_flag("reasoning_effort") and effort != state.effort:
        changes.append(e.EffortChanged(effort=effort, effective=effort))
    return changes


def _check_folder(folder: Path) -> None:
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"The name of this folder, {str(folder)!r}, is not UTF-8.", hint="Rename it, or work in another one.") from error
