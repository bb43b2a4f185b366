"""Closing tools: whatever one of them does, the others are closed, and it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from ml_intern.tools.base import Tool

TIMEOUT_S = 10.0

logger = logging.getLogger(__name__)


async def close_tools(tools: Iterable[Tool[Any]], *, timeout_s: float = TIMEOUT_S) -> None:
    """Close them side by side. One that fails or does not end in time is logged, and left."""
    tasks = {asyncio.ensure_future(tool.aclose()): tool.name for tool in tools}
    if not tasks:
        return
    done, late = await asyncio.wait(tasks, timeout=timeout_s)
    for task in late:
        task.cancel()
        logger.error("The tool %s did not close within %g s.", tasks[task], timeout_s)
    for task in done:
        if not task.cancelled() and (error := task.exception()):
            logger.error("Closing the tool %s failed.", tasks[task], exc_info=error)
