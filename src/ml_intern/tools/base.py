"""What every tool is: typed arguments, a declared risk, and one bounded answer.

A tool is handed what it needs by its constructor (``app.py`` composes); ``ToolContext`` carries only what differs from call
to call.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import Struct, field

from ml_intern.models.base import ToolSchema
from ml_intern.protocol.display import Display
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.events import FileSeen
from ml_intern.protocol.messages import Image, JsonObject
from ml_intern.protocol.question_events import Outcome

ANY_FILE = "*"
"""The resource that overlaps every file: what a shell command may touch."""


class ToolArgs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of a tool's arguments; the field descriptions are the schema text that the model sees."""


Args = TypeVar("Args", bound=ToolArgs)


class Effect(StrEnum):
    """What a call may do to the world."""

    READS = "reads"
    WRITES_WORKSPACE = "writes workspace"
    WRITES_OUTSIDE = "writes outside the workspace"
    RUNS_CODE = "runs code"
    WRITES_HUB = "writes hub"
    SPENDS = "spends"
    RECURRING = "recurring"
    LEAVES_MACHINE = "leaves the machine"
    ASKS_USER = "asks the user"


class Risk(Struct, frozen=True, kw_only=True):
    """What one call may do, and what it touches.

    ``reads`` / ``writes`` are resource names (absolute paths, or ``ANY_FILE``): two calls of one batch that touch the same
    thing run one after the other. ``confined``: the OS sandbox holds whatever this call does. ``cost_usd`` is the estimate
    to reserve; with ``SPENDS`` and None the price is unknown and no budget can contain it. ``reason`` is for the approval.
    ``starts_job``: it submits a training job, now or by a schedule. ``publishes``: code that it starts means to put something on the Hub.
    """

    effects: frozenset[Effect]
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    confined: bool = False
    cost_usd: float | None = None
    reason: str = ""
    starts_job: bool = False
    publishes: bool = False


READ_ONLY = Risk(effects=frozenset({Effect.READS}))


class ToolOutput(Struct, frozen=True, kw_only=True):
    """``text`` is what the model reads (any length: the runner bounds it), ``display`` what the user sees."""

    text: str
    success: bool = True
    display: tuple[Display, ...] = ()
    images: tuple[Image, ...] = ()
    files: tuple[FileSeen, ...] = ()
    spill_path: str = ""
    error_kind: str = ""


class Answer(Struct, frozen=True):
    """What came of a question to the user: their words, or None and why."""

    text: str | None
    reason: Outcome = "answered"


class ToolContext(Struct, frozen=True, kw_only=True):
    """What one call may use besides its tool's own parts.

    ``report`` shows live output and never blocks; ``emit`` stores an event (only ``plan_update``, resource events and the
    like: never answers); ``ask`` puts a question to the user and tells what came of it.
    """

    call_id: str
    session_id: str
    report: Callable[[str], None]
    emit: Callable[[Event], Awaitable[None]]
    ask: Callable[[str, tuple[str, ...]], Awaitable[Answer]]


