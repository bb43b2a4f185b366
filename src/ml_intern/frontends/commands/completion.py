"""``ml-intern completion bash|zsh|fish``: the script that makes the shell complete our commands, flags and session ids."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ml_intern.errors import ConfigError

_USE = """\
How to use it:

\b
  bash  eval "$(ml-intern completion bash)"         in ~/.bashrc
  zsh   eval "$(ml-intern completion zsh)"          in ~/.zshrc
  fish  ml-intern completion fish | source          in ~/.config/fish/config.fish
"""


@click.command("completion", help="Print the completion script of a shell.", epilog=_USE)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """The script calls ``ml-intern`` again, with the half-typed line in its environment; click answers."""
    completer = get_completion_class(shell)
    if completer is None:
        raise ConfigError(f"This version of click has no completion for {shell}.")
    root = ctx.find_root().command
    click.echo(completer(root, {}, "ml-intern", "_ML_INTERN_COMPLETE").source())
