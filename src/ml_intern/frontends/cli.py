"""The command line: flags → settings → a run. Only click is imported here; the rest when it is known to be needed."""

from __future__ import annotations

import os
import sys
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from ml_intern.frontends.durations import parse_duration, parse_wait
from ml_intern.frontends.invocation import Invocation
from ml_intern.frontends.lost_output import is_output_lost, output_lost
from ml_intern.frontends.prompt_group import LazyCommand, PromptGroup

if TYPE_CHECKING:
    from ml_intern.config.load import LoadedSettings
    from ml_intern.errors import MlInternError
    from ml_intern.frontends.tui.backend import OpenBackend

FAILED, USAGE, INTERRUPTED = 1, 2, 130

COMMANDS = {
    "sessions": LazyCommand(
        "ml_intern.frontends.commands.sessions:sessions_group", "List, show, search, export, rename or delete past sessions."
    ),
    "attach": LazyCommand("ml_intern.frontends.commands.attach:attach_command", "Join a session that another process has open."),
    "config": LazyCommand("ml_intern.frontends.commands.config:config_group", "Show each setting and where it comes from."),
    "setup": LazyCommand("ml_intern.frontends.commands.setup:setup_command", "Ask for what is missing: a token, and about sharing traces."),
    "doctor": LazyCommand("ml_intern.frontends.commands.doctor:doctor_command", "Check the set-up and say what to fix."),
    "mcp": LazyCommand("ml_intern.frontends.commands.mcp:mcp_group", "List, add, remove or test MCP servers, or sign in to one."),
    "hooks": LazyCommand("ml_intern.frontends.commands.hooks:hooks_group", "Show your hooks, or try them out."),
    "trust": LazyCommand("ml_intern.frontends.commands.trust:trust_command", "Let the hooks and rules of this folder's project count."),
    "traces": LazyCommand("ml_intern.frontends.commands.traces:traces_group", "Share sessions as traces on the Hub, or export one."),
    "cleanup": LazyCommand("ml_intern.frontends.commands.cleanup:cleanup_command", "Find and delete sandboxes that sessions left behind."),
    "demo": LazyCommand("ml_intern.frontends.demo:demo_command", "Watch a scripted model do a small ML task. Needs no key."),
    "completion": LazyCommand("ml_intern.frontends.commands.completion:completion_command", "Print a shell's completion script."),
}

EXIT_CODES = """\b
Exit codes: 0 done · 1 failed · 2 wrong usage or configuration · 3 stopped at
a limit (steps, cost, time) · 4 something needed an approval that nobody gave
· 129 terminal closed · 130 interrupted · 141 nobody reads the output any
more · 143 ended by SIGTERM."""

HELP = """An autonomous ML engineer for the terminal.

\b
  ml-intern "Fine-tune a small model on data.csv and report its accuracy"
  git diff | ml-intern "Review this"
  ml-intern --continue "Now try a larger batch"
"""

NO_TERMINAL = """\
The app needs a terminal to draw on. Without one, give a task, such as  ml-intern "Describe data.csv"
ml-intern demo  shows a run without a key;  ml-intern --help  lists the rest."""

BEFORE_TEXTUAL = {"TEXTUAL_FPS": "120"}
"""How often Textual looks whether something is to be drawn: at its 60 a second, a key waits longer for that than for all else."""

CHOOSE = "?"
"""What ``--resume`` holds when no session was named; no id begins so."""

WIDEST_HELP = 110
EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max", "off")


