"""``ask_user``: put one question to the person, and go on without them when nobody answers."""

from typing import Annotated, ClassVar

from msgspec import Meta

from ml_intern.protocol.question_events import Outcome
from ml_intern.tools.base import Effect, Risk, Tool, ToolArgs, ToolContext, ToolOutput

_SO = "Decide yourself, choose the careful option, and say in your report what you assumed."
_WHY_NOT: dict[Outcome, str] = {
    "declined": "The user read the question and declined to answer it: do not ask it again.",
    "set_aside": "The user set the question aside and wrote something else: read that first.",
    "nobody": "Nobody is there to answer.",
    "expired": "Nobody answered in the time there was.",
}


class AskUserArgs(ToolArgs, frozen=True):
    question: Annotated[str, Meta(min_length=1, max_length=4000, description="One question, with what is needed to answer it.")]
    options: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=10, description="Answers to choose from.")
    ] = ()


class AskUserTool(Tool[AskUserArgs]):
    """Waits as long as the person takes; an interrupt ends the wait."""

    name: ClassVar[str] = "ask_user"
    description: ClassVar[str] = (
        "Ask the user something that only they can decide (goal, budget, data they may use). Do not ask what you can find out or "
        "reasonably choose yourself."
    )
    args = AskUserArgs
    in_research: ClassVar[bool] = False
    risk_words: ClassVar[str] = "asks the user"
    timeout_s: ClassVar[float | None] = None

    def risk(self, args: AskUserArgs) -> Risk:
        return Risk(effects=frozenset({Effect.ASKS_USER}))

    async def run(self, args: AskUserArgs, ctx: ToolContext) -> ToolOutput:
        answer = await ctx.ask(args.question, args.options)
        if answer.text is not None:
            return ToolOutput(text=f"The user answered: {answer.text}")
        return ToolOutput(text=f"{_WHY_NOT.get(answer.reason, 'Nobody answered.')} {_SO}")
