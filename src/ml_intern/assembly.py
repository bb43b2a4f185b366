"""The assembly of one session: a folder's settings and a log in, a running session out. ``app.py`` decides which folder and log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.config.instructions import find_instructions
from ml_intern.config.load import LoadedSettings
from ml_intern.config.rule_sources import RuleSources
from ml_intern.config.settings import Settings
from ml_intern.equipment import Equipment
from ml_intern.place import Place, Shared
from ml_intern.protocol.events import Ready, ToolLog
from ml_intern.protocol.permission_events import RuleInForce
from ml_intern.session.approvals import Decision, Gate
from ml_intern.session.compaction import Compactor
from ml_intern.session.kept_rules import KeptRules
from ml_intern.session.log import EventLog
from ml_intern.session.model_call import ModelCaller
from ml_intern.session.money_questions import MoneyQuestions
from ml_intern.session.opened_models import OpenedModels
from ml_intern.session.permissions import Mode, Permissions
from ml_intern.session.project_rules import ProjectRules
from ml_intern.session.questions import Questions
from ml_intern.session.rule_book import RuleBook
from ml_intern.session.rules import Rules
from ml_intern.session.scrub import contains_redaction
from ml_intern.session.session import Session, SessionParts
from ml_intern.session.state import SessionState
from ml_intern.session.surroundings import Surroundings
from ml_intern.session.system_prompt import system_prompt
from ml_intern.session.tool_runner import ToolRunner
from ml_intern.session.toolbox import Toolbox
from ml_intern.session.trace_switch import TraceSwitch
from ml_intern.session.turn import TurnParts
from ml_intern.tools.outside import with_outside_tools
from ml_intern.workplace import Workplace, open_workplace

if TYPE_CHECKING:
    from ml_intern.session.session_traces import SessionTraces


async def open_on(place: Place, log: EventLog, shared: Shared) -> Session:
    """The session of ``log``, which holds its first event and is owned by this process. Raises ``ConfigError`` or ``StoreError``."""
    state = log.state
    spill_dir = shared.paths.spill_dir / log.session_id
    async with AsyncExitStack() as given_up:  # unless the session comes to be
        models = OpenedModels(place.catalog)
        given_up.push_async_callback(models.aclose)
        model = models.first(state.model)
        workplace = await asyncio.to_thread(open_workplace, place, log, spill_dir)
        given_up.push_async_callback(workplace.aclose)
        book = RuleBook(_kept_rules(place, state, shared), lambda: state.rules)
        ready = partial(_ready_to_judge, workplace, book)
        surroundings = _surroundings(place, log, shared, spill_dir, ready)
        given_up.push_async_callback(surroundings.aclose)
        traces = TraceSwitch(_traces(place.loaded, place, log, shared), partial(_traces_agreed, place, log, shared))
        given_up.push_async_callback(traces.aclose)
        equipment = Equipment(place, log, workplace, shared, spill_dir, book, surroundings.hooks, traces.watch_subagent)
        given_up.push_async_callback(equipment.aclose)
        tools = Toolbox((*with_outside_tools(equipment.tools, shared.outside), *equipment.mcp_tools()), equipment.before_first_request)
        gate, questions = Gate[Decision](), Questions(log)
        permissions = _permissions(place, book, read_only=shared.read_only)
        system = await asyncio.to_thread(_system, place, state, equipment)
        runner = _runner(shared, tools, (gate, questions), permissions, surroundings)
        parts = SessionParts(
            turn=_turn_parts(place, runner, tools, MoneyQuestions(log, gate), shared, system, surroundings),
            gate=gate,
            questions=questions,
            models=models,
            rewinder=surroundings.rewinder,
            rules=Rules(log, book, tools, permissions, shared.read_only or place.settings.read_only),
            base_mode=_base_mode(place, shared),
            close=lambda: _close(log, (surroundings, equipment, workplace, models), shared, traces),
            known_redaction=contains_redaction,
            jobs=equipment.session_jobs,
            review_traces=traces.review,
        )
        session = Session(parts, model)
        await log.append(Ready(message="Agent initialized", tool_count=len(tools)))
        for words in equipment.passed_over:
            await log.append(ToolLog(tool="instructions", log=words, label="instructions"))
        await session.start()
        await equipment.start(tools)
        surroundings.start()
        traces.start()
        given_up.pop_all()
        return session


def _surroundings(place: Place, log: EventLog, shared: Shared, folder: Path, ready: Callable[[], Awaitable[None]]) -> Surroundings:
    return Surroundings(
        log,
        place.settings,
        place.loaded.environ,
        shared.paths.state_dir,
        folder,
        ready,
        place.programs,
        refuses_too_long=shared.refuses_too_long,
    )


async def _close(
    log: EventLog, parts: tuple[Surroundings, Equipment, Workplace, OpenedModels], shared: Shared, traces: TraceSwitch
) -> None:
    """Last in, first out, and each of them whatever becomes of the others. Tools from outside belong to the process."""
    surroundings, equipment, workplace, models = parts
    async with AsyncExitStack() as stack:
        stack.push_async_callback(shared.leave, log)
        stack.push_async_callback(traces.aclose)  # it may wait for the network: what costs money is given back before
        stack.push_async_callback(models.aclose)
        stack.push_async_callback(workplace.aclose)  # and with it what still runs
        stack.push_async_callback(surroundings.aclose)
        stack.push_async_callback(equipment.aclose)
        stack.push_async_callback(log.hand_over)


def _traces(loaded: LoadedSettings, place: Place, log: EventLog, shared: Shared) -> SessionTraces | None:
    """Only with the user's yes; without it nothing of it is even imported."""
    settings = loaded.settings
    if not settings.share_traces or not settings.save_sessions:
        return None
    from ml_intern.session.session_traces import SessionTraces
    from ml_intern.session.trace_sharing import TraceSharing

    sharing = TraceSharing(settings, place.outside.hub, loaded.environ, shared.paths.data_dir, shared.clock)
    return SessionTraces(log, settings, sharing, place.scrubber.scrub_event, at_end=shared.at_end)


