"""The plan, told once in full and then only where it has changed."""

from __future__ import annotations

from ml_intern.frontends.headless.show import plan_lines
from ml_intern.frontends.headless.text import Line
from ml_intern.protocol.display import PlanItem


class PlanTeller:
    """Remembers what was told last."""

    def __init__(self) -> None:
        self._told: dict[str, PlanItem] = {}

    def tell(self, plan: tuple[PlanItem, ...]) -> list[Line]:
        """All of it when its items are others than before, else its changed items, else nothing."""
        before, self._told = self._told, {item.id: item for item in plan}
        head, *rows = plan_lines(plan)
        if before.keys() != self._told.keys():
            return [head, *rows]
        changed = [row for item, row in zip(plan, rows, strict=True) if before[item.id] != item]
        return [head, *changed] if changed else []
