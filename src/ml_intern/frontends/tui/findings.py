"""What the first screen tells of the folder: the files that the model is told, skills, servers, sessions of before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.config.instructions import find_instructions
from ml_intern.config.paths import home_dir
from ml_intern.config.skills import find_skills
from ml_intern.errors import MlInternError
from ml_intern.frontends.commands.sessions import open_store
from ml_intern.protocol.amounts import counted

if TYPE_CHECKING:
    from ml_intern.config.load import LoadedSettings

NEWEST = 500


def found_in(loaded: LoadedSettings, cwd: str) -> str:
    """Instructions, skills and the servers that are used in a few words; empty where there are none. Blocks."""
    from ml_intern.mcp.surroundings import surroundings_of, why_dormant

    folder, paths = Path(cwd), loaded.paths
    names = dict.fromkeys(file.path.name for file in find_instructions(folder, paths.config_dir))
    skills = len(find_skills(folder, home_dir(loaded.environ), paths.config_dir))
    around = surroundings_of(loaded)
    servers = sum(not why_dormant(server, around) for server in loaded.settings.mcp_servers.values())
    found = ((skills, "skill"), (servers, "MCP server"))
    parts = [*names, *(counted(number, what) for number, what in found if number)]
    return " · ".join(parts)


async def earlier_sessions(loaded: LoadedSettings, cwd: str, session: str) -> str:
    """How to go on with what was begun in this folder; empty where nothing was said in any, or where it cannot be read."""
    store = open_store(loaded.paths.sessions_db, loaded.paths.spill_dir)
    try:
        records = [record for record in await store.sessions(limit=NEWEST) if record.id != session and (record.title or record.preview)]
    except MlInternError:
        return ""
    finally:
        await store.aclose()
    here = [record for record in records if record.cwd == cwd]
    if not here:
        return ""
    shell = ", or ml-intern --continue" if records[0] is here[0] else ""  # which takes the newest one of all folders
    return f"{counted(len(here), 'earlier session')} here: /resume{shell}"
