"""What the tools of one session work with: jobs and their watch, MCP servers, sub-agents, skills. Made late, given back together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_intern.config.paths import home_dir
from ml_intern.config.skills import Skill, find_skills, unusable_skill
from ml_intern.place import Place, Shared
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import ToolLog
from ml_intern.session.hooks.hooks import NO_HOOKS, Hooks
from ml_intern.session.log import EventLog
from ml_intern.session.permissions import Permissions
from ml_intern.session.rule_book import RuleBook
from ml_intern.session.session_jobs import SessionJobs
from ml_intern.session.subagent import SubagentParts, Subagents, nobody_watches
from ml_intern.session.system_prompt import research_prompt
from ml_intern.session.toolbox import Toolbox
from ml_intern.tools.base import Tool
from ml_intern.tools.catalog import BUILTIN, JobParts, SandboxParts, ToolParts, builtin_tools
from ml_intern.tools.closing import close_tools
from ml_intern.tools.files.ledger import FileLedger
from ml_intern.tools.lazy import LazyTool
from ml_intern.workplace import Workplace

if TYPE_CHECKING:
    from ml_intern.gateways.hub.artifacts import HubArtifacts
    from ml_intern.mcp.servers import McpServers
    from ml_intern.sinks.job_artifacts import JobArtifacts
    from ml_intern.sinks.notifications import EventNotices, Notifier
    from ml_intern.tools.jobs.watch import JobWatch


class Equipment:
    """One per session."""

    def __init__(
        self,
        place: Place,
        log: EventLog,
        workplace: Workplace,
        shared: Shared,
        spill_dir: Path,
        rules: RuleBook,
        hooks: Hooks = NO_HOOKS,
        watch_subagent: Callable[[Envelope], Awaitable[None]] = nobody_watches,
    ) -> None:
        """``hooks`` hold for the calls of sub-agents too; ``watch_subagent`` is told of every event of one."""
        self._rules = rules
        self._hooks = hooks
        self._watch_subagent = watch_subagent
        self._place = place
        self._log = log
        self._workplace = workplace
        self._shared = shared
        self._spill_dir = spill_dir
        self.passed_over: list[str] = []
        """Files of the folder that were not read although they are there, in words."""
        self._telling: set[asyncio.Future[None]] = set()
        self._own = builtin_tools(self._parts(), place.settings.tool_runtime)

    @cached_property
    def skills(self) -> tuple[Skill, ...]:
        """Those of the session's folder and of the user. Blocks at first."""
        loaded = self._place.loaded
        return find_skills(Path(self._log.state.cwd), home_dir(loaded.environ), loaded.paths.config_dir, self.passed_over.append)

    def _unusable_skill(self, name: str) -> Path | None:
        loaded = self._place.loaded
        return unusable_skill(name, Path(self._log.state.cwd), home_dir(loaded.environ), loaded.paths.config_dir)

    @property
    def tools(self) -> tuple[LazyTool, ...]:
        """The built-in ones."""
        return self._own

    def mcp_tools(self) -> tuple[Tool[Any], ...]:
        """Those of MCP servers that are known from disk."""
        return self._mcp.tools() if self._place.settings.mcp_servers else ()

    @property
    def session_jobs(self) -> SessionJobs:
        """For frontends. The backends are made when they are first asked for."""
        return SessionJobs(self._log, lambda: self._place.jobs, self._look_after_jobs)

    async def start(self, toolbox: Toolbox) -> None:
        """After the session has started: look after what an earlier process left, and ask servers what is new."""
        self._toolbox = toolbox
        state = self._log.state
        if lost := [key for key, (_, kind) in state.spending.reserved.items() if kind == "hf_jobs" and key not in state.spending.held]:
            await self._watch.recover(lost)
        if state.jobs:
            self._watch.wake()
        if self._place.settings.mcp_servers:
            self._mcp.refresh()
        if self._place.settings.messaging.enabled and self._notifier.automatic():
            self._event_notices.start()
        if self._artifacts is not None:
            self._job_artifacts.start()

    async def before_first_request(self) -> None:
        """Servers that nothing is known of are waited for a little, once in their life."""
        if self._place.settings.mcp_servers:
            await self._mcp.first_lists()

    async def aclose(self) -> None:
        """Give everything back; jobs go on."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.gather, *self._telling, return_exceptions=True)
            for name in ("_mcp", "_watch", "_notifier", "_event_notices", "_job_artifacts"):
                if (part := self.__dict__.get(name)) is not None:
                    stack.push_async_callback(part.aclose)
            stack.push_async_callback(close_tools, self._own)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _look_after_jobs(self) -> None:
        self._watch.wake()

    def _parts(self) -> ToolParts:
        """A set of its own for each that asks: the session, and each of its sub-agents."""
        state, place = self._log.state, self._place
        return ToolParts(
            workspace=self._workplace.workspace,
            sandbox=self._sandbox_parts,
            remote=self._workplace.lease is not None,
            ledger=FileLedger(state.files.values()),
            sees_images=lambda: place.catalog.resolve(state.model).sees_images,
            spill_dir=self._spill_dir,
            outside=place.outside,
            jobs=self._job_parts,
            researcher=self._subagents,
            send=lambda: self._notifier,
            artifacts=lambda: self._artifacts,
            skills=lambda: self.skills,
            unusable_skill=self._unusable_skill,
        )

    def _sandbox_parts(self) -> SandboxParts:
        assert self._workplace.lease is not None, "sandbox_create is only there in a sandbox"
        return SandboxParts(
            lease=self._workplace.lease,
            flavors=self._place.flavors,
            forwards_token=self._place.settings.jobs.forward_token,
            page=lambda sandbox_id: f"{self._place.outside.hub_endpoint}/jobs/{sandbox_id}",
        )

    def _job_parts(self) -> JobParts:
        return JobParts(
            backends=self._place.jobs,
            watch=self._watch,
            forward_token=self._place.hub_token if self._place.settings.jobs.forward_token else None,
            session_jobs=lambda: self._log.state.jobs,
        )

    @cached_property
    def _watch(self) -> JobWatch:
        from ml_intern.tools.jobs.watch import JobWatch

        log = self._log
        return JobWatch(self._place.jobs, session_id=log.session_id, append=log.append, open_jobs=lambda: log.state.jobs)

    @cached_property
    def _notifier(self) -> Notifier:
        from ml_intern.gateways.notice import open_service
        from ml_intern.sinks.notifications import Notifier

        settings, log = self._place.settings, self._log
        return Notifier(
            settings.messaging,
            lambda destination: open_service(destination, slack_url=settings.services.slack),
            scrub=self._place.scrubber.scrub,
            facts=lambda: (("session_id", log.session_id), ("model", log.state.model)),
        )

    @cached_property
    def _event_notices(self) -> EventNotices:
        """Of what happens from now on."""
        from ml_intern.sinks.notifications import EventNotices

        return EventNotices(self._notifier, self._log.events(after_seq=self._log.state.last_seq))

    @cached_property
    def _artifacts(self) -> HubArtifacts | None:
        """The record of what goes to the Hub, if the user wants one and has an account there."""
        if not self._place.settings.hub_artifacts or self._place.hub_token is None:
            return None
        from ml_intern.gateways.hub.artifacts import HubArtifacts

        return HubArtifacts(self._place.outside.hub, self._log.session_id, self._shared.clock.now().date())

    @cached_property
    def _job_artifacts(self) -> JobArtifacts:
        from ml_intern.sinks.job_artifacts import JobArtifacts

        log = self._log
        assert self._artifacts is not None, "nobody asked for a record"
        events = log.events(after_seq=log.state.last_seq)
        return JobArtifacts(events, lambda: self._place.jobs.named("hub"), self._artifacts, log.append)

    @cached_property
    def _mcp(self) -> McpServers:
        from ml_intern.mcp.servers import McpServers
        from ml_intern.mcp.surroundings import surroundings_of

        return McpServers(
            self._place.settings.mcp_servers,
            surroundings_of(self._place.loaded),
            spill_dir=self._spill_dir,
            reserved=tuple(BUILTIN),
            on_change=lambda server, tools: self._toolbox.offer(tools),
            on_problem=self._tell_problem,
        )

    def _tell_problem(self, server: str, text: str) -> None:
        """Stored, so that a plain run shows it too: a server that is silently away is a tool that silently is not there."""
        telling = asyncio.ensure_future(self._log.append(ToolLog(tool="mcp", log=text, label=f"mcp {server}")))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    @cached_property
    def _subagents(self) -> Subagents:
        """Their tools are their own, over the session's workspace; their permissions let nothing pass that changes anything."""
        place, shared, log = self._place, self._shared, self._log
        research = place.settings.research
        return Subagents(
            SubagentParts(
                parent=log,
                clock=shared.clock,
                open_model=lambda: place.catalog.open(research.model_name or log.state.model),
                tools=self._research_tools,
                permissions=lambda: Permissions(read_only=True, current=self._rules.for_subagents),
                policies=shared.policies,
                scrub=place.scrubber.scrub_event,
                spill_dir=self._spill_dir,
                watch=self._watch_subagent,
                system=research_prompt(),
                max_iterations=research.max_iterations,
                max_cost_usd=research.max_cost_usd,
                hooks=self._hooks,
            )
        )

    def _research_tools(self) -> Sequence[Tool[Any]]:
        own = builtin_tools(self._parts(), self._place.settings.tool_runtime)
        return tuple(tool for tool in own if tool.loaded.in_research)