async def _traces_agreed(place: Place, log: EventLog, shared: Shared) -> Callable[[], SessionTraces | None] | None:
    """What makes the traces, by the settings as they are now; None without the user's yes. Raises ``ConfigError``."""
    loaded = await asyncio.to_thread(place.loaded.again)
    agreed = loaded.settings.share_traces and loaded.settings.save_sessions
    return partial(_traces, loaded, place, log, shared) if agreed else None


def _runner(
    shared: Shared, tools: Toolbox, asking: tuple[Gate[Decision], Questions], permissions: Permissions, around: Surroundings
) -> ToolRunner:
    log, (gate, questions) = around.log, asking
    return ToolRunner(
        tools=tools,
        permissions=permissions,
        gate=gate,
        questions=questions,
        log=log,
        spill_dir=shared.paths.spill_dir / log.session_id,
        clock=shared.clock,
        around=around.around,
    )


def _turn_parts(
    place: Place, runner: ToolRunner, tools: Toolbox, money: MoneyQuestions, shared: Shared, system: str, around: Surroundings
) -> TurnParts:
    log = around.log
    caller = ModelCaller(log, shared.clock)
    return TurnParts(
        log=log,
        runner=runner,
        caller=caller,
        compactor=Compactor(log, caller, around.hooks),
        entrance=around.entrance,
        money=money,
        policies=shared.policies(place.settings.max_iterations),
        system=system,
        tools=tools,
        stream=place.settings.stream,
        attended=not shared.auto_approve,
    )


async def _ready_to_judge(workplace: Workplace, book: RuleBook) -> None:
    await workplace.workspace.ready()
    await book.refresh()


def _base_mode(place: Place, shared: Shared) -> Mode:
    if place.settings.yolo_mode:
        return Mode.YOLO
    return Mode.CONTAINED if shared.auto_approve else Mode.ASK


def _kept_rules(place: Place, state: SessionState, shared: Shared) -> KeptRules:
    """Raises ``ConfigError`` for a file of the folder's rules that is not ours."""
    return KeptRules(RuleSources(place.loaded), ProjectRules(shared.paths.state_dir, Path(state.cwd)), _unasked(place.settings))


def _permissions(place: Place, book: RuleBook, *, read_only: bool) -> Permissions:
    settings = place.settings
    return Permissions(read_only=read_only or settings.read_only, unconfined_ok=not settings.sandbox.enabled, current=book.texts)


def _unasked(settings: Settings) -> list[RuleInForce]:
    """Two settings of the original that say in advance what a rule would."""
    said = {"auto_file_upload": ("hf_repo_files(upload *)",)} if settings.auto_file_upload else {}
    said |= {} if settings.confirm_cpu_jobs else {"confirm_cpu_jobs": ("hf_jobs(run cpu-basic)", "hf_jobs(run cpu-upgrade)")}
    return [RuleInForce(outcome="allow", rule=rule, origin=f"the setting {key}") for key, rules in said.items() for rule in rules]


def _system(place: Place, state: SessionState, equipment: Equipment) -> str:
    """Blocks: for a thread."""
    instructions = find_instructions(Path(state.cwd), place.loaded.paths.config_dir, equipment.passed_over.append)
    return system_prompt(place.settings.tool_runtime, instructions, equipment.skills)