class PermissionSubject(Struct, frozen=True, kw_only=True):
    """What permission rules match: every one of ``parts`` must be allowed, any one of them may be denied.

    ``simple`` False: the call does more than its parts show, so no allow rule with a pattern can cover it. ``unknown``: how
    further parts begin whose rest only the run will tell ("" for one of which nothing is known): a deny or ask rule that could
    match one of them asks. None: nothing is known of what a call that is not simple hides. ``families``: for each part the beginning
    that it shares with those that "always" may grant together with it, or ""; none for no part. ``aliases``: other names of the
    tool that rules may use (``mcp:github:create_issue`` for ``github__create_issue``).
    """

    parts: tuple[str, ...]
    simple: bool = True
    unknown: tuple[str, ...] | None = None
    families: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class Tool(ABC, Generic[Args]):
    """Everything about a tool lives with the tool."""

    name: ClassVar[str]
    description: ClassVar[str]
    args: type[Args]
    timeout_s: ClassVar[float | None] = 600.0
    """The runner's own limit; None for a tool that keeps its own."""
    in_research: ClassVar[bool] = True
    """Whether a sub-agent that only reads has a use for it. What it may do is the permissions' affair, not this one's."""
    risk_words: ClassVar[str] = "reads"
    """What ``risk`` may say, for the documentation."""
    price_words: ClassVar[str] = "free"
    """How ``risk`` estimates what a call costs, for the documentation."""

    async def prepare(self, args: Args, shown: Args | None = None) -> Args:
        """Look up what judging needs and parsing cannot: what the arguments point to. What comes back is judged, shown and run.

        ``shown`` is what an approval showed before the user edited it into ``args``. Must not change anything. Raises
        ``ToolError``: the call's answer.
        """
        return args

    def risk(self, args: Args) -> Risk:
        """What this very call may do. Must not block."""
        return READ_ONLY

    @abstractmethod
    async def run(self, args: Args, ctx: ToolContext) -> ToolOutput:
        """The answer. Raise ``ToolError`` for a failure the model should read."""

    def subject(self, args: Args) -> PermissionSubject:
        """The text that ``permissions`` rules such as ``bash(pytest *)`` are matched against."""
        return PermissionSubject(parts=("",))

    def preview(self, args: Args) -> tuple[Display, ...]:
        """What an approval shows beside the arguments: the script, the diff. Must not change anything."""
        return ()

    def parse(self, arguments: str) -> Args:
        """The arguments from the model's JSON text. Empty text counts as ``{}``. Raises ``msgspec.MsgspecError``."""
        with self._choices_told():
            return msgspec.json.decode(arguments.strip() or "{}", type=self.args, strict=False)

    def parse_object(self, arguments: JsonObject) -> Args:
        """The same from an object, for edited arguments."""
        with self._choices_told():
            return msgspec.convert(arguments, self.args, strict=False)

    @contextmanager
    def _choices_told(self) -> Generator[None, None, None]:
        """msgspec names a wrong value but not the right ones."""
        try:
            yield
        except msgspec.ValidationError as error:
            wrong = re.fullmatch(r"Invalid enum value .* - at `\$(.*)`", str(error), re.DOTALL)
            choices = _choices(self.schema.parameters, re.findall(r"\[[^\]]*\]|[^.\[]+", wrong[1])) if wrong else []
            if not choices:
                raise
            raise msgspec.ValidationError(f"{error}, which is one of: {', '.join(choices)}") from error

    @cached_property
    def schema(self) -> ToolSchema:
        """The tool as the model sees it."""
        return ToolSchema(self.name, self.description, inline_schema(self.args))

    async def aclose(self) -> None:
        """Give back what the tool holds (processes, connections). Called once, when the session ends."""


def _choices(node: Any, path: list[str]) -> list[str]:
    """The values that the schema allows at a path of names and ``[...]``."""
    options = [node, *node.get("anyOf", ())]
    if not path:
        return [str(value) for option in options for value in option.get("enum", ())]
    below = "items" if path[0].startswith("[") else "properties"
    inner = [option[below] if below == "items" else option[below].get(path[0], {}) for option in options if below in option]
    return [choice for one in inner if isinstance(one, dict) for choice in _choices(one, path[1:])]


def inline_schema(args: type[Any]) -> JsonObject:
    """A self-contained JSON Schema of the arguments: references inlined, titles dropped, unknown keys refused."""
    (root,), components = msgspec.json.schema_components([args], ref_template="#/$defs/{name}")
    inlined: JsonObject = _inlined(root, components)
    return inlined


def _inlined(node: Any, components: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        if reference := node.get("$ref"):  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            extra = {k: v for k, v in node.items() if k != "$ref"}  # pyright: ignore[reportUnknownVariableType]
            target = components[re.sub(r"^#/\$defs/", "", str(reference))]  # pyright: ignore[reportUnknownArgumentType]
            return _inlined({**target, **extra}, components)
        return {k: _inlined(v, components) for k, v in node.items() if k != "title" or not isinstance(v, str)}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(node, list):
        return [_inlined(item, components) for item in node]  # pyright: ignore[reportUnknownVariableType]
    return node


class ToolSpec(Struct, frozen=True, kw_only=True):
    """A tool from outside: the entry point group ``ml_intern.tools``, or ``open_session(tools=[…])``.

    ``parameters`` is a JSON Schema object; ``handler`` gets the arguments and returns the text for the model.
    """

    name: str
    description: str
    parameters: JsonObject
    handler: Callable[[JsonObject], Awaitable[str]]
    read_only: bool = False
    timeout_s: float = field(default=600.0)
