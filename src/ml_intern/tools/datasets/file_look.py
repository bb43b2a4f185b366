"""Looking into data files themselves, on the Hub or in the workspace, where no viewer answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ml_intern.errors import ServiceError, ToolError
from ml_intern.gateways.hub.data_layout import FORMATS, DataFile
from ml_intern.gateways.hub.dataset_files import FileSample, Wanted
from ml_intern.gateways.hub.datasets_server import MOST_ROWS
from ml_intern.protocol.amounts import counted
from ml_intern.tools.datasets.found import Found, SplitFound
from ml_intern.tools.datasets.viewer_look import choose

MOST_FILES_OPENED = 5
MOST_NAMED = 5
Read: TypeAlias = Callable[[DataFile, Wanted], Awaitable[FileSample]]


async def look_into_files(found: Found, files: Sequence[DataFile], read: Read, config: str | None, split: str | None) -> None:
    """Fills in what the files tell of one split. Raises ``ToolError``."""
    if not files:
        forms = ", ".join(FORMATS)
        raise ToolError(f"{found.dataset} has no file that can be read as rows.", hint=f"Looked for {forms} (csv and json also as .gz).")
    name = choose(_splits(files), config, split)
    chosen = [file for file in files if (file.config, file.split) == (name.config, name.split)]
    total = await _look(chosen, found, read)
    found.config, found.split = name.config, name.split
    found.splits = found.splits or _splits(files)  # only now: names of files alone are nothing learned of the data
    if total is not None:
        found.splits = tuple(_counted(one, name.config, name.split, total) for one in found.splits)
    if not found.rows and found.first:
        told = f": the split has {total:,}" if total is not None else " in the files that were opened"
        found.warn(f"There is no row {found.first:,}{told}.")
    if not found.files:
        found.files, found.files_title = tuple((file.path, file.size) for file in files), "Data files"


async def _look(chosen: Sequence[DataFile], found: Found, read: Read) -> int | None:
    """Rows and columns from the first files that have some; a damaged one is named. Returns the split's rows, if all files told.

    Raises ``ToolError`` when none can be read.
    """
    skip, totals, failures = found.first, list[int](), list[ToolError]()
    for file in chosen[:MOST_FILES_OPENED]:
        try:
            sample = await _sample(file, Wanted(skip=skip, count=MOST_ROWS), read)
            if skip and not found.beginning:
                first = await _sample(file, Wanted(count=MOST_ROWS), read)
                found.beginning, found.features = first.rows, first.features
        except ServiceError:
            raise
        except ToolError as error:
            failures.append(error)
            continue
        found.features = sample.features or found.features
        found.rows, found.source = sample.rows, f"file {file.path}"
        totals += [sample.total] if sample.total is not None else []
        if sample.broken:
            found.warn(f"Not JSON objects: {counted(sample.broken, 'line')} at the beginning of {file.path}.")
        if sample.rows or sample.total is None:
            break
        skip = max(0, skip - sample.total)
    if failures and not found.features:
        raise failures[0]
    if not found.features:
        raise ToolError(f"{_named(chosen)} {'holds' if len(chosen) == 1 else 'hold'} no rows.")
    for error in failures:
        found.warn(f"Left out: {error.message}")
    return sum(totals) if len(totals) == len(chosen) else None


async def _sample(file: DataFile, wanted: Wanted, read: Read) -> FileSample:
    """Raises ``ToolError`` that names the file."""
    if file.size == 0:
        raise ToolError(f"{file.path} is empty (0 bytes).")
    try:
        return await read(file, wanted)
    except ServiceError:
        raise
    except ToolError as error:
        message = error.message if file.path in error.message else f"{file.path}: {error.message}"
        raise ToolError(message, hint=error.hint) from error


def _named(files: Sequence[DataFile]) -> str:
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return ", ".join(file.path for file in files[:MOST_NAMED]) + more


def _splits(files: Sequence[DataFile]) -> tuple[SplitFound, ...]:
    sizes: dict[tuple[str, str], int | None] = {}
    for file in files:
        key = (file.config, file.split)
        before = sizes.get(key, 0)
        sizes[key] = before + file.size if before is not None and file.size is not None else None
    return tuple(SplitFound(config=config, split=split, size_bytes=size) for (config, split), size in sizes.items())


def _counted(one: SplitFound, config: str, split: str, total: int) -> SplitFound:
    if (one.config, one.split) != (config, split) or one.rows is not None:
        return one
    return SplitFound(config=config, split=split, rows=total, size_bytes=one.size_bytes)
