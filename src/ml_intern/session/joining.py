"""A session that turned out to be open in another process is joined there."""

from __future__ import annotations

from ml_intern.config.load import FLAG_NAMES, LoadedSettings
from ml_intern.errors import SessionBusy
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.control import FOLDER
from ml_intern.session.remote import RemoteHost
from ml_intern.session.remote_wire import NotOpen


async def joined(busy: SessionBusy, loaded: LoadedSettings) -> RemoteHost:
    """The session where it is open. Raises ``SessionBusy`` where it cannot be joined, and for flags that would change it."""
    if not busy.session_id:
        raise busy
    flags = [flag for key, flag in FLAG_NAMES.items() if key != "stream" and loaded.is_flag(key.partition(".")[0])]
    if flags:
        hint = f"Join it as it is: ml-intern attach {short_id(busy.session_id)}"
        raise SessionBusy(f"{busy.message} {', '.join(flags)} cannot change it from here.", hint=hint) from busy
    try:
        return await RemoteHost.attach(loaded.paths.state_dir / FOLDER, busy.session_id)
    except NotOpen:
        raise busy from None
