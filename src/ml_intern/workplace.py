"""Where the tools of a session work: a folder of this machine, or a sandbox on the Hub that is leased when it is first used."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ml_intern.compute.base import Workspace
from ml_intern.compute.local_setup import local_workspace
from ml_intern.errors import ConfigError
from ml_intern.place import Place
from ml_intern.session.log import EventLog

if TYPE_CHECKING:
    from ml_intern.compute.lease import SandboxLease


class Workplace(Struct, frozen=True, kw_only=True):
    """``lease`` is None on this machine."""

    workspace: Workspace
    lease: SandboxLease | None = None

    async def aclose(self) -> None:
        """End what runs there, then give the sandbox back."""
        async with AsyncExitStack() as stack:
            if self.lease is not None:
                stack.push_async_callback(self.lease.aclose)
            stack.push_async_callback(self.workspace.aclose)


def open_workplace(place: Place, log: EventLog, spill_dir: Path) -> Workplace:
    """Nothing is started and nothing costs money yet. Blocks. Raises ``ConfigError``."""
    root = Path(log.state.cwd)
    if not root.is_dir():
        raise ConfigError(f"The folder of this session, {root}, is gone.", hint="Bring it back, or start a new session.")
    if place.settings.tool_runtime == "sandbox":
        return _in_sandbox(place, log, spill_dir)
    loaded = place.loaded
    protected = place.programs.files()
    workspace = local_workspace(place.settings.sandbox, loaded.environ, loaded.paths, root=root, scratch=spill_dir, protected=protected)
    return Workplace(workspace=workspace)


def _in_sandbox(place: Place, log: EventLog, spill_dir: Path) -> Workplace:
    from ml_intern.compute.hf_machine import Layout
    from ml_intern.compute.hf_sandbox import HubSandbox
    from ml_intern.compute.lease import SandboxLease
    from ml_intern.compute.lease_terms import LeaseBook, LeaseOptions

    if place.hub_token is None:
        hint = "Set HF_TOKEN or run `hf auth login`, or leave out --sandbox-tools to work on this machine."
        raise ConfigError("A Hugging Face sandbox needs a Hugging Face token, and there is none.", hint=hint)
    state = log.state
    book = LeaseBook(
        append=log.append,
        show=log.show,
        sandboxes=lambda: state.sandboxes,
        reserved=lambda: state.spending.reserved,
        remaining_usd=lambda: state.spending.remaining_usd,
    )
    tmp = Path(place.settings.remote_sandbox.tmp)
    layout = Layout(root=Path(place.settings.remote_sandbox.folder), tmp=tmp, state=tmp / ".ml-intern")
    options = LeaseOptions(
        session_id=log.session_id,
        spill_dir=spill_dir,
        layout=layout,
        forward_token=place.settings.jobs.forward_token,
        resumed=state.turn_count > 0,
    )
    lease = SandboxLease(place.outside.hub, book, options, place.hourly_usd)
    workspace = HubSandbox(lease, spill_dir, layout=layout, variables=lambda: lease.variables)
    lease.commands = workspace.running
    return Workplace(workspace=workspace, lease=lease)
