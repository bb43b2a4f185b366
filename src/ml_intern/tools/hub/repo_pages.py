"""What the model reads of a repository: pages of its list of files, and of a text file."""

from __future__ import annotations

from pathlib import PurePosixPath

from ml_intern.errors import NotFoundError, ToolError
from ml_intern.gateways.hub.repos import Entry, HubRepos, Part, Repo
from ml_intern.protocol.amounts import counted, size_text

MAX_ENTRIES = 400
LIST_CHARS = 20_000
DEFAULT_CHARS = 20_000
MAX_CHARS = 24_000
"""A page with its header always fits into what the one limiter lets through."""

# fmt: off
_BINARY = frozenset({
    ".7z", ".arrow", ".avi", ".bin", ".bmp", ".bz2", ".ckpt", ".db", ".dylib", ".exe", ".feather", ".flac", ".gguf", ".gif", ".gz",
    ".h5", ".ico", ".jpeg", ".jpg", ".joblib", ".keras", ".llamafile", ".m4a", ".mkv", ".mov", ".mp3", ".mp4", ".msgpack", ".npy",
    ".npz", ".o", ".ogg", ".onnx", ".orc", ".ot", ".parquet", ".pb", ".pdf", ".pickle", ".pkl", ".png", ".pt", ".pth", ".pyc", ".rar",
    ".safetensors", ".so", ".sqlite", ".tar", ".task", ".tflite", ".tgz", ".tif", ".tiff", ".wasm", ".wav", ".webm", ".webp", ".whl",
    ".xls", ".xlsx", ".xz", ".zip", ".zst",
})
# fmt: on


def named(repo: Repo) -> str:
    """A repository in words."""
    return f"{repo.repo_type} {repo.repo_id} at {repo.revision}"


async def list_page(repos: HubRepos, repo: Repo, folder: str, offset: int) -> str:
    """Files with their sizes, folders marked by a slash, from entry ``offset`` on."""
    page = await repos.entries(repo, folder, offset, MAX_ENTRIES)
    where = repos.file_page(repo, folder, "tree")
    what = f"{named(repo)}{f', folder {folder}' if folder else ''}"
    if not page.entries:
        return f"No more entries in {what}: there are {offset} or fewer." if offset else f"{what} has no files. {where}"
    rows: list[str] = []
    size = 0
    for entry in page.entries:
        row = f"{entry.path}/" if entry.size_bytes is None else f"{entry.path}  {size_text(entry.size_bytes)}"
        if rows and size + len(row) + 1 > LIST_CHARS:
            break
        rows.append(row)
        size += len(row) + 1
    shown = page.entries[: len(rows)]
    more = page.more or len(shown) < len(page.entries)
    header = f"{what}: entries {offset + 1} to {offset + len(shown)}{'' if more else ', the last'} · {where}"
    if not offset and not more:
        files = [entry.size_bytes for entry in shown if entry.size_bytes is not None]
        header = f"{what}: {counted(len(files), 'file')}, {size_text(sum(files))} · {where}"
    rows += [f"(more entries: continue with offset {offset + len(shown)}, or list one folder with path)"] if more else []
    return "\n".join((header, *rows))


async def read_page(repos: HubRepos, repo: Repo, path: str, offset: int, max_chars: int) -> str:
    """A page of a text file from byte ``offset`` on. Its size is asked first, and no binary file is downloaded."""
    entry = await existing(repos, repo, path)
    total = entry.size_bytes or 0
    where = repos.file_page(repo, path)
    if total == 0:
        return f"{path} in {named(repo)} is empty (0 bytes). {where}"
    if PurePosixPath(path).suffix.lower() in _BINARY:
        return _is_binary(entry, repo, where)
    if offset >= total:
        raise ToolError(f"{path} has {total:,} bytes; there is nothing at offset {offset:,}.")
    part = await repos.part(repo, path, offset, min(max_chars, MAX_CHARS))
    data, skipped = whole_lines(part)
    if b"\0" in data:
        return _is_binary(entry, repo, where)
    end = offset + skipped + len(data)
    try:
        text, note = data.decode("utf-8"), ""
    except UnicodeDecodeError:
        text, note = data.decode("utf-8", "replace"), " · not UTF-8, what could not be decoded is shown as �"
    header = f"{path} in {named(repo)}: bytes {offset + skipped:,} to {end:,} of {part.total_bytes:,}{note} · {where}"
    rest = f"\n(more: continue with offset {end})" if end < part.total_bytes else ""
    return f"{header}\n{text}{rest}"


async def existing(repos: HubRepos, repo: Repo, path: str) -> Entry:
    """The file of that path. Raises ``ToolError`` that says what is there instead."""
    if (entry := await repos.entry(repo, path)) is None:
        parent = path.rpartition("/")[0]
        hint = f"List the files with operation list{f' and path {parent}' if parent else ''}."
        raise NotFoundError(f"There is no file {path} in {named(repo)}.", hint=hint, status=404)
    if entry.size_bytes is None:
        raise ToolError(f"{path} in {named(repo)} is a folder.", hint=f"Use operation list with path {path}.")
    return entry


def _is_binary(entry: Entry, repo: Repo, where: str) -> str:
    command = f"hf download {repo.repo_id} {entry.path} --repo-type {repo.repo_type} --revision {repo.revision}"
    return (
        f"{entry.path} in {named(repo)} is a binary file of {size_text(entry.size_bytes or 0)} ({entry.size_bytes:,} bytes) and was not "
        f"downloaded. {where}\nIf its content is needed: `{command}`, then a program that knows the format."
    )


def whole_lines(part: Part) -> tuple[bytes, int]:
    """The part without the pieces of characters at its ends, up to its last line's end where that costs less than half of it.

    The second value counts the bytes that were dropped at the beginning.
    """
    data = part.data
    skipped = 0
    while part.start and skipped < min(3, len(data)) and data[skipped] & 0xC0 == 0x80:
        skipped += 1
    data = data[skipped:]
    if part.start + len(part.data) >= part.total_bytes:
        return data, skipped
    newline = data.rfind(b"\n")
    if newline >= len(data) // 2:
        return data[: newline + 1], skipped
    for back in range(1, min(4, len(data) - 1) + 1):
        lead = data[-back]
        if lead & 0xC0 == 0xC0:  # the first byte of a character of two to four
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return (data[:-back] if back < length else data), skipped
        if lead < 0x80:
            break
    return data, skipped
