"""What a cap leaves for the next model call."""

from __future__ import annotations

from ml_intern.models.base import Usage
from ml_intern.session.model_port import ModelPort
from ml_intern.session.state import Spending

SHORTEST_REPLY_TOKENS = 256
"""A cap that leaves no room for so much leaves no room for a call."""
ROOM_ENOUGH_TOKENS = 32_000
"""Beyond this a reply needs no limit of its own."""


async def affordable(model: ModelPort, spending: Spending, context_tokens: int) -> tuple[float | None, int | None]:
    """What the shortest useful call costs (None: the price is unknown), and how long its reply may be (None: no limit).

    Without a cap nothing is worked out. The reply is limited so that even its longest form stays under the cap.
    """
    if spending.cap_usd is None:
        return None, None
    prompt_usd = await model.cost_usd(Usage(prompt_tokens=context_tokens), None)
    reply_usd = await model.cost_usd(Usage(completion_tokens=SHORTEST_REPLY_TOKENS), None)
    if prompt_usd is None or reply_usd is None:
        return None, None
    left = (spending.remaining_usd or 0.0) - prompt_usd
    room = ROOM_ENOUGH_TOKENS if reply_usd == 0 else int(max(0.0, left) / reply_usd * SHORTEST_REPLY_TOKENS)
    return prompt_usd + reply_usd, None if room >= ROOM_ENOUGH_TOKENS else max(room, SHORTEST_REPLY_TOKENS)
