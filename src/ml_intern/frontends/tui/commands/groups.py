"""The commands by what they are about, in the order of the help."""

from __future__ import annotations

from ml_intern.frontends.tui.commands.base import Command, later
from ml_intern.protocol.operations import EFFORTS

CONVERSATION: tuple[Command, ...] = (
    Command(name="new", summary="Start a fresh conversation", run=later("conversation", "new"), leaves=True),
    Command(name="clear", summary="Start a fresh conversation on an empty screen", run=later("conversation", "clear"), leaves=True),
    Command(
        name="undo",
        summary="Take back the last turn, or the last few",
        arguments="[n]",
        run=later("conversation", "undo"),
        details="Takes the conversation back, not the files; what you had said is in the composer again. Where a turn runs you are asked "
        "first.",
    ),
    Command(
        name="rewind",
        summary="Go back to before a message: conversation, files, or both",
        arguments="[back]",
        run=later("rewind", "rewind"),
        choices=("back",),
        details="Shows what would change first, your own edits above all. /rewind back brings the files back. A turn that runs is "
        "interrupted when it is done, not before.",
    ),
    Command(
        name="compact",
        summary="Summarise the conversation now",
        run=later("conversation", "compact"),
        details="While a turn runs it happens before its next step.",
    ),
    Command(
        name="resume",
        summary="Go on with another session",
        arguments="[id|number|last]",
        run=later("resume", "resume"),
        leaves=True,
        details="Without a name a list to search in, by title, folder and by what was said.",
    ),
    Command(
        name="fork",
        summary="Go on in a copy of this session",
        run=later("conversation", "fork"),
        leaves=True,
        details="The session itself stays as it is; /resume finds it.",
    ),
    Command(name="rename", summary="Give this session a title", arguments="<title>", run=later("conversation", "rename")),
    Command(
        name="copy",
        summary="Copy the last answer",
        arguments="[n]",
        run=later("conversation", "copy"),
        details="/copy 2 copies the answer before the last. The terminal does it (OSC 52), so that it works over SSH; tmux needs "
        "`set -g set-clipboard on`.",
    ),
    Command(
        name="export",
        summary="Write this session into a file",
        arguments="[markdown|json] [file]",
        run=later("export", "export"),
        choices=("markdown", "json"),
        details="Markdown is the conversation, JSON every event, one a line. A file that is there is not replaced.",
    ),
)

SESSION: tuple[Command, ...] = (
    Command(
        name="model",
        summary="Choose the model",
        arguments="[id]",
        run=later("model", "choose_model"),
        details="Without an id a list to search in, with prices, windows and tools. The next step of a turn that runs uses it already.",
    ),
    Command(
        name="effort",
        summary="Show or set how hard the model thinks",
        arguments="[level|off]",
        run=later("status", "effort"),
        choices=(*EFFORTS, "off"),
        details="It holds from the next step on.",
    ),
    Command(
        name="yolo",
        summary="Run calls unasked, or stop doing so",
        arguments="[on|off|dollars|nocap]",
        run=later("status", "yolo"),
        choices=("on", "off", "nocap"),
        details="Alone it asks for a cap first, or switches it off. /yolo 5 switches it on with a cap of $5 for the session. "
        "Recurring jobs ask all the same.",
    ),
    Command(name="status", summary="Show model, effort, folder, context and money", run=later("status", "show_status")),
    Command(name="cost", summary="Break down what was spent, and how far the cap reaches", run=later("cost", "show_cost")),
    Command(name="jobs", summary="Watch jobs: logs, cancel, attach", run=later("jobs", "show_jobs")),
    Command(name="plan", summary="Show the plan", run=later("conversation", "plan")),
)

WORKPLACE: tuple[Command, ...] = (
    Command(
        name="diff",
        summary="Show what has changed in the folder since the last commit",
        arguments="[path]",
        run=later("workspace", "show_diff"),
    ),
    Command(
        name="init",
        summary="Have the model write AGENTS.md for this project",
        arguments="[what matters]",
        run=later("workspace", "init"),
        wait="it starts a turn of its own.",
    ),
    Command(name="memory", summary="Show and edit the AGENTS.md files that the model is told", run=later("memory", "show_memory")),
    Command(
        name="permissions",
        summary="Show, change and test the rules of what may run",
        arguments="[rule | test CALL]",
        run=later("permissions", "show_permissions"),
        choices=("test",),
    ),
    Command(
        name="hooks",
        summary="Show your hooks, and how they ended the last time",
        run=later("hooks", "show_hooks"),
        details="`ml-intern hooks test EVENT` in a shell runs those of one moment.",
    ),
    Command(name="tools", summary="List what the model can call", arguments="[name]", run=later("extensions", "show_tools")),
    Command(name="mcp", summary="Show the MCP servers", arguments="[test NAME]", run=later("extensions", "show_mcp"), choices=("test",)),
)

PROGRAM: tuple[Command, ...] = (
    Command(
        name="share-traces",
        summary="Show or change who gets your traces",
        arguments="[on|off|public|private]",
        run=later("traces", "share_traces"),
        choices=("on", "off", "public", "private"),
        details="Before the dataset becomes public you see what everybody could read.",
    ),
    Command(
        name="theme",
        summary="Choose the colours",
        arguments="[name]",
        run=later("theme", "choose_theme"),
        choices=("auto", "dark", "light", "ansi"),
    ),
    Command(
        name="setup",
        summary="Give a token or a key for models",
        run=later("setup", "take_key"),
        details="It is checked, and kept where `ml-intern setup` keeps it. A variable of the environment wins over it.",
    ),
    Command(
        name="doctor",
        summary="Check the set-up and say what to fix",
        arguments="[online]",
        run=later("doctor", "show_doctor"),
        choices=("online",),
    ),
    Command(
        name="feedback",
        summary="Write a report into a file; nothing is sent",
        arguments="[text]",
        run=later("feedback", "write_feedback"),
    ),
    Command(name="quit", summary="Leave", run=later("conversation", "leave"), aliases=("exit",)),
)
