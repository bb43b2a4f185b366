"""Sends a session's trace to a dataset, and never harms what is there.

A trace only grows. So a file on the Hub is replaced when it is what we sent last, or the beginning of what we have; when it holds more
than we have, nothing is sent; when it is something else, ours goes to a file beside it. The commit names the state that was looked at:
if somebody was faster, all of it is looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ml_intern.errors import (
    AccessGated,
    ConfigError,
    MlInternError,
    NotFoundError,
    ServiceDown,
    ServiceError,
    ServiceLimited,
    ServiceRefused,
)
from ml_intern.gateways.hub.repos import Entry
from ml_intern.gateways.hub.traces import CONFLICTS, HubTraces, TraceFile, TraceRepo
from ml_intern.sinks.trace_progress import ProgressFiles, SentFile, TraceProgress
from ml_intern.sinks.trace_transcripts import Transcripts

ATTEMPTS = 3
"""Of one upload, while the Hub is out of reach; then it stays pending."""
BACKOFF_S = 1.0
LONGEST_WAIT_S = 30.0
RACES = 5
"""How often somebody else may commit before us."""
OTHER_NAMES = 100
HF_USER = "{hf_user}"
CARD = "README.md"
IN_VAIN = (ServiceRefused, NotFoundError, AccessGated, ConfigError)
"""Failures that last until somebody changes something; a missing token is not among them: it is only pending."""


def begins_with(newer: bytes, older: bytes) -> bool:
    """How a file that only grows holds everything of an older state of it."""
    return newer.startswith(older)


class Document(Struct, frozen=True, kw_only=True):
    """A trace in one format, up to event ``seq``. ``covers(newer, older)``: whether nothing is lost when one replaces the other."""

    format: str
    path: str
    seq: int
    data: bytes
    digests: tuple[str, str]
    covers: Callable[[bytes, bytes], bool] = begins_with


class Destination(Struct, frozen=True, kw_only=True):
    """A dataset. ``name`` tells our destinations apart; ``repo`` may hold ``{hf_user}``. ``public_ok``: it may be public.

    ``card`` is written where there is none; None: the dataset is somebody else's, and so is its card.
    """

    name: Literal["personal", "shared"]
    repo: str
    public_ok: Callable[[str], bool]
    card: Callable[[str], bytes] | None
    may_create: bool = True


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of an upload. ``sent``: something was committed. ``error`` empty: the Hub has everything up to ``seq``.

    ``final``: trying again is in vain; ``passing``: it was the network, and not worth a word.
    """

    repo_id: str
    seq: int
    sent: bool = False
    note: str = ""
    error: str = ""
    final: bool = False
    passing: bool = False


class _Planned(Struct, frozen=True, kw_only=True):
    """Where a document goes; ``write`` False: the Hub has it already."""

    document: Document
    path: str
    write: bool
    note: str = ""


async def dataset_id(template: str, hub: HubTraces) -> str:
    """With the account's name filled in. Raises ``ServiceError`` or ``ConfigError``."""
    repo_id = template.replace(HF_USER, await hub.account()) if HF_USER in template else template
    if repo_id.count("/") != 1 or not all(repo_id.split("/")) or "{" in repo_id:
        raise ConfigError(f"'{template}' names no dataset.", hint=f"Write <owner>/<name>; {HF_USER} stands for your name.")
    return repo_id


