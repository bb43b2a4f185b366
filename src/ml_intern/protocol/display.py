"""What a tool asks any frontend to show beside the text that the model reads. Data only: each frontend draws it its way."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct


class Text(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="text"):
    """Plain text; ``language`` names the highlighter (``python``, ``json``, …) or is empty."""

    text: str
    language: str = ""


class Diff(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="diff"):
    """A unified diff of one file."""

    path: str
    unified: str
    added: int
    removed: int


class Table(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="table"):
    """Rows of cells under a header."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Link(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="link"):
    """A URL or a file worth opening."""

    title: str
    url: str


class Picture(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="picture"):
    """An image file of the workspace, for a frontend that can draw one."""

    path: str
    media_type: str


class PlanItem(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the plan; ``status`` is ``pending``, ``in_progress`` or ``completed``."""

    id: str
    content: str
    status: str


class Plan(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="plan"):
    """The plan as it now stands."""

    items: tuple[PlanItem, ...]


class Job(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="job"):
    """A background command or a remote job."""

    id: str
    status: str
    command: str
    url: str = ""


Display: TypeAlias = Text | Diff | Table | Link | Picture | Plan | Job
