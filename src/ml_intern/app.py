"""The composition root: the only module that knows every layer. Settings in, a running session out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ml_intern.compute.local import LocalWorkspace
from ml_intern.compute.local_setup import local_workspace
from ml_intern.config.load import LoadedSettings, load_settings, process_environ
from ml_intern.errors import ConfigError
from ml_intern.models.catalog import ModelCatalog
from ml_intern.models.effort import ProbeInconclusive, probe_effort
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import SCHEMA_VERSION, encode_data
from ml_intern.protocol.event_base import Event
from ml_intern.session.approvals import Decision, Gate
from ml_intern.session.clock import Clock, SystemClock
from ml_intern.session.compaction import Compactor
from ml_intern.session.host import SessionHost, resume_complete
from ml_intern.session.log import EventLog
from ml_intern.session.model_call import ModelCaller
from ml_intern.session.money_questions import MoneyQuestions
from ml_intern.session.permissions import Mode, Permissions
from ml_intern.session.policies.auto_compact import AutoCompact
from ml_intern.session.policies.base import Policy
from ml_intern.session.policies.doom_loop import DoomLoop
from ml_intern.session.policies.iteration_limit import IterationLimit
from ml_intern.session.policies.malformed_calls import MalformedCalls
from ml_intern.session.policies.spend_cap import SpendCap
from ml_intern.session.policies.truncated_reply import TruncatedReply
from ml_intern.session.policies.unfinished_plan import UnfinishedPlan
from ml_intern.session.policies.usage_warning import UsageWarning
from ml_intern.session.project_rules import ProjectRules
from ml_intern.session.questions import Questions
from ml_intern.session.scrub import Scrubber, contains_redaction
from ml_intern.session.session import OpenedModel, Session, SessionParts
from ml_intern.session.state import SessionState
from ml_intern.session.tool_runner import ToolRunner
from ml_intern.session.turn import TurnParts
from ml_intern.stores.base import EventStore, SessionRecord, StoredEvent
from ml_intern.tools.base import Tool, ToolSpec
from ml_intern.tools.catalog import LocalParts, builtin_tools
from ml_intern.tools.files.ledger import FileLedger
from ml_intern.tools.outside import entry_point_tools, with_outside_tools

SYSTEM_PROMPT = Path(__file__).parent / "prompts" / "system.md"


def default_policies(max_iterations: int) -> tuple[Policy, ...]:
    """Stops first, then questions of money, then room, then words to the model."""
    return (
        IterationLimit(max_iterations),
        SpendCap(),
        UsageWarning(),
        AutoCompact(),
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
    factory = Factory(loaded, tools=tools, auto_approve=auto_approve, read_only=read_only)
    try:
        session = await (factory.new() if resume is None else factory.resume(resume))
    except BaseException:
        await factory.aclose()
        raise
    if resume is not None:
        await session.log.append(resume_complete(session, resume))
    return SessionHost(factory, session)


class Factory:
    """Opens sessions over one store and one catalogue."""

    def __init__(
        self, loaded: LoadedSettings, *, tools: Iterable[Tool[Any] | ToolSpec] = (), auto_approve: bool = False, read_only: bool = False
    ) -> None:
        self._loaded = loaded
        self._settings = loaded.settings
        self._outside = (*tools, *entry_point_tools())
        self._read_only = read_only or self._settings.read_only
        self._base_mode = Mode.YOLO if self._settings.yolo_mode else Mode.CONTAINED if auto_approve else Mode.ASK
        self._clock: Clock = SystemClock()
        self._catalog = ModelCatalog(self._settings, loaded.environ, cache_dir=loaded.paths.cache_dir)
        self._scrubber = Scrubber(loaded.secrets)
        self._store = self._open_store()
        self._warming: asyncio.Future[None] | None = None
        self._closed = False

    def _open_store(self) -> EventStore:
        if not self._settings.save_sessions:
            from ml_intern.stores.memory import MemoryStore

            return MemoryStore()
        from ml_intern.stores.sqlite import SqliteStore

        return SqliteStore(self._loaded.paths.sessions_db, spill_dir=self._loaded.paths.spill_dir)

    async def new(self) -> Session:
        """See ``SessionFactory``."""
        model_id = await self._catalog.default_model()
        self._catalog.resolve(model_id)  # a wrong id is said before anything is written
        started = e.SessionStarted(
            session_id=os.urandom(16).hex(), cwd=str(self._loaded.cwd), model=model_id, effort=self._settings.reasoning_effort
        )
        await self._create(started)
        log = self._log(started.session_id)
        await log.append(started, *self._cap_events(started.session_id, None))
        return await self._session(log, fresh=True)

    async def resume(self, name: str) -> Session:
        """See ``SessionFactory``."""
        record = await self._store.find(name)
        await self._store.acquire(record.id)
        try:
            log = self._log(record.id)
            count = await log.load()
            changes = await self._changes_at_resume(log.state)
            resumed = e.ResumedFrom(path=name, original_session_id=record.id, original_event_count=count, forked=False)
            await log.append(resumed, *changes)
            return await self._session(log)
        except BaseException:
            await self._store.release(record.id)
            raise

    async def fork(self, session: Session, at_seq: int | None) -> Session:
        """See ``SessionFactory``. Events keep their numbers, so that what refers to a number still finds it."""
        parent = session.state
        rows = await self._store.load(session.log.session_id)
        last = parent.last_seq if at_seq is None else at_seq
        if not 1 <= last <= parent.last_seq:
            raise ConfigError(f"This session has no event {at_seq}.", hint=f"Its events are 1 to {parent.last_seq}.")
        started = e.SessionStarted(
            session_id=os.urandom(16).hex(),
            cwd=parent.cwd,
            model=parent.model,
            effort=parent.effort,
            parent_id=session.log.session_id,
            forked_at_seq=last,
        )
        await self._create(started, parent)
        first = StoredEvent(1, self._clock.now(), started.wire, encode_data(started), SCHEMA_VERSION)
        await self._store.append(started.session_id, [first, *(row for row in rows if 1 < row.seq <= last)])
        log = self._log(started.session_id)
        await log.load()
        return await self._session(log)

    async def aclose(self) -> None:
        """See ``SessionFactory``."""
        self._closed = True
        if self._warming is not None:
            await asyncio.wait([self._warming])
        await self._catalog.aclose()
        await self._store.aclose()

    # ── one session ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _create(self, started: e.SessionStarted, parent: SessionState | None = None) -> None:
        now = self._clock.now()
        record = SessionRecord(
            id=started.session_id,
            created_at=now,
            updated_at=now,
            cwd=started.cwd,
            model=started.model,
            parent_id=started.parent_id,
            title=parent.title if parent else "",
            preview=parent.first_user_text[:72] if parent else "",
            turn_count=parent.turn_count if parent else 0,
        )
        await self._store.create(record)
        await self._store.acquire(started.session_id)

    def _log(self, session_id: str) -> EventLog:
        state = SessionState(first_usage_warning_usd=self._settings.usage_warning_usd)
        return EventLog(self._store, session_id, clock=self._clock, scrub=self._scrubber.scrub_event, state=state)

    def _cap_events(self, session_id: str, current_cap: float | None) -> list[Event]:
        """A cap from flag or settings holds from now on; one that the log has holds where none is given."""
        cap = self._settings.max_cost_usd
        if cap is None or cap == current_cap:
            return []
        return [e.SessionUpdate(session_id=session_id, auto_approval={"enabled": False, "cost_cap_usd": cap})]

    async def _changes_at_resume(self, state: SessionState) -> list[Event]:
        """What this start's flags and settings change of the saved session."""
        changes = self._cap_events(state.session_id, state.spending.cap_usd)
        if state.auto_approval and not changes:  # the user's word for one sitting
            cap = state.spending.cap_usd
            changes.append(e.SessionUpdate(session_id=state.session_id, auto_approval={"enabled": False, "cost_cap_usd": cap}))
        wanted = self._settings.model_name if self._from_flag("model_name") else state.model
        try:
            self._catalog.resolve(wanted or state.model)
        except ConfigError:
            if self._from_flag("model_name"):
                raise
            wanted = await self._catalog.default_model()  # the saved one is no longer configured
        if wanted and wanted != state.model:
            changes.append(e.ModelSwitched(model=wanted, previous=state.model))
        effort = self._settings.reasoning_effort
        if self._from_flag("reasoning_effort") and effort != state.effort:
            changes.append(e.EffortChanged(effort=effort, effective=effort))
        return changes

    def _from_flag(self, key: str) -> bool:
        return self._loaded.is_flag(key)

    async def _session(self, log: EventLog, *, fresh: bool = False) -> Session:
        state = log.state
        workspace = self._workspace(log)
        model = self._catalog.open(state.model)
        tools = self._tools(workspace, log)
        gate, questions, caller = Gate[Decision](), Questions(log), ModelCaller(log, self._clock, self._warm_up)
        rules = ProjectRules(self._loaded.paths.state_dir, Path(state.cwd))
        runner = ToolRunner(
            tools={tool.name: tool for tool in tools},
            permissions=self._permissions(state, rules),
            gate=gate,
            questions=questions,
            log=log,
            spill_dir=self._spill_dir(log),
            clock=self._clock,
            ready=workspace.ready,
        )

        turn = TurnParts(
            log=log,
            runner=runner,
            caller=caller,
            compactor=Compactor(log, caller),
            money=MoneyQuestions(log, gate),
            policies=default_policies(self._settings.max_iterations),
            system=system_prompt(),
            tools=tuple(tool.schema for tool in tools),
            stream=self._settings.stream,
        )
        parts = SessionParts(
            turn=turn,
            gate=gate,
            questions=questions,
            models=self,
            remember_in_project=rules.add,
            base_mode=self._base_mode,
            close=lambda: self._close(log, tools),
            known_redaction=contains_redaction,
        )
        session = Session(parts, model)
        await log.append(e.Ready(message="Agent initialized", tool_count=len(tools)))
        await session.start()
        return session

    async def _close(self, log: EventLog, tools: Iterable[Tool[Any]]) -> None:
        for tool in tools:
            await tool.aclose()  # `background` closes the workspace, and with it what still runs
        await self._store.release(log.session_id)
        if not log.state.first_user_text and not log.state.parent_id:
            await self._store.delete(log.session_id)  # nobody said anything: nothing to keep

    def _warm_up(self) -> None:
        """Load what the first tool output will need, in a thread, while the first answer comes."""
        if not self._closed:
            self._warming = asyncio.ensure_future(asyncio.to_thread(self._scrubber.warm))

    async def open(self, model_id: str, effort: str | None) -> OpenedModel:
        """See ``ModelDirectory``: asks the model whether it takes the effort, unless it is one's own."""
        resolved = self._catalog.resolve(model_id)
        port = self._catalog.open(model_id)
        if effort is None or resolved.local or not resolved.supports_effort:
            return OpenedModel(port, effort)
        bare = self._catalog.open_bare(model_id)
        try:
            outcome = await probe_effort(bare, effort, levels=resolved.effort_levels)
        except ProbeInconclusive as inconclusive:
            return OpenedModel(port, effort, f"{inconclusive}; {effort} is tried as it is")
        finally:
            await bare.aclose()
        port.set_effective_effort(effort, outcome.effective_effort)
        return OpenedModel(port, outcome.effective_effort, outcome.note)

    def _workspace(self, log: EventLog) -> LocalWorkspace:
        root = Path(log.state.cwd)
        if not root.is_dir():
            raise ConfigError(f"The folder of this session, {root}, is gone.", hint="Bring it back, or start a new session.")
        return local_workspace(self._settings.sandbox, self._loaded.environ, self._loaded.paths, root=root, scratch=self._spill_dir(log))

    def _tools(self, workspace: LocalWorkspace, log: EventLog) -> tuple[Tool[Any], ...]:
        state = log.state
        parts = LocalParts(
            workspace=workspace,
            ledger=FileLedger(state.files.values()),
            sees_images=lambda: self._catalog.resolve(state.model).sees_images,
            spill_dir=self._spill_dir(log),
        )
        return with_outside_tools(builtin_tools(parts), self._outside)

    def _permissions(self, state: SessionState, rules: ProjectRules) -> Permissions:
        own = self._settings.permissions
        return Permissions(
            allow=(*own.allow, *rules.load()),
            ask=own.ask,
            deny=own.deny,
            read_only=self._read_only,
            unconfined_ok=not self._settings.sandbox.enabled,
            granted=lambda: state.grants,
        )

    def _spill_dir(self, log: EventLog) -> Path:
        return self._loaded.paths.spill_dir / log.session_id


def system_prompt() -> str:
    """The same bytes for every session, so that providers can cache it."""
    return SYSTEM_PROMPT.read_text(encoding="utf-8")
