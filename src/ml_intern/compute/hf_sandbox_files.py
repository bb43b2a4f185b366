"""Files of a remote sandbox, and the few of this machine that its tools may see as well."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from ml_intern.compute.base import FileKind, FileStat, LinePage
from ml_intern.compute.hf_machine import Machine
from ml_intern.config.paths import make_private
from ml_intern.protocol.amounts import counted

INLINE_BYTES = 1024 * 1024
"""What travels inside a request; larger files go by themselves, in parallel ranges."""


class _Found(Struct):
    """What the agent says of a path; ``path`` is where links lead."""

    kind: FileKind
    size_bytes: int
    mtime_ns: int
    path: str


class _Data(Struct):
    data: bytes


class _Lines(Struct):
    lines: list[bytes]
    total_lines: int


async def file_stat(machine: Machine, path: Path) -> FileStat | None:
    """None when there is nothing."""
    found = await _look(machine, path)
    return None if found is None else FileStat(kind=found.kind, size_bytes=found.size_bytes, mtime_ns=found.mtime_ns)


async def _look(machine: Machine, path: Path) -> _Found | None:
    return await machine.ask("look", {"path": str(path)}, _Found | None)  # type: ignore[arg-type]


async def read_bytes(machine: Machine, path: Path, max_bytes: int | None) -> bytes:
    """The file, or its beginning."""
    most = INLINE_BYTES if max_bytes is None else max_bytes
    if most <= INLINE_BYTES:
        asked = most + 1 if max_bytes is None else most
        data = (await machine.ask("read", {"path": str(path), "max_bytes": asked}, _Data)).data
        if max_bytes is not None or len(data) <= INLINE_BYTES:
            return data
    found = await _look(machine, path)
    if found is None or found.kind is not FileKind.FILE:
        raise OSError(f"{path} is no regular file")
    return (await machine.get(found.path))[:max_bytes]


async def read_lines(machine: Machine, path: Path, first: int, count: int, max_bytes: int) -> LinePage:
    """Some lines of a file of any size; the rest stays there."""
    page = await machine.ask("lines", {"path": str(path), "first": first, "count": count, "max_bytes": max_bytes}, _Lines)
    return LinePage(lines=tuple(page.lines), first=first, total_lines=page.total_lines)


async def write_bytes(machine: Machine, path: Path, data: bytes) -> FileStat:
    """Replace the file in one step."""
    if len(data) <= INLINE_BYTES:
        request = {"path": str(path), "data": base64.b64encode(data).decode()}
    else:
        source = machine.layout.state / f"upload-{os.urandom(6).hex()}"
        await machine.put(str(source), data)
        request = {"path": str(path), "source": str(source)}
    found = await machine.ask("write", request, _Found)
    return FileStat(kind=found.kind, size_bytes=found.size_bytes, mtime_ns=found.mtime_ns)


async def list_names(machine: Machine, path: Path) -> list[str]:
    """Sorted."""
    return await machine.ask("names", {"path": str(path)}, list[str])


class Packed(Struct, frozen=True):
    """A tar file of a folder: how many files are in it, and the first hundred of those that were too much."""

    count: int
    left_out: tuple[str, ...]
    left_out_count: int
    size_bytes: int

    def describe(self) -> str:
        """A sentence for people and models."""
        if not self.left_out_count:
            return f"{counted(self.count, 'file')}"
        more = f" and {self.left_out_count - 10} more" if self.left_out_count > 10 else ""
        return f"{counted(self.count, 'file')}; left out because they are too large: {', '.join(self.left_out[:10])}{more}"


async def download_folder(machine: Machine, to: Path, max_bytes: int) -> Packed:
    """The working folder as a tar file on this machine."""
    archive = machine.layout.state / f"files-{os.urandom(6).hex()}.tar.gz"
    request = {"path": str(machine.layout.root), "to": str(archive), "max_bytes": max_bytes}
    packed = await machine.ask("pack", request, Packed)
    make_private(to.parent)
    await machine.download(str(archive), to)
    return packed


async def upload_folder(machine: Machine, source: Path) -> None:
    """Such a tar file into the working folder."""
    archive = machine.layout.state / f"files-{os.urandom(6).hex()}.tar.gz"
    await machine.upload(source, str(archive))
    await machine.ask("unpack", {"path": str(machine.layout.root), "from": str(archive)}, msgspec.Raw)
