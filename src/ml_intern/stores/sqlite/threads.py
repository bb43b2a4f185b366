"""Two threads with a connection each: one writes, one reads, and the event loop waits for neither.

The writer commits whatever has gathered while it was busy in one transaction (group commit): an append returns when the
transaction that holds it is on its way to the disk.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ml_intern.errors import StoreError

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")
MAX_BATCH = 256

_log = logging.getLogger(__name__)


class Chore(Protocol):
    """Work that the writer does by itself."""

    def due_in_s(self) -> float | None:
        """Seconds to wait for other work before this is done; None when there is nothing to do."""
        ...

    def do(self, connection: Connection) -> None:
        """Called inside a transaction."""
        ...


class Job(Generic[T]):
    """Work for a thread, and the future that somebody awaits. Whatever it raises is raised there."""

    __slots__ = ("_future", "_loop", "_result", "_work", "error")

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[T] = self._loop.create_future()
        self._result: T | None = None
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        self.error = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        self.error = error
        return True  # not swallowed: carried over to the thread that awaits

    def run(self, connection: Connection) -> None:
        with self:
            self._result = self._work(connection)

    def answer(self) -> None:
        """Wake whoever awaits. A loop that is closed by now has nobody left."""
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:
            _log.debug("the event loop was closed before the store answered")

    def _settle(self) -> None:
        if self._future.done():
            return  # cancelled
        if self.error is not None:
            self._future.set_exception(self.error)
        else:
            self._future.set_result(self._result)  # pyright: ignore[reportArgumentType]  # it ran: a T

    async def wait(self) -> T:
        return await self._future


class ConnectionThread(ABC):
    """A thread that owns a connection and does jobs in order. It starts, and opens the file, with the first one."""

    def __init__(self, path: Path, connect: Callable[[], Connection]) -> None:
        self._path = path
        self._connect = connect
        self._connection: Connection | None = None
        self._queue: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._farewell: Job[None] | None = None

    def start(self) -> None:
        """Begin to open the file; nobody waits for it."""
        with self._lock:
            if self._thread is None:
                # a daemon, so that a program that forgot to close the store can still end: what was answered is committed
                self._thread = threading.Thread(target=self._main, name=type(self).__name__, daemon=True)
                self._thread.start()

    async def run(self, work: Callable[[Connection], T]) -> T:
        """The result of ``work``, done in the thread. A cancelled caller no longer waits, but the work may still be done."""
        if self._closed:
            raise StoreError("The session store is closed.")
        job = Job(work)
        self.start()
        self._queue.put(job)
        return await job.wait()

    async def aclose(self) -> None:
        """Finish what is queued, then close the connection. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._farewell = farewell = Job(lambda _: None)
            self._queue.put(None)
            await farewell.wait()
            self._thread.join()

    def _main(self) -> None:
        try:
            self._serve()
        finally:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
            self._refuse_the_rest()
            if self._farewell is not None:
                self._farewell.answer()

    def _serve(self) -> None:
        running = True
        while running:
            batch, running = self._take()
            self._work_off(batch)

    def _refuse_the_rest(self) -> None:
        """Nobody must wait for a thread that has ended."""
        while not self._queue.empty():
            if job := self._queue.get():
                job.error = StoreError("The session store is closed.")
                job.answer()

    def _take(self) -> tuple[list[Job[Any]], bool]:
        """The jobs that wait, at least one, and whether to go on after them."""
        return self._gather(self._queue.get())

    def _gather(self, first: Job[Any] | None) -> tuple[list[Job[Any]], bool]:
        batch: list[Job[Any]] = []
        job = first
        while job is not None:
            batch.append(job)
            if len(batch) >= MAX_BATCH or self._queue.empty():
                return batch, True
            job = self._queue.get()
        return batch, False

    def _work_off(self, batch: list[Job[Any]]) -> None:
        if not batch:
            return
        try:
            connection = self._open()
        except StoreError as error:
            for job in batch:
                job.error = error
        else:
            self._execute(connection, batch)
        for job in batch:
            job.answer()

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    @abstractmethod
    def _execute(self, connection: Connection, batch: list[Job[Any]]) -> None:
        """Carry out the batch; each job keeps its own result or error."""

    def _translate(self, batch: list[Job[Any]]) -> None:
        from ml_intern.stores.sqlite.connection import as_store_error

        for job in batch:
            if job.error is not None:
                job.error = as_store_error(job.error, self._path)


class Reader(ConnectionThread):
    """Does each job by itself."""

    def _execute(self, connection: Connection, batch: list[Job[Any]]) -> None:
        for job in batch:
            job.run(connection)
        self._translate(batch)


class Writer(ConnectionThread):
    """Does the jobs of a batch in one transaction; one that fails takes nothing with it."""

    def __init__(self, path: Path, connect: Callable[[], Connection], chores: Sequence[Chore]) -> None:
        super().__init__(path, connect)
        self._chores = chores

    def _serve(self) -> None:
        try:
            self._open()  # before the first job, so that ``start`` is worth calling early
        except StoreError as error:
            _log.debug("opening will be tried again with the first job: %s", error)
        super()._serve()

    def _take(self) -> tuple[list[Job[Any]], bool]:
        while True:
            waits = [wait for chore in self._chores if (wait := chore.due_in_s()) is not None]
            if not waits:
                return self._gather(self._queue.get())
            timeout_s = max(0.0, min(waits))
            try:
                return self._gather(self._queue.get(timeout=timeout_s) if timeout_s else self._queue.get_nowait())
            except queue.Empty:
                self._do_chores(timeout_s)

    def _do_chores(self, waited_s: float) -> None:
        connection = self._open()
        for chore in self._chores:
            wait = chore.due_in_s()
            if wait is None or wait > waited_s:
                continue
            try:
                connection.execute("BEGIN IMMEDIATE")
                chore.do(connection)
                connection.execute("COMMIT")
            except connection.Error as error:
                _log.warning("%s: %s; it will be tried again", type(chore).__name__, error)
                self._roll_back(connection)
                time.sleep(0.1)  # this thread has nothing else to do, and must not spin on a locked file

    def _execute(self, connection: Connection, batch: list[Job[Any]]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._execute_one(connection, job)
            connection.execute("COMMIT")
        except connection.Error as error:
            self._roll_back(connection)
            for job in batch:
                job.error = job.error or error
        self._translate(batch)

    def _execute_one(self, connection: Connection, job: Job[Any]) -> None:
        connection.execute("SAVEPOINT job")
        job.run(connection)
        if job.error is not None:
            if not connection.in_transaction:  # a full disk or a damaged page ends the whole transaction
                raise connection.OperationalError("the transaction was rolled back") from job.error
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def _roll_back(self, connection: Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
