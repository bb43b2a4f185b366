"""GitHub's REST API, version 2022-11-28 (https://docs.github.com/rest). No token is needed for what is public.

Every name is checked and escaped, so that none can reach another route. Answers are kept with their ETag: a page that is
read again costs no request for some minutes, and afterwards only one that GitHub does not count.
"""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct, field

from ml_intern.config.secret import SecretStr
from ml_intern.errors import NotFoundError, ServiceAuthError, ServiceDown, ServiceError, ServiceLimited, ServiceRefused
from ml_intern.gateways.http import Query, ServiceAnswer, ServiceHttp, ServiceOptions, path_of

SERVICE = "GitHub"
PUBLIC_API = "https://api.github.com"
HEADERS = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
OBJECT = "application/vnd.github.object+json"
"""A folder as an object with ``entries``, not as a bare list."""
RAW = "application/vnd.github.raw+json"
TEXT_MATCH = "application/vnd.github.text-match+json"
KEPT_S = 300.0
KEPT_BYTES = 24 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024
SEARCHABLE = 1000
"""A search gives no more than its first thousand results."""
TOKEN_HINT = "Set GITHUB_TOKEN: with a token 5,000 requests an hour are free, without one 60."

_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")
_NAME = re.compile(r"(?!\.{1,2}$)[\w.-]{1,100}", re.ASCII)

T = TypeVar("T")
Sort = Literal["stars", "forks", "updated", "created"]


class Repo(Struct, frozen=True, kw_only=True):
    """One repository of a listing."""

    full_name: str
    html_url: str = ""
    description: str | None = None
    stars: int = field(name="stargazers_count", default=0)
    forks: int = field(name="forks_count", default=0)
    language: str | None = None
    topics: tuple[str, ...] = ()
    archived: bool = False
    pushed_at: str | None = None
    created_at: str | None = None


class RepoList(Struct, frozen=True, kw_only=True):
    """A page of repositories. ``total`` is None when GitHub does not count; ``more`` says whether another page follows."""

    repos: tuple[Repo, ...]
    total: int | None = None
    more: bool = False
    note: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """A thing in a tree or folder. ``type`` is blob or tree in a tree; file, dir, symlink or submodule in a folder."""

    path: str
    type: str
    sha: str = ""
    size: int | None = 0


class Tree(Struct, frozen=True, kw_only=True):
    """``truncated``: GitHub left entries out (more than 100,000, or 7 MB)."""

    sha: str = ""
    tree: tuple[Entry, ...] = ()
    truncated: bool = False


class Content(Struct, frozen=True, kw_only=True):
    """A file or a folder. ``text`` is base64, empty for a file above 1 MB; ``entries`` is None for a file."""

    type: str
    path: str = ""
    sha: str = ""
    size: int = 0
    text: str = field(name="content", default="")
    encoding: str = ""
    target: str = ""
    submodule_git_url: str | None = ""
    html_url: str | None = None
    entries: tuple[Entry, ...] | None = None

    @property
    def data(self) -> bytes | None:
        """The bytes, if GitHub sent them along."""
        return b64decode(self.text) if self.encoding == "base64" and (self.text or not self.size) else None


class Lines(Struct, frozen=True, kw_only=True):
    """Lines ``first`` and following of a large file. ``more``: it goes on."""

    first: int
    lines: tuple[str, ...]
    more: bool


class Match(Struct, frozen=True, kw_only=True):
    """A piece of a file around what was searched for."""

    fragment: str = ""


class CodeHit(Struct, frozen=True, kw_only=True):
    """A file that matches."""

    path: str
    html_url: str = ""
    repository: Repo
    text_matches: tuple[Match, ...] = ()


class _FoundRepos(Struct):
    total_count: int
    items: tuple[Repo, ...]
    incomplete_results: bool = False


class CodeHits(Struct, frozen=True, kw_only=True):
    """A page of matches."""

    total: int = field(name="total_count")
    items: tuple[CodeHit, ...]
    incomplete: bool = field(name="incomplete_results", default=False)


