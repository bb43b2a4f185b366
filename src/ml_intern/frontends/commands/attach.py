"""``ml-intern attach``: join a session that another process has open. Settings are not read: the session has its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from ml_intern.config.environ import Environ
from ml_intern.config.load import process_environ
from ml_intern.config.paths import Paths, paths_from
from ml_intern.errors import SessionNotFound
from ml_intern.frontends.commands.sessions import open_store
from ml_intern.frontends.headless.output import Console, OutputThread
from ml_intern.frontends.sanitize import plain
from ml_intern.frontends.session_names import complete_session
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.control import FOLDER, Welcome

if TYPE_CHECKING:
    from ml_intern.frontends.headless.text import Line
    from ml_intern.session.remote import RemoteHost


@click.command("attach")
@click.argument("name", metavar="[ID]", required=False, shell_complete=complete_session)
@click.option("--all", "everything", is_flag=True, help="Show the session from its beginning, not from its last turn.")
@click.option("--json", "json_", is_flag=True, help="Print every event as a line of JSON; send nothing.")
@click.option("--read-only", is_flag=True, help="Only watch: send nothing, answer nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Show more of what tools answered.")
def attach_command(name: str | None, everything: bool, json_: bool, read_only: bool, verbose: bool) -> int:
    """Join a session that another process has open: watch it live, send it messages, answer its questions.

    Without an ID: the one of this folder, or the only one there is. A line that you type is its next message, Esc interrupts its
    turn, Ctrl-C leaves; the session goes on.

    \b
    Exit codes: 0 the session was closed, or you left · 1 its process died, or
    it cannot be joined · 2 there is no such open session, or several
    """
    return asyncio.run(_attach(name, everything=everything, json_=json_, read_only=read_only, verbose=verbose))


async def _attach(name: str | None, *, everything: bool, json_: bool, read_only: bool, verbose: bool) -> int:
    from ml_intern.session.remote import RemoteHost
    from ml_intern.session.remote_wire import open_sessions

    paths = paths_from(Environ(process_environ()))
    folder = paths.state_dir / FOLDER
    session_id = await which(name, await open_sessions(folder), os.getcwd(), paths)
    async with await RemoteHost.attach(folder, session_id) as host:
        start = 0 if everything or not host.state.turn_seqs else host.state.turn_seqs[-1] - 1
        if json_:
            return await _as_json(host, start)
        if read_only or not sys.stdin.isatty():
            return await _as_lines(host, start, verbose=verbose, answers=False)
        console = Console.of_process()
        if console.stdout_is_terminal and (process_environ().get("TERM") or "dumb") != "dumb":
            return await _on_a_screen(host, start, console, verbose=verbose)
        return await _as_lines(host, start, verbose=verbose, answers=True)


async def which(name: str | None, live: Sequence[Welcome], cwd: str, paths: Paths) -> str:
    """The id of the session that is meant. Raises ``SessionNotFound`` that lists what there is."""
    if name is None:
        here = [one for one in live if one.cwd == cwd]
        if len(here) == 1 or len(live) == 1:
            return (here or live)[0].session
        if not live:
            raise SessionNotFound("No session is open in any process.", hint="Go on with one: ml-intern --continue, or --resume ID.")
        raise SessionNotFound("Several sessions are open; name one:\n" + "\n".join(map(_about, live)))
    if len(named := [one.session for one in live if one.session.startswith(name)]) == 1:
        return named[0]
    store = open_store(paths.sessions_db, paths.spill_dir)
    try:
        record = await store.find(name)
    finally:
        await store.aclose()
    if record.id not in {one.session for one in live}:
        short = short_id(record.id)
        raise SessionNotFound(f"Session {short} is not open in any process.", hint=f"Go on with it: ml-intern --resume {short}")
    return record.id


def _about(one: Welcome) -> str:
    return plain(f"  {short_id(one.session)}  {one.cwd}  {one.owner}  {' '.join(one.title.split())}")


async def _as_json(host: RemoteHost, start: int) -> int:
    from ml_intern.frontends.attach.follow import DONE, FAILED
    from ml_intern.frontends.headless.signals import handled
    from ml_intern.protocol.codec import encode

    output = _Output(host)
    left_by: list[signal.Signals] = []

    def leave(number: signal.Signals) -> None:
        left_by.append(number)
        output.leave()

    with handled(leave):
        async for envelope in host.events(after_seq=start):
            output.thread.stdout_bytes(encode(envelope) + b"\n")
            await output.thread.room()
    await output.close()
    if left_by and left_by[0] != signal.SIGINT:
        return 128 + left_by[0]
    return FAILED if host.ended is not None and host.ended.state == "gone" else DONE


async def _as_lines(host: RemoteHost, start: int, *, verbose: bool, answers: bool) -> int:
    from ml_intern.frontends.attach.follow import Follower
    from ml_intern.frontends.attach.keyboard import lines_from
    from ml_intern.frontends.attach.views import LineView
    from ml_intern.frontends.headless.signals import handled
    from ml_intern.frontends.session_view import painted

    output = _Output(host)
    view = LineView(output.thread.stdout, lambda rows: painted(rows, color=output.color), verbose=verbose)
    follower = Follower(host, view, answers=answers)
    view.say(_beginning(host, start))
    keyboard = lines_from(sys.stdin.fileno(), follower.typed, follower.leave) if answers else nullcontext()
    with handled(follower.on_signal), keyboard:
        code = await follower.run(after_seq=start)
    await view.aclose()
    await output.close()
    return code


async def _on_a_screen(host: RemoteHost, start: int, console: Console, *, verbose: bool) -> int:
    from ml_intern.frontends.attach.follow import Follower
    from ml_intern.frontends.attach.keyboard import PASTES_OFF, PASTES_ON, STOP_KEY, Editor, SingleKeys, bytes_from
    from ml_intern.frontends.attach.stopping import stoppable
    from ml_intern.frontends.attach.views import ScreenView
    from ml_intern.frontends.headless.signals import handled

    output = _Output(host)
    single = SingleKeys(fd := sys.stdin.fileno())
    follower: Follower
    editor: Editor
    view = ScreenView(
        output.thread,
        console,
        color=output.color,
        verbose=verbose,
        typed=lambda: (editor.text, editor.place),
        hint=lambda: follower.hint,
    )
    follower = Follower(host, view, answers=True)
    editor = Editor(follower)

    def keys(data: bytes) -> None:
        editor.feed(data.replace(STOP_KEY, b""))
        view.redraw()
        if STOP_KEY in data:
            stop()

    async def step_aside() -> None:
        view.step_aside()
        output.thread.stdout(PASTES_OFF)
        await output.thread.flush()
        single.give_back()

    def come_back() -> None:
        single.take()
        output.thread.stdout(PASTES_ON)
        view.come_back()

    output.thread.stdout(PASTES_ON)
    view.say(_beginning(host, start))
    try:
        with single, handled(follower.on_signal), stoppable(step_aside, come_back) as stop, bytes_from(fd, keys, follower.leave):
            code = await follower.run(after_seq=start)
    finally:
        editor.close()
        output.thread.stdout(PASTES_OFF)
        await view.aclose()
        await output.close()
    return code


def _beginning(host: RemoteHost, start: int) -> list[Line]:
    """What is left out."""
    short = short_id(host.session_id)
    words = f"· the last turn; what was before it: ml-intern sessions show {short}, or attach --all"
    return [(("dim", words),)] if start else []


class _Output:
    """Standard output, written by a thread of its own. Nobody reads it any more: the session is left."""

    def __init__(self, host: RemoteHost) -> None:
        self._host = host
        self._leaving: asyncio.Task[None] | None = None
        console = Console.of_process()
        self.color = console.stdout_is_terminal and not process_environ().get("NO_COLOR")
        self.thread = OutputThread(console, self._gone)

    def _gone(self, fd: int, error: OSError) -> None:
        self.leave()

    async def close(self) -> None:
        await self.thread.flush()
        self.thread.close()

    def leave(self) -> None:
        """The session, that is."""
        self._leaving = asyncio.ensure_future(self._host.aclose())
