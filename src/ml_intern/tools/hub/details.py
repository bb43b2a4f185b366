"""``hub_repo_details``: what one repository is, so that a script can be written for it."""

from __future__ import annotations

import contextlib
from typing import Annotated, ClassVar

from msgspec import Meta
from msgspec.structs import force_setattr

from ml_intern.errors import NotFoundError
from ml_intern.gateways.hub.client import SERVICE, HubClient
from ml_intern.gateways.hub.json_shapes import as_list, as_object, as_objects, as_text
from ml_intern.gateways.hub.model_facts import ModelFacts, ModelShape, TokenizerFacts, model_facts
from ml_intern.gateways.hub.repo_address import repo_address
from ml_intern.gateways.hub.search import HubSearch, RepoFacts, RepoType
from ml_intern.protocol.amounts import count_text, size_text
from ml_intern.protocol.display import Link, Table
from ml_intern.tools.base import PermissionSubject, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.past_end import past_offset

FILES = 40
TAGS = 30
MOST_LISTED = 20
_KINDS: tuple[RepoType, ...] = ("model", "dataset", "space")


class HubRepoDetailsArgs(ToolArgs, frozen=True):
    repo_id: Annotated[str, Meta(min_length=1)]
    repo_type: RepoType | None = None
    offset: Annotated[int, Meta(ge=0, description="Of files.")] = 0

    def __post_init__(self) -> None:
        """An address of the Hub counts as the name in it."""
        address = repo_address(self.repo_id)
        force_setattr(self, "repo_id", address.repo_id)
        force_setattr(self, "repo_type", address.kind or self.repo_type)


class HubRepoDetailsTool(Tool[HubRepoDetailsArgs]):
    """Small files and headers are read; no weights, no data."""

    name: ClassVar[str] = "hub_repo_details"
    description: ClassVar[str] = (
        "A repository: licence, gating, files; of a model also architecture, parameters, context length, tokenizer."
    )
    risk_words: ClassVar[str] = "reads"
    price_words: ClassVar[str] = "free"
    timeout_s: ClassVar[float | None] = 120.0
    args = HubRepoDetailsArgs

    def __init__(self, hub: HubClient) -> None:
        self._hub = hub
        self._search = HubSearch(hub)

    def subject(self, args: HubRepoDetailsArgs) -> PermissionSubject:
        return PermissionSubject(parts=(args.repo_id,))

    async def run(self, args: HubRepoDetailsArgs, ctx: ToolContext) -> ToolOutput:
        kind, facts = await self._find(args)
        lines = _general(kind, facts)
        if facts.gated and facts.gated is not True:
            lines.append(f"Access: gated ({facts.gated}); ask for it at {self._hub.page(facts.id, kind)}")
        if kind == "model":
            lines += model_lines(await model_facts(self._hub, facts))
        elif kind == "dataset":
            lines += _dataset(facts)
        else:
            lines += _space(facts)
        lines += _files(facts, args.offset)
        rows = tuple((name, value) for name, _, value in (text.partition(": ") for text in lines if ": " in text and text[0] != " "))
        link = Link(facts.id, self._hub.page(facts.id, kind))
        return ToolOutput(text="\n".join(lines), display=(Table(f"{kind} {facts.id}", ("", ""), rows), link))

    async def _find(self, args: HubRepoDetailsArgs) -> tuple[RepoType, RepoFacts]:
        if args.repo_type is not None:
            return args.repo_type, await self._facts(args.repo_id, args.repo_type)
        for kind in _KINDS:
            with contextlib.suppress(NotFoundError):
                return kind, await self._facts(args.repo_id, kind)
        raise NotFoundError(
            f"No model, dataset or Space {args.repo_id} is there, or it is private and hidden from this account.",
            hint="Check the spelling (owner/name) with hub_search; for a private one, HF_TOKEN must be a token that may read it.",
            service=SERVICE,
            status=404,
        )

    async def _facts(self, repo_id: str, kind: RepoType) -> RepoFacts:
        """Sizes of files are told for models and Spaces; datasets may have too many files."""
        return await self._search.facts(repo_id, kind, sizes=kind != "dataset")