def _complete_session(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    from ml_intern.frontends.session_names import complete_session

    return complete_session(_ctx, _param, incomplete)


def _dollars(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    """``nan`` and ``inf`` are numbers to click, and no amounts."""
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"'{value}' is no amount of dollars: write a number such as 2.50, or leave it out for no cap.")
    return value


OPTIONS: list[click.Parameter] = [
    click.Option(["-p", "--print", "print_mode"], is_flag=True, help="Take the argument as the prompt, even if it is a command's name."),
    click.Option(["-m", "--model"], metavar="ID", help="The model: <org>/<model>[:<tag>], anthropic/…, openai/…, ollama/…, <profile>/…"),
    click.Option(["--effort"], type=click.Choice(EFFORTS), help="How hard the model is asked to think."),
    click.Option(["--max-iterations"], type=int, metavar="N", help="Steps of one turn (300); -1: no limit."),
    click.Option(["--max-cost"], type=click.FloatRange(min=0), callback=_dollars, metavar="USD", help="Dollars the session may spend."),
    click.Option(["--timeout"], callback=parse_duration, metavar="TIME", help="Stop after this time, such as 90s, 5m or 1h30m."),
    click.Option(
        ["--wait-for-approval"],
        callback=parse_wait,
        metavar="TIME",
        help="Wait so long for an approval from Slack or `ml-intern attach`; 0: refuse at once.",
    ),
    click.Option(["-c", "--continue", "continue_last"], is_flag=True, help="Go on with the last session of this folder."),
    click.Option(
        ["--resume"],
        is_flag=False,
        flag_value=CHOOSE,
        metavar="[ID]",
        shell_complete=_complete_session,
        help="Go on with this session (id, its beginning, or index); without one, the app shows a list to choose from.",
    ),
    click.Option(["--json"], is_flag=True, help="Print every event as a line of JSON, and nothing else."),
    click.Option(
        ["--output-schema"],
        type=click.Path(exists=True, dir_okay=False, allow_dash=False),
        metavar="FILE",
        help="A JSON Schema; the answer will be JSON that fits it.",
    ),
    click.Option(["--no-stream"], is_flag=True, help="Ask for whole replies."),
    click.Option(["--cwd"], type=click.Path(exists=True, file_okay=False), metavar="DIR", help="Work in this folder."),
    click.Option(["--read-only"], is_flag=True, help="Only look: refuse whatever changes or starts anything."),
    click.Option(["--no-sandbox"], is_flag=True, help="Run local commands without the operating system's sandbox."),
    click.Option(["--sandbox-tools"], is_flag=True, help="Work in a Hugging Face sandbox instead of on this machine."),
    click.Option(["-v", "--verbose"], is_flag=True, help="Show warnings and tracebacks."),
]


def _run(ctx: click.Context, prompt: str | None) -> int:
    """A headless run. Flags and settings are looked at before standard input is, and all of it before anything costs money."""
    invocation = Invocation.of(ctx)
    given = ctx.params
    _check_resume(ctx, prompt)

    schema = _output_schema(given["output_schema"]) if given["output_schema"] else None
    loaded = _after_first_run(invocation, invocation.load(), may_ask=not given["json"])
    text = _task(prompt)
    if text is None:
        if given["json"] or given["output_schema"] or not sys.stdout.isatty():
            click.echo(NO_TERMINAL, err=True)
            return USAGE
        if given["resume"] == CHOOSE:
            return _terminal_app(invocation, loaded, resume=None, first="/resume")
        return _terminal_app(invocation, loaded, resume="last" if given["continue_last"] else given["resume"])
    import asyncio

    from ml_intern.frontends.headless.options import HeadlessOptions
    from ml_intern.frontends.headless.run import run_headless
    from ml_intern.frontends.logs import set_up_logging
    from ml_intern.session.approval_wait import answers_elsewhere, approval_wait_s

    set_up_logging(loaded.environ, verbose=given["verbose"])
    options = HeadlessOptions(
        prompt=text,
        json=given["json"],
        timeout_s=given["timeout"],
        output_schema=schema,
        resume="last" if given["continue_last"] else given["resume"],
        read_only=loaded.settings.read_only,
        verbose=given["verbose"],
        wait_s=approval_wait_s(loaded.settings),
        answered_in="Slack" if answers_elsewhere(loaded.settings) else "",
    )
    return asyncio.run(run_headless(invocation.open_session, loaded, options))


def _check_resume(ctx: click.Context, prompt: str | None) -> None:
    """What stands behind ``--resume`` is a session, or nothing where somebody can choose one."""
    given = ctx.params
    named: str | None = given["resume"]
    if named is not None and given["continue_last"]:
        raise click.UsageError("--resume and --continue exclude each other.", ctx)
    if named is not None and " " in named.strip():
        told = (
            f"--resume was given '{named}', which no session is called: the ID comes first, then the task.  ml-intern sessions  lists them."
        )
        raise click.UsageError(told, ctx)
    headless = prompt is not None or given["json"] or given["output_schema"]
    if named == CHOOSE and (headless or not (sys.stdin.isatty() and sys.stdout.isatty())):
        raise click.UsageError("--resume without an ID needs the app, which shows a list.  ml-intern sessions  lists the IDs.", ctx)


def _after_first_run(invocation: Invocation, loaded: LoadedSettings, *, may_ask: bool) -> LoadedSettings:
    """The settings; where no model can be used yet and somebody is there to ask, what they said has changed them."""
    if not (may_ask and sys.stdin.isatty() and sys.stderr.isatty()):
        return loaded
    from ml_intern.frontends.first_run.due import is_due

    if not is_due(loaded):
        return loaded
    from ml_intern.frontends.first_run.plain import TerminalTalk, set_up

    set_up(loaded, TerminalTalk())
    return invocation.load(warn=False)


def _terminal_app(invocation: Invocation, loaded: LoadedSettings, *, resume: str | None, first: str = "") -> int:
    from ml_intern.config.load import set_unset_variables
    from ml_intern.frontends.logs import set_up_logging

    set_unset_variables(BEFORE_TEXTUAL)
    from ml_intern.frontends.tui.start import run_app

    set_up_logging(loaded.environ, verbose=False)  # the screen belongs to the app
    return run_app(invocation.open_session, loaded, resume=resume, first=first)


def _task(prompt: str | None) -> str | None:
    from ml_intern.frontends.task_text import NoTask, task_text

    try:
        return task_text(prompt if prompt is None else _as_text(prompt))
    except NoTask:
        return None


def _as_text(argument: str) -> str:
    """Bytes of an argument that are no UTF-8 arrive as lone surrogates, which nothing behind this can encode."""
    text = argument.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")
    if text != argument:
        click.echo("warning: The prompt is not valid UTF-8; what could not be read in it is sent as \ufffd.", err=True)
    return text


def _output_schema(path: str) -> dict[str, Any]:
    from pathlib import Path

    from ml_intern.config.json_values import read_object

    return dict(read_object(Path(path)))


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from ml_intern.config.version import __version__

        click.echo(f"ml-intern {__version__}")
        ctx.exit()


class OutputClosed(Exception):
    """A broken pipe under a name that click does not know: it would end the process with 1."""

    def __init__(self, error: BrokenPipeError) -> None:
        super().__init__(str(error))
        self.error = error


class Cli(PromptGroup):
    """The root command."""

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> click.Context:
        """Parsing prints the help and the version."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError as error:
            raise OutputClosed(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise OutputClosed(error) from error

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the flags where sub-commands find them."""
        rest = super().parse_args(ctx, args)
        if (invocation := ctx.find_object(Invocation)) is not None:
            invocation.options = ctx.params
        return rest


def command_line() -> Cli:
    """The root command, built anew."""
    version = click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
    )
    return Cli(
        name="ml-intern",
        lazy=COMMANDS,
        run=_run,
        params=[*OPTIONS, version],
        help=HELP,
        epilog=EXIT_CODES,
        subcommand_metavar='["PROMPT" | COMMAND …]',
        context_settings={"help_option_names": ["-h", "--help"], "terminal_width": _terminal_width()},
    )


