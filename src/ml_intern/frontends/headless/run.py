"""One headless run: submit the prompt, show what happens, answer for the absent user, end with an exit code."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ml_intern.errors import ConfigError, MlInternError
from ml_intern.frontends.headless.ending import Ending, Stop, TurnEnd, View, judge, way_on
from ml_intern.frontends.headless.options import PATIENCE, ExitCode, HeadlessOptions, Host, OpenHost, Patience
from ml_intern.frontends.headless.output import Console, OutputThread
from ml_intern.frontends.headless.signals import handled
from ml_intern.frontends.headless.unattended import NOBODY, answer_approval
from ml_intern.frontends.headless.waiting import Waiting
from ml_intern.frontends.jobs_left import jobs_left
from ml_intern.frontends.own_errors import is_anothers_error
from ml_intern.frontends.sanitize import one_line, plain
from ml_intern.protocol.events import (
    AnyEvent,
    ApprovalRequired,
    ConnectionChanged,
    ErrorRaised,
    Interrupted,
    Processing,
    QuestionAsked,
    TurnComplete,
    UserMessageAdded,
)
from ml_intern.protocol.operations import AnswerQuestion, AnyOperation, Interrupt, UserInput
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.message_length import too_long

if TYPE_CHECKING:
    from ml_intern.config.load import LoadedSettings
    from ml_intern.frontends.headless.json_answer import JsonAnswer, Unfit

MAX_REPAIRS = 2
"""Turns that may be spent on an answer that does not fit the output schema."""
TOO_LONG = "Nothing was sent. Save what is long to a file and name the file in the prompt, or choose a model with a larger window."
ENDED_EARLY = "The session stopped without ending its turn. What it did is in its log."


async def run_headless(
    open_host: OpenHost,
    loaded: LoadedSettings,
    options: HeadlessOptions,
    console: Console | None = None,
    patience: Patience = PATIENCE,
) -> int:
    """Run one task to its end. Returns the exit code (``ExitCode``); raises ``ConfigError`` or ``StoreError`` before it has begun."""
    console = console or Console.of_process()
    expected = _expected(options)
    host = await open_host(loaded=loaded, resume=options.resume, auto_approve=True, read_only=options.read_only)
    if problem := too_long(UserInput(text=options.prompt), window=host.context_window, used=host.state.context_tokens):
        await host.aclose()  # nobody is there to ask, and a part of the task is another task
        raise ConfigError(problem.words, hint=TOO_LONG)
    run = _Run(host, options, expected, console, patience)
    view = _view(run.out, console, loaded, options)
    with handled(run.on_signal):
        try:
            return await run.to_the_end(view)
        finally:
            await run.close(view)


def _expected(options: HeadlessOptions) -> JsonAnswer | None:
    if options.output_schema is None:
        return None
    from ml_intern.frontends.headless.json_answer import JsonAnswer

    return JsonAnswer(options.output_schema)


def _view(out: OutputThread, console: Console, loaded: LoadedSettings, options: HeadlessOptions) -> View:
    if options.json:
        from ml_intern.frontends.headless.json_lines import JsonLines

        return JsonLines(out)
    # Without a name a terminal is taken for one that understands no sequences, as curses does.
    if console.stdout_is_terminal and options.output_schema is None and (loaded.environ.get("TERM") or "dumb") != "dumb":
        from ml_intern.frontends.headless.region import LiveRegion
        from ml_intern.frontends.headless.terminal_output import TerminalOutput

        color = loaded.environ.get("NO_COLOR") is None
        return TerminalOutput(out, LiveRegion(out, console, color=color), color=color, verbose=options.verbose)
    from ml_intern.frontends.headless.plain_output import PlainOutput

    return PlainOutput(out, verbose=options.verbose)


class _Run:
    """The conversation of one run, and what may cut it short."""

    def __init__(self, host: Host, options: HeadlessOptions, expected: JsonAnswer | None, console: Console, patience: Patience) -> None:
        self._patience = patience
        self.out = OutputThread(console, self._output_gone)
        self._console = console
        self._host = host
        self._options = options
        self._expected = expected
        self._stop: Stop | None = None
        self._output_lost: Stop | None = None
        self._waiting = Waiting(options.wait_s, _ways(host, options), self._submit)
        self._refused = ""
        self._turn_open = False
        self._repairs = 0
        self._view: View | None = None
        self._handling = False
        self._handled = 0
        self._in_haste = False
        self._work: asyncio.Task[Any] | None = None
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []

    async def to_the_end(self, view: View) -> int:
        """The exit code. Signals and the time limit are obeyed from here on."""
        self._view = view
        self._work = conversation = asyncio.create_task(self._converse(view))
        if self._options.timeout_s is not None:
            words = f"stopped: the time limit of {self._options.timeout_s:g} s is over (--timeout)"
            self._later(self._options.timeout_s, lambda: self._request_stop(Stop(code=ExitCode.LIMIT, words=words)))
        watch = asyncio.create_task(self._watch(conversation))
        if self._options.resume is not None and not self._host.owner:
            view.notice(f"resumed session {short_id(self._host.session_id)}")
        try:
            await asyncio.wait({conversation})
            ending = self._ending(conversation)
            self._work = finishing = asyncio.create_task(self._finish(view, ending))
            await asyncio.wait({finishing})
            if not finishing.cancelled():
                finishing.result()
            return ending.code if self._output_lost is None else self._output_lost.code
        finally:
            for timer in self._timers:
                timer.cancel()
            await _cancelled(conversation, self._work, watch, *self._side_tasks)
            await self._waiting.aclose()

    async def _finish(self, view: View, ending: Ending) -> None:
        if self._in_haste:
            view.notice("\n".join(filter(None, (ending.words, ending.jobs, way_on(ending)))))
            return
        await view.finish(ending)
        await self.out.flush()  # an answer that nobody read was not given

    async def close(self, view: View) -> None:
        """Give everything back; when in haste, or when one more signal comes, only what can be given back quickly."""
        self._work = closing = asyncio.create_task(self._close(view))
        try:
            await asyncio.wait({closing}, timeout=self._patience.close_s if self._in_haste else None)
            if closing.done() and not closing.cancelled():
                closing.result()
        finally:
            await _cancelled(closing)
            self.out.close()

    async def _close(self, view: View) -> None:
        try:
            await self._host.aclose()
        finally:
            await view.aclose()
            for text in self._host.last_words:
                self.out.stderr(f"! {one_line(text)}\n")

    def _ending(self, conversation: asyncio.Task[Ending]) -> Ending:
        return self._broken(ENDED_EARLY) if conversation.cancelled() else conversation.result()

    # ── the conversation ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _converse(self, view: View) -> Ending:
        events = self._host.events(after_seq=self._host.state.last_seq if self._options.resume else 0)
        instruction = self._expected.instruction if self._expected is not None else ""
        try:
            await self._host.submit(UserInput(text=self._options.prompt + instruction))
            async for envelope in events:
                self._handling = True
                self._waiting.follow(envelope.event)
                if not self._left_to_others(view, envelope.event):
                    await view.show(envelope)
                if self.out.crowded:
                    await self.out.room()
                if isinstance(envelope.event, ConnectionChanged) and envelope.event.over:
                    break  # the process that had the session open
                if envelope.seq is not None and (ending := await self._react(envelope.event)):
                    return ending
                self._handled += 1
                self._handling = False
        except MlInternError as error:
            return self._broken(str(error))
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        return self._broken(ENDED_EARLY)

    async def _react(self, event: AnyEvent) -> Ending | None:
        await self._answer(event)
        end = self._end_of_turn(event)
        return None if end is None else await self._after_turn(end)

    async def _watch(self, conversation: asyncio.Task[Ending]) -> None:
        """A turn that died without a word must not leave us waiting for its end."""
        seen = -1
        while True:
            await asyncio.sleep(self._patience.watch_s)
            quiet = not self._host.busy and not self._handling and self._handled == seen
            if quiet:
                conversation.cancel()
            seen = self._handled if not self._host.busy else -1

    def _broken(self, trouble: str) -> Ending:
        if self._stop is not None:
            return self._ended(self._stop.code, self._stop.words)
        return self._ended(ExitCode.FAILED, "failed", trouble=trouble)

    def _end_of_turn(self, event: AnyEvent) -> TurnEnd | None:
        """The end of our turn; what a resume had to close from before is not."""
        match event:
            case UserMessageAdded() | Processing():
                self._turn_open = True
            case ErrorRaised() if event.ends_turn:
                return event
            case TurnComplete() | Interrupted() if self._turn_open:
                self._turn_open = False
                return event
            case _:
                pass
        return None

    def _left_to_others(self, view: View, event: AnyEvent) -> bool:
        """What somebody elsewhere may answer is told as that: whoever has the session that was joined, or whom the run waits for."""
        if not isinstance(event, ApprovalRequired | QuestionAsked):
            return not self._options.json and is_anothers_error(event, self._host.sender)
        if self._decided(event):
            return not self._options.json
        if self._host.owner:
            if not self._options.json:
                what = ", ".join(tool.tool for tool in event.tools) if isinstance(event, ApprovalRequired) else "a question"
                view.notice(plain(f"? {what} waits for an answer in {self._host.owner}"))
            return not self._options.json
        if not self._waits_for(event):
            return False
        view.waiting(plain(self._waiting.take(event)))
        return not self._options.json

    def _decided(self, event: ApprovalRequired | QuestionAsked) -> bool:
        """What an earlier process had asked about was set aside by our message: it waits for nobody."""
        return isinstance(event, ApprovalRequired) and not any(tool.tool_call_id in self._host.state.pending for tool in event.tools)

    def _waits_for(self, event: ApprovalRequired | QuestionAsked) -> bool:
        return self._options.wait_s > 0 and not (isinstance(event, ApprovalRequired) and event.usage_threshold)

    async def _answer(self, event: AnyEvent) -> None:
        if self._host.owner or not isinstance(event, ApprovalRequired | QuestionAsked) or self._waits_for(event) or self._decided(event):
            return
        match event:
            case ApprovalRequired():
                self._refused = self._refused or ("" if event.usage_threshold else NOBODY)
                await self._host.submit(answer_approval(event))
            case QuestionAsked():
                await self._host.submit(AnswerQuestion(question_id=event.question_id, reason="nobody"))

    async def _submit(self, operation: AnyOperation) -> None:
        with suppress(MlInternError):  # then the session is over
            await self._host.submit(operation)

    async def _after_turn(self, end: TurnEnd) -> Ending | None:
        """None when the model is asked once more, because its answer does not fit the schema."""
        code, words = judge(end, stop=self._stop, refused=self._waiting.refused or self._refused)
        answer = (end.final_response or "") if isinstance(end, TurnComplete) else ""
        trouble = ""
        if self._expected is not None:
            from ml_intern.frontends.headless.json_answer import Unfit

            reading = self._expected.read(answer)
            answer = "" if isinstance(reading, Unfit) else reading.text
            if isinstance(reading, Unfit) and code in (ExitCode.DONE, ExitCode.REFUSED):
                if await self._asked_again(self._expected, reading):
                    return None
                code, words = ExitCode.FAILED, "failed: the answer does not fit the output schema"
                if self._stop is not None:
                    code, words = self._stop.code, self._stop.words
                trouble = f"The answer does not fit the output schema:\n{reading.problem}"
        return self._ended(code, words, answer, trouble)

    def _ended(self, code: int, words: str, answer: str = "", trouble: str = "") -> Ending:
        session_id, resumable = self._host.session_id, self._options.resumable
        jobs = "" if self._host.owner else jobs_left(self._host.state, session_id, resumable=resumable)  # there they are looked after
        return Ending(code=code, words=words, answer=answer, trouble=trouble, session_id=session_id, resumable=resumable, jobs=jobs)

    async def _asked_again(self, expected: JsonAnswer, unfit: Unfit) -> bool:
        if self._stop is not None or self._repairs >= MAX_REPAIRS:
            return False
        self._repairs += 1
        if self._view is not None:
            tries = f"asking again, {self._repairs} of {MAX_REPAIRS}"
            self._view.rejected(f"↑ rejected: this does not fit the output schema ({tries})\n{unfit.problem}")
        await self._host.submit(UserInput(text=expected.repair(unfit)))
        return True

    # ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _output_gone(self, fd: int, error: OSError) -> None:
        if fd != self._console.stdout:
            return  # without standard output there is no point in going on; without standard error there is
        if error.errno == errno.EPIPE or self._console.stdout_is_terminal:
            self._output_lost = Stop(code=ExitCode.PIPE_CLOSED, words="stopped: nobody reads the output any more")
        else:
            self._output_lost = Stop(code=ExitCode.FAILED, words=f"failed: standard output cannot be written: {error.strerror}")
        self._request_stop(self._output_lost)

    def on_signal(self, number: signal.Signals) -> None:
        """The first interrupts the turn, the second ends the run."""
        if self._stop is not None:
            self._quit()
            return
        words = "interrupted" if number == signal.SIGINT else f"interrupted by {number.name}"
        self._request_stop(Stop(code=128 + number, words=words), patient=number == signal.SIGINT)

    def _request_stop(self, stop: Stop, *, patient: bool = False) -> None:
        """Interrupt the turn. ``patient``: somebody is there to press Ctrl-C again, so it may take its time."""
        if self._stop is not None:
            return
        self._stop = stop
        if self._view is not None:
            self._view.stopping(f"{stop.words} · stopping{' (Ctrl-C again quits at once)' if patient else ' …'}")
        self._spawn(self._interrupt())
        if not patient:
            self._later(self._patience.stop_s, self._quit)

    def _quit(self) -> None:
        self._in_haste = True
        if self._work is not None:
            self._work.cancel()

    async def _interrupt(self) -> None:
        await self._submit(Interrupt())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(delay_s, act))


def _ways(host: Host, options: HeadlessOptions) -> list[str]:
    """How to answer from elsewhere."""
    return [*([f"in {options.answered_in}"] if options.answered_in else []), f"with  ml-intern attach {short_id(host.session_id)}"]


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
