"""Jupyter notebooks as readable cells (nbformat 4, https://nbformat.readthedocs.io/en/latest/format_description.html)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ml_intern.protocol.messages import Image

MAX_OUTPUT_CHARS = 2_000
MAX_IMAGES = 4


class _Output(Struct):
    output_type: str = ""
    text: str | list[str] = ""
    data: dict[str, Any] = {}
    ename: str = ""
    evalue: str = ""


class _Cell(Struct):
    cell_type: str
    source: str | list[str] = ""
    outputs: list[_Output] = []
    execution_count: int | None = None


class _Notebook(Struct):
    cells: list[_Cell]
    nbformat: Annotated[int, Meta(ge=4)]


def render(data: bytes) -> tuple[str, list[Image]] | None:
    """The notebook as text, and the pictures among its outputs; None when it is no notebook of format 4."""
    try:
        notebook = msgspec.json.decode(data, type=_Notebook)
    except msgspec.MsgspecError:
        return None
    images: list[Image] = []
    blocks = [_cell(number, cell, images) for number, cell in enumerate(notebook.cells, 1)]
    return "\n\n".join(blocks), images[:MAX_IMAGES]


def _cell(number: int, cell: _Cell, images: list[Image]) -> str:
    run = f", execution {cell.execution_count}" if cell.execution_count is not None else ""
    lines = [f"── cell {number} ({cell.cell_type}{run}) ──", _joined(cell.source)]
    for output in cell.outputs:
        if text := _output(output, images):
            lines += ["── output ──", text if len(text) <= MAX_OUTPUT_CHARS else f"{text[:MAX_OUTPUT_CHARS]}… ({len(text):,} characters)"]
    return "\n".join(lines)


def _output(output: _Output, images: list[Image]) -> str:
    for kind in ("image/png", "image/jpeg"):
        if kind in output.data:
            images.append(Image(media_type=kind, data=_joined(output.data[kind]).replace("\n", "")))
            return f"[{kind}]"
    if output.ename:
        return f"{output.ename}: {output.evalue}"
    return _joined(output.text or output.data.get("text/plain", "")).rstrip("\n")


def _joined(text: Any) -> str:
    return "".join(str(piece) for piece in text) if isinstance(text, list) else str(text)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
