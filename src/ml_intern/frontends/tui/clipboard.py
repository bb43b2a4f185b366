"""The clipboard of the machine that the app runs on; the terminal's own is Textual's (OSC 52), which also reaches a far machine's user."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence

TIMEOUT_S = 2.0
_PASSED_ON = ("PATH", "HOME", "TMUX", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "LANG", "LC_ALL")


def programs(environ: Mapping[str, str]) -> list[Sequence[str]]:
    """Those that could take a text on their standard input, as the environment names displays. tmux keeps OSC 52 to itself by default."""
    wanted: list[Sequence[str]] = []
    if environ.get("TMUX"):
        wanted.append(("tmux", "load-buffer", "-w", "-"))
    if environ.get("WAYLAND_DISPLAY"):
        wanted.append(("wl-copy",))
    elif environ.get("DISPLAY"):
        wanted += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    if not environ.get("SSH_CONNECTION"):
        wanted += [("pbcopy",), ("clip.exe",)]
    found = [(program, *rest) for name, *rest in wanted if (program := shutil.which(name, path=environ.get("PATH")))]
    return [each for each in found if not (each[0].endswith("xsel") and any(other[0].endswith("xclip") for other in found))]


async def give(text: str, environ: Mapping[str, str]) -> None:
    """To every program there is. One that fails says nothing: the terminal has the text as well."""
    await asyncio.gather(*(_give(text, program, environ) for program in await asyncio.to_thread(programs, environ)))


async def _give(text: str, program: Sequence[str], environ: Mapping[str, str]) -> None:
    quiet = asyncio.subprocess.DEVNULL
    known = {name: environ[name] for name in _PASSED_ON if name in environ}
    try:
        process = await asyncio.create_subprocess_exec(*program, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet, env=known)
    except OSError:
        return
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await process.communicate(text.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
    except BaseException:
        process.kill()
        raise