class TraceUploader:
    """Sends to one destination. ``sleep`` waits between attempts."""

    def __init__(
        self,
        hub: HubTraces,
        destination: Destination,
        progress: ProgressFiles,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.destination = destination
        self._hub = hub
        self._progress = progress
        self._now = now
        self._sleep = sleep

    def progress(self, session_id: str) -> TraceProgress:
        """How far this session got."""
        return self._progress.load(session_id, self.destination.name)

    def transcripts(self, session_id: str) -> Transcripts | None:
        """Those of sub-agents go to the user's own dataset alone."""
        return self._progress.transcripts(session_id) if self.destination.name == "personal" else None

    def wanted(self, session_id: str) -> bool:
        """Whether this session was ever to be sent."""
        return self._progress.known(session_id, self.destination.name)

    def begin(self, session_id: str) -> None:
        """From now on this session is to be sent: pending, even if this process dies before its first attempt. Raises ``StoreError``."""
        if not self.wanted(session_id):
            self._progress.save(session_id, self.destination.name, TraceProgress())

    async def send(self, session_id: str, documents: Sequence[Document], *, attempts: int = ATTEMPTS) -> Outcome:
        """Send what is new. Failures of the Hub are values; raises ``StoreError``, also when another process is at it."""
        with self._progress.locked(session_id, self.destination.name):
            before = self.progress(session_id)
            outcome, after = await self._try(before, documents, attempts)
            await asyncio.to_thread(self._progress.save, session_id, self.destination.name, after)
            return outcome

    async def _try(self, before: TraceProgress, documents: Sequence[Document], attempts: int) -> tuple[Outcome, TraceProgress]:
        repo_id, tried = before.repo_id, 0
        while True:
            tried += 1
            try:
                repo_id = await dataset_id(self.destination.repo, self._hub)
                return await self._send(repo_id, before, documents)
            except (ServiceDown, ServiceLimited) as error:
                if tried >= attempts:
                    return self._failed(repo_id, before, error)
                told = error.retry_after_s if isinstance(error, ServiceLimited) else None
                await self._sleep(min(told if told is not None else BACKOFF_S * 2 ** (tried - 1), LONGEST_WAIT_S))
            except (ServiceError, ConfigError) as error:
                return self._failed(repo_id, before, error)

    def _failed(self, repo_id: str, before: TraceProgress, error: MlInternError) -> tuple[Outcome, TraceProgress]:
        """What was sent before stays sent; what is new stays unsent."""
        final, passing = isinstance(error, IN_VAIN), isinstance(error, ServiceDown | ServiceLimited)
        after = replace(before, error=str(error), final=final, attempts=before.attempts + 1, tried_at=self._now())
        return Outcome(repo_id=repo_id, seq=before.sent_seq, error=str(error), final=final, passing=passing), after

    async def _send(self, repo_id: str, before: TraceProgress, documents: Sequence[Document]) -> tuple[Outcome, TraceProgress]:
        known = before.files if before.repo_id == repo_id else {}
        if all(_is_known(document, known.get(document.format)) for document in documents):
            plans = [_Planned(document=document, path=known[document.format].path, write=False) for document in documents]
            outcome, after = self._done(repo_id, before, known, plans)
            return outcome, replace(after, note=before.note)
        for _ in range(RACES):
            repo = await self._repo(repo_id)
            paths = [known[one.format].path if one.format in known else one.path for one in documents]
            there = await self._hub.entries(repo, list(dict.fromkeys((CARD, *paths, *(one.path for one in documents)))))
            plans = [await self._plan(repo, document, known.get(document.format), there) for document in documents]
            files = [TraceFile(path=plan.path, data=plan.document.data) for plan in plans if plan.write]
            if files and self.destination.card is not None and CARD not in there:  # one that is there may be the user's own
                files.append(TraceFile(path=CARD, data=self.destination.card(repo.repo_id)))
            try:
                if files:
                    await self._hub.commit(repo, files, _message(documents))
            except ServiceRefused as error:
                if error.status in CONFLICTS:
                    continue
                raise
            return self._done(repo_id, before, known, plans)
        raise ServiceDown(f"Others commit to {repo_id} all the time.", hint="It may work later.")

    def _done(
        self, repo_id: str, before: TraceProgress, known: dict[str, SentFile], plans: Sequence[_Planned]
    ) -> tuple[Outcome, TraceProgress]:
        note = " ".join(plan.note for plan in plans if plan.note)
        after = TraceProgress(
            repo_id=repo_id,
            files={**known, **{plan.document.format: _sent(plan) for plan in plans}},
            tried_at=self._now(),
            note=note,
        )
        return Outcome(repo_id=repo_id, seq=after.sent_seq, sent=any(plan.write for plan in plans), note=note), after

    async def _repo(self, repo_id: str) -> TraceRepo:
        repo = await self._hub.find(repo_id)
        if repo is None:
            if not self.destination.may_create:
                raise ServiceRefused(f"There is no dataset {repo_id} that this token may see.", hint="Check session_dataset_repo.")
            repo = await self._hub.create(repo_id)
        if not repo.private and not self.destination.public_ok(repo_id):
            raise ServiceRefused(
                f"The dataset {repo_id} is public, and you have not said that traces may go there: nothing was sent.",
                hint="Make it private with `ml-intern traces visibility private`, or confirm it with `ml-intern traces visibility public`.",
            )
        return repo

    async def _plan(self, repo: TraceRepo, document: Document, known: SentFile | None, there: dict[str, Entry]) -> _Planned:
        """Beside what is not ours, never over it."""
        first = known.path if known is not None and known.path in there else document.path  # it may have been deleted meanwhile
        for number in range(1, OTHER_NAMES):
            path = first if number == 1 else _numbered(document.path, number)
            note = "" if path == document.path else f"{document.path} on the Hub holds something else; this trace goes to {path}."
            entry = (there if number == 1 else await self._hub.entries(repo, [path])).get(path)
            if entry is None:
                return _Planned(document=document, path=path, write=True, note=note)
            if entry.digest in document.digests:
                return _Planned(document=document, path=path, write=False, note=note)
            if known is not None and path == known.path and entry.digest in known.digests:
                return _Planned(document=document, path=path, write=True, note=note)
            theirs = await self._hub.read(repo, path)
            if document.covers(document.data, theirs):
                return _Planned(document=document, path=path, write=True, note=note)
            if document.covers(theirs, document.data):
                longer = f"{path} on the Hub goes on where this machine ends; it was left as it is."
                return _Planned(document=document, path=path, write=False, note=longer)
        raise ServiceRefused(f"There are {OTHER_NAMES} files named like {document.path} in {repo.repo_id}.")


def _numbered(path: str, number: int) -> str:
    stem, dot, suffix = path.rpartition(".")
    return f"{stem}-{number}{dot}{suffix}"


def _is_known(document: Document, known: SentFile | None) -> bool:
    """Whether only bookkeeping was added since."""
    return known is not None and known.digests == document.digests


def _sent(plan: _Planned) -> SentFile:
    document = plan.document
    return SentFile(
        path=plan.path,
        seq=document.seq,
        lines=document.data.count(b"\n"),
        size_bytes=len(document.data),
        digests=document.digests,
    )


def _message(documents: Sequence[Document]) -> str:
    return f"Session trace up to event {max(document.seq for document in documents)}"
