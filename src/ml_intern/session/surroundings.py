"""What stands around a session's loop: the user's hooks, the snapshots of files, and going back to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from ml_intern.compute.child_env import child_environment
from ml_intern.config.environ import Environ
from ml_intern.config.project_programs import ProjectPrograms
from ml_intern.config.settings import Settings
from ml_intern.session.around_calls import AroundCalls
from ml_intern.session.entrance import Entrance
from ml_intern.session.hooks.setup import session_hooks
from ml_intern.session.hooks.watch import HookWatch
from ml_intern.session.log import EventLog
from ml_intern.session.rewind import Rewinder
from ml_intern.session.snapshots import Snapshots


class Surroundings:
    """Of one session. ``ready`` is awaited before calls are judged."""

    def __init__(
        self,
        log: EventLog,
        settings: Settings,
        environ: Environ,
        state_dir: Path,
        folder: Path,
        ready: Callable[[], Awaitable[None]],
        programs: ProjectPrograms,
        *,
        refuses_too_long: bool,
    ) -> None:
        """``state_dir`` is the program's, ``folder`` the session's own."""
        self.log = log
        env = child_environment(environ.as_dict(), settings.sandbox.pass_env)
        self.hooks = session_hooks(settings, env, log, folder, programs)
        self._snapshots = _snapshots(settings, env, state_dir, log)
        self._watch = HookWatch(log, self.hooks)
        self.around = AroundCalls(ready=ready, hooks=self.hooks, snapshots=self._snapshots)
        self.entrance = Entrance(log, self.hooks, self._snapshots, refuses_too_long=refuses_too_long)
        self.rewinder = Rewinder(log, self._snapshots)

    def start(self) -> None:
        """Once the session runs."""
        self._watch.start()
        self.entrance.session_started()

    async def aclose(self) -> None:
        """End hooks that still run, and wait for the last snapshot."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._snapshots.aclose)
            stack.push_async_callback(self.hooks.aclose)
            stack.push_async_callback(self.entrance.aclose)
            stack.push_async_callback(self._watch.aclose)


def _snapshots(settings: Settings, env: Mapping[str, str], state_dir: Path, log: EventLog) -> Snapshots:
    if not settings.snapshots:
        return Snapshots(log, why_not="Snapshots are switched off in the settings (snapshots), so files cannot be rewound.", quiet=True)
    if settings.tool_runtime == "sandbox":
        why = "The tools work in a remote sandbox, whose files are not recorded and cannot be rewound."
        return Snapshots(log, why_not=why, quiet=True)
    if settings.read_only:
        return Snapshots(log, why_not="This session is read-only: no tool changes a file.", quiet=True)
    return Snapshots.of_folder(log, state_dir, env)
