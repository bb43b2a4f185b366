"""A click group whose first word is either a sub-command or the prompt: ``ml-intern doctor`` and ``ml-intern "train it"``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class LazyCommand(NamedTuple):
    """A sub-command that is imported when it is called; ``help`` stands in the list of commands until then."""

    target: str
    """``module:attribute``."""
    help: str

    def load(self) -> click.Command:
        """Import it."""
        module, _, attribute = self.target.partition(":")
        return cast("click.Command", getattr(import_module(module), attribute))


class PromptGroup(click.Group):
    """Options come before or after the prompt, but before a sub-command's name."""

    def __init__(self, *, lazy: Mapping[str, LazyCommand], run: Callable[[click.Context, str | None], Any], **attributes: Any) -> None:
        """``run`` gets the prompt, or None when there is neither prompt nor sub-command."""
        super().__init__(invoke_without_command=True, callback=click.pass_context(self._without_command), **attributes)
        self._lazy = lazy
        self._run = run
        self._prompt = click.Command("prompt", callback=self._with_prompt, params=[click.Argument(["words"], nargs=-1)])

    def _without_command(self, ctx: click.Context, /, **_options: Any) -> Any:
        return self._run(ctx, None) if ctx.invoked_subcommand is None else None

    def _with_prompt(self, words: tuple[str, ...]) -> Any:
        parent = click.get_current_context().parent
        assert parent is not None
        prompt, *more = words
        if more:
            raise click.UsageError("The prompt is several arguments: put it in quotes.", parent)
        self._refuse_mistyped_command(parent, prompt)
        return self._run(parent, prompt)

    def _refuse_mistyped_command(self, ctx: click.Context, word: str) -> None:
        """``ml-intern docter`` is no task to spend money on."""
        if ctx.params.get("print_mode") or not word.isalpha():
            return
        from difflib import get_close_matches

        if near := get_close_matches(word, self._lazy, n=1, cutoff=0.75):
            raise click.UsageError(f"There is no command '{word}'. Did you mean '{near[0]}'? To send it as a prompt: -p {word}", ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Behind a prompt, options are still ours; behind a sub-command's name they are the sub-command's."""
        options, rest, _ = self.make_parser(ctx).parse_args(list(args))
        is_command = bool(rest) and rest[0] in self._lazy and not options.get("print_mode")
        if not ctx.resilient_parsing:
            ctx.allow_interspersed_args = not is_command
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The sub-command, or the prompt as a hidden one."""
        if args[0] in self._lazy and not ctx.params.get("print_mode"):
            return super().resolve_command(ctx, args)
        return "prompt", self._prompt, ["--", *args]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the sub-command."""
        found = self._lazy.get(cmd_name)
        return found.load() if found else None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order that they were written."""
        return list(self._lazy)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of sub-commands, none of them imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in self._lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of sub-commands and options."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=command.help) for name, command in self._lazy.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]
