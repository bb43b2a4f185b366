"""A card in which what it asks for can be edited."""

from __future__ import annotations

from ml_intern.frontends.tui.cards.card import Card
from ml_intern.frontends.tui.cards.draft import Draft
from ml_intern.frontends.tui.own_app import own_app
from ml_intern.frontends.tui.own_keys import OrderedTextArea


class EditedCard(Card):
    """Holds the draft and the area in which one of its two texts is written."""

    def __init__(self) -> None:
        super().__init__()
        self._area = OrderedTextArea(soft_wrap=False, show_line_numbers=True)
        self._draft: Draft | None = None

    def editors(self) -> tuple[OrderedTextArea]:
        return (self._area,)

    def action_edit_others(self) -> None:
        """The other text of the two; what was written stays."""
        assert self._draft is not None
        self._draft.write(self._area.text)
        self._draft.switch()
        self._area.text = self._draft.text
        self.say("")

    def refused(self, why: str) -> None:
        """What was decided here could not be taken: an edit that does not fit stays as it is."""
        self.say(f"{why} Ctrl-S approves, Esc goes back." if self._draft is not None else "")

    async def action_edit_outside(self) -> None:
        from ml_intern.frontends.tui.cards.editor import edit_outside

        assert self._draft is not None
        text, problem = await edit_outside(own_app(self), self._area.text, self._draft.language)
        if problem:
            self.say(problem)
        else:
            self._area.text = text