def _general(kind: RepoType, facts: RepoFacts) -> list[str]:
    card = facts.card
    about = (
        ("Task", facts.pipeline_tag or ", ".join(facts.tag("task_categories"))),
        ("Library", facts.library_name or ""),
        ("Licence", ", ".join(facts.tag("license")) or as_text(card.get("license")) or "not stated"),
        ("Languages", ", ".join(_texts(card.get("language"))[:MOST_LISTED])),
        ("Base model", ", ".join(_texts(card.get("base_model"))[:MOST_LISTED])),
        ("Trained on", ", ".join(_texts(card.get("datasets"))[:MOST_LISTED])),
        ("Downloads", f"{count_text(facts.downloads)} in 30 days" if facts.downloads is not None else ""),
        ("Likes", count_text(facts.likes)),
        ("Updated", facts.last_modified[:10]),
        ("Commit", facts.sha),
        ("Private", "yes" if facts.private else ""),
        ("Disabled", "yes, by the Hub" if facts.disabled else ""),
        ("Storage", size_text(facts.used_storage) if facts.used_storage is not None else ""),
    )
    tags = [tag for tag in facts.tags if not tag.startswith(("license:", "region:"))]
    more = f", … {len(tags) - TAGS} more" if len(tags) > TAGS else ""
    named = [f"{name}: {value}" for name, value in about if value]
    return [f"{kind} {facts.id}", *named, *([f"Tags: {', '.join(tags[:TAGS])}{more}"] if tags else [])]


def _texts(value: object) -> list[str]:
    """A card's field that may be one text or several."""
    return [value] if isinstance(value, str) else [item for item in as_list(value) or () if isinstance(item, str)]


def model_lines(facts: ModelFacts) -> list[str]:
    """What its files tell."""
    lines: list[str] = []
    if facts.weights is not None:
        by_dtype = ", ".join(f"{dtype} {count_text(count)}" for dtype, count in facts.weights.parameters.items())
        total = facts.weights.total or sum(facts.weights.parameters.values())
        lines.append(f"Parameters: {count_text(total)} ({by_dtype})")
    if facts.shape is not None:
        lines += _shape(facts.shape)
    if facts.tokenizer is not None:
        lines.append(f"Tokenizer: {_tokenizer(facts.tokenizer)}")
    return [*lines, *(f"Note: {note}" for note in facts.notes)]


def _shape(shape: ModelShape) -> list[str]:
    numbers = ", ".join(f"{name} {size:,}" for name, size in shape.shape)
    about = (
        ("Architecture", ", ".join(shape.architectures) + (f" ({shape.model_type})" if shape.model_type else "")),
        ("Context length", f"{shape.context:,} tokens" + (f", rope {shape.rope}" if shape.rope else "") if shape.context else ""),
        ("Shape", numbers),
        ("Stored as", ", ".join(part for part in (shape.dtype, shape.quantization) if part)),
    )
    return [f"{name}: {value.strip()}" for name, value in about if value]


def _tokenizer(tokenizer: TokenizerFacts) -> str:
    parts = (
        tokenizer.kind,
        f"at most {tokenizer.max_length:,} tokens" if tokenizer.max_length else "",
        "has a chat template" if tokenizer.has_chat_template else "no chat template",
        f"eos {tokenizer.eos}" if tokenizer.eos else "",
        f"pad {tokenizer.pad}" if tokenizer.pad else "no pad token",
    )
    return ", ".join(part for part in parts if part)


def _dataset(facts: RepoFacts) -> list[str]:
    lines: list[str] = []
    if sizes := facts.tag("size_categories"):
        lines.append(f"Rows: {', '.join(sizes)}")
    configs = [as_text(config.get("config_name")) for config in as_objects(facts.card.get("configs"))]
    if configs:
        more = f", … {len(configs) - MOST_LISTED} more" if len(configs) > MOST_LISTED else ""
        lines.append(f"Configs: {', '.join(configs[:MOST_LISTED])}{more}")
    return [*lines, "Next: hf_inspect_dataset shows columns, rows and which training methods fit"]


def _space(facts: RepoFacts) -> list[str]:
    runtime = as_object(facts.runtime) or {}
    hardware = as_object(runtime.get("hardware")) or {}
    about = (
        ("SDK", facts.sdk or ""),
        ("Stage", as_text(runtime.get("stage"))),
        ("Hardware", as_text(hardware.get("current")) or as_text(hardware.get("requested"))),
    )
    return [f"{name}: {value}" for name, value in about if value]


def _files(facts: RepoFacts, offset: int) -> list[str]:
    files = facts.files
    if not files:
        return ["Files: none told"]
    shown = files[offset : offset + FILES]
    lines = [f"Files ({len(files)}):"]
    lines += [f"  {file.path}" + (f"  {size_text(file.size)}" if file.size is not None else "") for file in shown]
    if not shown:
        lines.append(f"  {past_offset('files', len(files), offset)}")
    if offset + len(shown) < len(files):
        lines.append(f"  (more: offset={offset + len(shown)})")
    return lines
