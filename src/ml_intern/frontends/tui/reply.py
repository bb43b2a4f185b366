"""The reply that streams now: text pieces → blocks. Finished paragraphs are blocks of their own; only the open one changes."""

from __future__ import annotations

from ml_intern.frontends.headless.markdown import Block as Piece
from ml_intern.frontends.headless.markdown import MarkdownBlocks
from ml_intern.frontends.tui.blocks.words import CodeBlock, MarkdownBlock, OpenBlock, ThinkingBlock
from ml_intern.frontends.tui.conversation import Conversation
from ml_intern.protocol.events import AssistantMessageAdded


class StreamedReply:
    """From the first chunk to ``assistant_message``; afterwards it may be used for the next reply."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._pieces = MarkdownBlocks()
        self._open: OpenBlock | None = None
        self._thinking: ThinkingBlock | None = None
        self._code: CodeBlock | None = None
        self._shown: list[str] = []
        self._began_at: int | None = None

    def think(self, text: str) -> None:
        """The model thinks this."""
        self._begin()
        if self._thinking is None:
            self._thinking = ThinkingBlock(open=True)
            self._conversation.add(self._thinking)
        self._thinking.write(text)

    def write(self, text: str) -> None:
        """The model says this."""
        self._begin()
        if self._thinking is not None:
            self._thinking.end()
            self._thinking = None
        self._shown.append(text)
        self._add(self._pieces.feed(text))
        self._show_open()

    def end(self, message: AssistantMessageAdded) -> None:
        """The whole reply. Where it differs from what was streamed (a secret was taken out), it replaces that."""
        shown = "".join(self._shown)
        if self._began_at is not None and not message.content.startswith(shown):
            self.discard()
            shown = ""
        thought = "\n\n".join(part.text for part in message.thinking if part.text)
        if thought and self._began_at is None:
            self._conversation.add(ThinkingBlock(thought))
        elif self._thinking is not None:
            self._thinking.end(thought)
        self._add(self._pieces.feed(message.content[len(shown) :]))
        self.stop()

    def stop(self) -> None:
        """It goes no further: what is there stays."""
        self._add(self._pieces.finish())
        self._hide_open()
        if self._thinking is not None:
            self._thinking.end()
        self.__init__(self._conversation)

    def discard(self) -> None:
        """The connection broke, or a secret has to go: what was shown will come again."""
        if self._began_at is not None:
            self._conversation.truncate(self._began_at)
        self.__init__(self._conversation)

    def _begin(self) -> None:
        if self._began_at is None:
            self._began_at = len(self._conversation.blocks)

    def _add(self, pieces: list[Piece]) -> None:
        if pieces:
            self._hide_open()
        for piece in pieces:
            if not piece.code:
                self._code = None
                self._conversation.add(MarkdownBlock(piece.text))
            elif not (piece.continued and self._code is not None and self._code.grow(piece.text)):
                self._code = CodeBlock(piece.text, piece.language, before=self._code if piece.continued else None)
                self._conversation.add(self._code)

    def _show_open(self) -> None:
        if self._open is None:
            self._open = OpenBlock(self._pieces.open_block)
            self._conversation.add(self._open)
        self._open.changed()

    def _hide_open(self) -> None:
        if self._open is not None:
            self._conversation.drop(self._open)
            self._open = None