class Github:
    """One per folder's settings. ``base_url`` is the API's address."""

    def __init__(
        self,
        base_url: str = PUBLIC_API,
        token: SecretStr | None = None,
        *,
        options: ServiceOptions | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        options = options or ServiceOptions(timeout_s=30.0)
        self._http = ServiceHttp(SERVICE, base_url, token=token, headers=HEADERS, options=options)
        self.has_token = token is not None
        self._kept = _KeptAnswers(self._http, monotonic)

    @property
    def pages_url(self) -> str:
        """Where people read repositories: GitHub's own, or that of an Enterprise server, whose API is below ``/api/v3``."""
        base = self._http.base_url
        return "https://github.com" if base == PUBLIC_API else base.removesuffix("/api/v3")

    async def tree(self, repo: str, sha: str = "HEAD", *, recursive: bool = True) -> Tree:
        """What is in a tree, by its sha or as ``HEAD`` of the default branch. Raises ``ServiceError``; 409 is an empty repository."""
        path = path_of("repos", checked_repo(repo), "git", "trees", sha)
        answer = await self._asked(self._kept.get(path, {"recursive": 1 if recursive else None}))
        return await asyncio.to_thread(_decoded, answer, Tree)

    async def content(self, repo: str, path: str, ref: str = "") -> Content:
        """A file with its bytes if it is small, or a folder's entries. Raises ``ServiceError``."""
        place = _content_path(repo, path)
        answer = await self._asked(self._kept.get(place, {"ref": ref or None}, accept=OBJECT))
        return await asyncio.to_thread(_decoded, answer, Content)

    async def raw(self, repo: str, path: str, ref: str = "") -> bytes:
        """A whole file, however GitHub would show it. Raises ``ServiceError``, also when it is larger than the client's limit."""
        return (await self._asked(self._kept.get(_content_path(repo, path), {"ref": ref or None}, accept=RAW))).body

    async def raw_lines(self, repo: str, path: str, ref: str, first: int, count: int) -> Lines:
        """Lines of a large file, read as a stream that is left as soon as they are there. Raises ``ServiceError``."""
        return await self._asked(self._streamed(_content_path(repo, path), ref, first, count))

    async def search_repos(self, query: str, *, sort: str | None = None, order: str = "desc", limit: int = 30, page: int = 1) -> RepoList:
        """Repositories that match GitHub's query language, ranked over all of them. Raises ``ServiceError``."""
        asked = {"q": query, "sort": sort, "order": order if sort else None, "per_page": limit, "page": page}
        found = _decoded(await self._asked(self._kept.get("/search/repositories", asked)), _FoundRepos)
        note = "GitHub's search ran out of time: some repositories may be missing." if found.incomplete_results else ""
        reachable = min(found.total_count, SEARCHABLE)
        return RepoList(repos=found.items, total=found.total_count, more=page * limit < reachable, note=note)

    async def list_repos(self, owner: str, owner_type: str, *, sort: Sort, order: str, limit: int = 30, page: int = 1) -> RepoList:
        """Repositories of an owner by date, as GitHub sorts them itself. Raises ``ServiceError``."""
        kind = "orgs" if owner_type == "org" else "users"
        asked = {"sort": sort, "direction": order, "per_page": limit, "page": page}
        answer = await self._asked(self._kept.get(path_of(kind, checked_owner(owner), "repos"), asked))
        repos = _decoded(answer, tuple[Repo, ...])
        return RepoList(repos=repos, more='rel="next"' in answer.headers.get("link", ""))

    async def search_code(self, query: str, *, limit: int = 20, page: int = 1) -> CodeHits:
        """Code of default branches, with the matching pieces. Raises ``ServiceAuthError`` without a token."""
        if not self.has_token:
            hint = "Set GITHUB_TOKEN; or use github_find_examples and github_read_file, which need none."
            raise ServiceAuthError("GitHub searches code for those with a token only, and there is none.", hint=hint, service=SERVICE)
        asked = {"q": query, "per_page": limit, "page": page}
        return _decoded(await self._asked(self._kept.get("/search/code", asked, accept=TEXT_MATCH)), CodeHits)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _streamed(self, path: str, ref: str, first: int, count: int) -> Lines:
        reader = _LineReader(first, count)
        async with self._http.stream("GET", path, {"ref": ref or None}, headers={"accept": RAW}) as response:
            async for chunk in response.aiter_bytes():
                if not reader.feed(chunk):
                    break
        return reader.lines()

    async def _asked(self, answer: Awaitable[T]) -> T:
        """The answer; a refusal says what a token would change."""
        try:
            return await answer
        except ServiceLimited as error:
            hint = error.hint if self.has_token else TOKEN_HINT
            raise ServiceLimited(
                error.message, hint=hint, service=SERVICE, status=error.status, retry_after_s=error.retry_after_s
            ) from error
        except NotFoundError as error:
            hint = "Check the name." if self.has_token else "Check the name; a private repository needs GITHUB_TOKEN."
            raise NotFoundError(error.message, hint=hint, service=SERVICE, status=error.status) from error


class _KeptAnswers:
    """GET answers, bounded by size, fresh for some minutes, then asked for again by their ETag."""

    def __init__(self, http: ServiceHttp, monotonic: Callable[[], float]) -> None:
        self._http = http
        self._monotonic = monotonic
        self._kept: OrderedDict[str, tuple[float, ServiceAnswer]] = OrderedDict()

    async def get(self, path: str, query: Query, *, accept: str = HEADERS["accept"]) -> ServiceAnswer:
        key = f"{accept} {path} {sorted((name, str(value)) for name, value in query.items())}"
        until, kept = self._kept.get(key, (0.0, None))
        if kept is not None and self._monotonic() < until:
            self._kept.move_to_end(key)
            return kept
        answer = await self._http.get(path, query, headers={"accept": accept}, if_none_match=kept.etag if kept else "")
        if answer.not_modified and kept is not None:
            answer = kept
        self._keep(key, answer)
        return answer

    def _keep(self, key: str, answer: ServiceAnswer) -> None:
        self._kept[key] = (self._monotonic() + KEPT_S, answer)
        self._kept.move_to_end(key)
        while self._kept and sum(len(kept.body) for _, kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)


class _LineReader:
    """Takes bytes until it has the lines that are wanted."""

    def __init__(self, first: int, count: int) -> None:
        self._first = first
        self._last = first + count - 1
        self._number = 1
        self._rest = b""
        self._taken: list[bytes] = []
        self._more = False

    def feed(self, chunk: bytes) -> bool:
        """False when enough is there. Raises ``ServiceRefused`` for a binary file."""
        if b"\0" in chunk:
            raise ServiceRefused("This is a binary file.", hint="Download it by bash if you need it.", service=SERVICE)
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._take(line)
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = self._rest[:MAX_LINE_BYTES]
        self._more = self._number > self._last and (self._more or bool(self._rest))
        return not self._more

    def lines(self) -> Lines:
        """What was taken, the last line included though no newline ends it."""
        if self._rest:
            self._take(self._rest)
        return Lines(first=self._first, lines=tuple(line.decode("utf-8", "replace").rstrip("\r") for line in self._taken), more=self._more)

    def _take(self, line: bytes) -> None:
        if self._first <= self._number <= self._last:
            self._taken.append(line[:MAX_LINE_BYTES])
        elif self._number > self._last:
            self._more = True
        self._number += 1


def checked_repo(repo: str) -> str:
    """``owner/name``. Raises ``ServiceRefused`` for anything else: ``../`` and further segments must not reach other routes."""
    owner, slash, name = repo.strip().removeprefix("https://github.com/").rstrip("/").removesuffix(".git").partition("/")
    if not slash or not _NAME.fullmatch(name):
        raise ServiceRefused(f"'{repo[:100]}' is no repository.", hint="Write owner/name.", service=SERVICE)
    return f"{checked_owner(owner)}/{name}"


def checked_owner(owner: str) -> str:
    """The name of a user or organisation. Raises ``ServiceRefused`` for what cannot be one."""
    if not _OWNER.fullmatch(owner):
        raise ServiceRefused(f"'{owner[:100]}' is no name of a GitHub user or organisation.", service=SERVICE)
    return owner


def is_empty_repo(error: ServiceError) -> bool:
    """Whether GitHub says that nothing was ever pushed there."""
    return error.status == 409


def _content_path(repo: str, path: str) -> str:
    inner = [segment for segment in path.split("/") if segment not in ("", ".")]
    return path_of("repos", checked_repo(repo), "contents", *inner)


def _decoded(answer: ServiceAnswer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ServiceDown(f"GitHub's answer is not understood: {error}.", service=SERVICE, status=answer.status) from error