def _terminal_width() -> int:
    """click would ask shutil, whose import alone costs a tenth of ``--help``."""
    try:
        return max(40, min(os.get_terminal_size(1).columns, WIDEST_HELP))
    except OSError:
        return 80


def main(arguments: list[str], open_session: OpenBackend) -> int:
    """Run the command line and return the exit code. The last boundary: nothing leaves it but a sentence."""
    verbose = "-v" in arguments or "--verbose" in arguments
    try:
        code = _call(arguments, open_session)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort as aborted:
        return _aborted(aborted)
    except click.ClickException as error:
        return _usage_error(error)
    except OutputClosed as closed:
        return output_lost(closed.error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last boundary
        return _unexpected(error, verbose=verbose)
    return code


def _call(arguments: list[str], open_session: OpenBackend) -> int:
    result = command_line().main(arguments, prog_name="ml-intern", standalone_mode=False, obj=Invocation(open_session))
    return result if isinstance(result, int) else 0


def _aborted(aborted: click.Abort) -> int:
    """click says this for Ctrl-C and for an end of input where it asked a question."""
    if isinstance(aborted.__cause__, EOFError):
        _say("A question had nobody to answer it: standard input is at its end.")
        return FAILED
    return INTERRUPTED


def _usage_error(error: click.ClickException) -> int:
    _say(error.format_message())
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "ml-intern"
        click.echo(f"Try '{command} --help'.", err=True)
    return error.exit_code


def _unexpected(error: Exception, *, verbose: bool) -> int:
    from ml_intern.errors import MlInternError

    if isinstance(error, MlInternError):
        return _expected(error, verbose=verbose)
    if isinstance(error, OSError) and is_output_lost(error):
        return output_lost(error)
    from ml_intern.config.environ import Environ
    from ml_intern.config.load import process_environ
    from ml_intern.frontends.logs import keep_traceback

    path = keep_traceback(error, Environ(process_environ()))
    _say(f"{type(error).__name__}: {error}")
    if path is None or verbose:
        _print_traceback(error)
    click.echo(f"This is a bug in ml-intern. Please report it{f' with the traceback in {path}' if path else ''}.", err=True)
    return FAILED


def _expected(error: MlInternError, *, verbose: bool) -> int:
    from ml_intern.errors import ConfigError, SessionNotFound

    _say(str(error))
    if verbose:
        _print_traceback(error)
    return USAGE if isinstance(error, ConfigError | SessionNotFound) else FAILED


def _print_traceback(error: Exception) -> None:
    import traceback

    traceback.print_exception(error)


def _say(message: str) -> None:
    from ml_intern.frontends.sanitize import plain

    click.secho("ml-intern: ", fg="red", nl=False, err=True)
    click.echo(plain(message), err=True)
