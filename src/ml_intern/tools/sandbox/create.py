"""``sandbox_create``: choose the hardware of the remote sandbox that bash and the file tools work in; look at it; give it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, ClassVar, Literal, Protocol

from msgspec import Meta
from msgspec.structs import asdict

from ml_intern.compute.hf_machine import Machine
from ml_intern.compute.lease_terms import Started
from ml_intern.errors import ServiceError, ToolError
from ml_intern.protocol.amounts import usd
from ml_intern.protocol.display import Link, Text
from ml_intern.protocol.events import ToolStateChange
from ml_intern.tools.base import Display, Effect, PermissionSubject, Risk, Tool, ToolArgs, ToolContext, ToolOutput

READS = frozenset({Effect.READS})
CHANGES = frozenset({Effect.WRITES_HUB})
RESOURCE = "sandbox"


class SandboxCreateArgs(ToolArgs, frozen=True):
    hardware: Annotated[str, Meta(description="As in hf_jobs, e.g. t4-small.")] = "cpu-basic"
    trackio_space_id: Annotated[str, Meta(description="<user>/ml-intern-<8 characters>")] = ""
    trackio_project: str = ""
    operation: Literal["create", "status", "delete"] = "create"


class SeenArgs(SandboxCreateArgs, frozen=True, kw_only=True):
    """Arguments with the hardware that ran when they were looked at; empty: there was no sandbox."""

    running: str

    @property
    def is_there(self) -> bool:
        """Whether what they ask for ran already, so that they were judged to start nothing."""
        return self.hardware == self.running


class Lease(Protocol):
    """What of ``SandboxLease`` is used here."""

    variables: dict[str, str]
    price: Callable[[str], float | None]

    @property
    def hardware(self) -> str | None:
        """Of the sandbox there is."""
        ...

    @property
    def sandbox_id(self) -> str | None:
        """Of the sandbox there is."""
        ...

    async def create(self, hardware: str, *, call_id: str = "") -> Started:
        """The sandbox with this hardware, started if need be."""
        ...

    async def reuse(self, hardware: str) -> Started | None:
        """The sandbox, if one with this hardware is there."""
        ...

    async def machine(self) -> Machine:
        """The sandbox."""
        ...

    async def recover(self) -> None:
        """Find what an earlier process left."""
        ...

    async def give_back(self) -> str:
        """Delete it."""
        ...


class SandboxCreateTool(Tool[SandboxCreateArgs]):
    """``seed_dashboard`` makes the Trackio Space ready, or raises ``ToolError``; ``flavors`` are the names there are (empty: unknown)."""

    name: ClassVar[str] = "sandbox_create"
    description: ClassVar[str] = (
        "Hardware of the remote sandbox that bash and file tools use (cpu-basic starts by itself). "
        "A change carries the files of /app over, no processes. delete loses them."
    )
    args = SandboxCreateArgs
    risk_words: ClassVar[str] = "changes the Hub: starts, replaces or deletes the session's sandbox; status reads"
    price_words: ClassVar[str] = "hourly price × 1 h, reserved before it starts and each hour again, settled by its lifetime"
    timeout_s: ClassVar[float | None] = None

    def __init__(
        self,
        lease: Lease,
        *,
        seed_dashboard: Callable[[str], Awaitable[None]] | None = None,
        flavors: Callable[[], tuple[str, ...]] = tuple,
        forwards_token: bool = False,
        page: Callable[[str], str] = str,
    ) -> None:
        """``page`` is the address of a sandbox's page on the Hub."""
        self._lease = lease
        self._seed_dashboard = seed_dashboard
        self._flavors = flavors
        self._forwards_token = forwards_token
        self._page = page

    async def prepare(self, args: SandboxCreateArgs, shown: SandboxCreateArgs | None = None) -> SandboxCreateArgs:
        """What the log says of an earlier process's sandbox may be long past: it is looked at before anything is judged by it."""
        if args.operation != "create" or isinstance(args, SeenArgs):
            return args
        await self._lease.recover()
        return SeenArgs(**asdict(args), running=self._lease.hardware or "")

    def risk(self, args: SandboxCreateArgs) -> Risk:
        if args.operation == "status":
            return Risk(effects=READS, reads=frozenset({RESOURCE}))
        touched = frozenset({RESOURCE})
        if args.operation == "delete":
            return Risk(effects=CHANGES, writes=touched, reason="The sandbox is deleted with all its files.")
        if _is_there(args):
            return Risk(effects=CHANGES if args.trackio_space_id else READS, writes=touched)
        price = self._lease.price(args.hardware)
        effects = CHANGES if price == 0 else CHANGES | {Effect.SPENDS}
        return Risk(effects=effects, writes=touched, cost_usd=price, reason=self._reason(args, price))

    def _reason(self, args: SandboxCreateArgs, price: float | None) -> str:
        cost = "a price nobody knows" if price is None else f"{usd(price)} an hour"
        before = args.running if isinstance(args, SeenArgs) else ""
        instead = f", in place of the {before} one" if before else ""
        token = " It is given your Hugging Face token as the secret HF_TOKEN." if self._forwards_token else ""
        return f"It starts a {args.hardware} sandbox for {cost}{instead}.{token}"

    def subject(self, args: SandboxCreateArgs) -> PermissionSubject:
        return PermissionSubject(parts=(f"{args.operation} {args.hardware}" if args.operation == "create" else args.operation,))

    def preview(self, args: SandboxCreateArgs) -> tuple[Display, ...]:
        if args.operation != "create" or _is_there(args):
            return ()
        return (Text(text=self._reason(args, self._lease.price(args.hardware))),)

    async def run(self, args: SandboxCreateArgs, ctx: ToolContext) -> ToolOutput:
        if args.operation == "delete":
            return ToolOutput(text=await self._lease.give_back())
        if args.operation == "status":
            return await self._status()
        known = self._flavors()
        if known and args.hardware not in known:
            raise ToolError(f"There is no hardware '{args.hardware}'.", hint=f"There are: {', '.join(known)}.")
        if args.trackio_space_id and self._seed_dashboard is not None:
            await self._seed_dashboard(args.trackio_space_id)
        started = await self._start(await self.prepare(args), ctx.call_id)
        self._set_dashboard(args)
        if args.trackio_space_id or args.trackio_project:
            await ctx.emit(
                ToolStateChange(
                    tool_call_id=ctx.call_id,
                    tool=self.name,
                    state="running",
                    trackio_space_id=args.trackio_space_id,
                    trackio_project=args.trackio_project,
                )
            )
        link = Link(title=f"Sandbox {started.machine.id}", url=self._page(started.machine.id))
        return ToolOutput(text=f"{_told(started)}{_dashboard(args)}", display=(link,))

    async def _start(self, args: SandboxCreateArgs, call_id: str) -> Started:
        """A call that was judged to start nothing starts nothing: what it was judged by may have gone meanwhile."""
        if not _is_there(args):
            return await self._lease.create(args.hardware, call_id=call_id)
        if (there := await self._lease.reuse(args.hardware)) is not None:
            return there
        text = f"The {args.hardware} sandbox was there when this call was judged, and is not there any more. Nothing was started."
        raise ToolError(text, hint="Call sandbox_create again to start one.")

    def _set_dashboard(self, args: SandboxCreateArgs) -> None:
        """For the commands from now on, whether the sandbox is new or not."""
        for name, value in (("TRACKIO_SPACE_ID", args.trackio_space_id), ("TRACKIO_PROJECT", args.trackio_project)):
            if value:
                self._lease.variables[name] = value

    async def _status(self) -> ToolOutput:
        await self._lease.recover()
        if self._lease.sandbox_id is None:
            return ToolOutput(text="There is no sandbox. The next command starts one (cpu-basic).")
        try:
            await (await self._lease.machine()).ping()
        except ServiceError as error:
            return ToolOutput(text=f"Sandbox {self._lease.sandbox_id} ({self._lease.hardware}) does not answer: {error}", success=False)
        price = self._lease.price(self._lease.hardware or "")
        cost = "price unknown" if price is None else f"{usd(price)} an hour"
        return ToolOutput(text=f"Sandbox {self._lease.sandbox_id} ({self._lease.hardware}, {cost}) is active and answers.")


def _is_there(args: SandboxCreateArgs) -> bool:
    return isinstance(args, SeenArgs) and args.is_there


def _told(started: Started) -> str:
    machine = started.machine
    if not started.fresh:
        return f"Sandbox {machine.id} ({started.hardware}) is active already."
    programs = ", ".join(sorted(machine.programs)) or "none of python3, bash, git"
    text = (
        f"Sandbox {machine.id} ({started.hardware}) is ready. bash, read, write, edit, glob and grep work in it, in {machine.layout.root}."
    )
    if started.replaced:
        text += f" It replaced the {started.replaced} one; carried over: {started.carried}."
        if started.stopped:
            text += f" {started.stopped} background commands ended with the old one."
        text += " Packages installed outside the working folder are not there: install them again."
    return f"{text} It has: {programs}."


def _dashboard(args: SandboxCreateArgs) -> str:
    if not (args.trackio_space_id or args.trackio_project):
        return ""
    named = " and ".join(
        name for name, value in (("TRACKIO_SPACE_ID", args.trackio_space_id), ("TRACKIO_PROJECT", args.trackio_project)) if value
    )
    return f" {named} is set for every command from now on."
