"""The built-in tools: the one list, written out, in the order the model sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from ml_intern.compute.base import Workspace
from ml_intern.tools.ask_user import AskUserTool
from ml_intern.tools.base import Tool
from ml_intern.tools.bash.background import BackgroundTool
from ml_intern.tools.bash.background_commands import BackgroundCommands
from ml_intern.tools.bash.tool import BashTool
from ml_intern.tools.files.edit import EditTool
from ml_intern.tools.files.ledger import FileLedger
from ml_intern.tools.files.python_files import PythonFiles
from ml_intern.tools.files.read import ReadTool
from ml_intern.tools.files.write import WriteTool
from ml_intern.tools.plan import PlanTool
from ml_intern.tools.search.glob import GlobTool
from ml_intern.tools.search.grep import GrepTool


def _blind() -> bool:
    return False


class LocalParts(Struct, frozen=True, kw_only=True):
    """What the local tools of one session share. ``sees_images`` is asked at each read: the model may be switched."""

    workspace: Workspace
    spill_dir: Path
    ledger: FileLedger = field(default_factory=FileLedger)
    background: BackgroundCommands = field(default_factory=BackgroundCommands)
    sees_images: Callable[[], bool] = _blind


def builtin_tools(parts: LocalParts) -> tuple[Tool[Any], ...]:
    """Closing ``background`` closes the workspace."""
    python = PythonFiles(parts.workspace)
    return (
        BashTool(parts.workspace, parts.background, parts.spill_dir),
        BackgroundTool(parts.workspace, parts.background),
        ReadTool(parts.workspace, parts.ledger, parts.sees_images),
        WriteTool(parts.workspace, parts.ledger, python),
        EditTool(parts.workspace, parts.ledger, python),
        GlobTool(parts.workspace),
        GrepTool(parts.workspace),
        PlanTool(),
        AskUserTool(),
    )
