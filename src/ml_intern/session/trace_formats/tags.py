"""What a session was about, as tags to choose training data by. Judged from typed events, never from log sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ml_intern.compute.publishing import publishes
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.messages import ToolCall
from ml_intern.session.trace_formats.said import arguments_object

FAMILIES = ("opus", "sonnet", "haiku", "kimi", "gpt", "deepseek", "qwen", "llama")
LOOKING = frozenset(
    {
        "ask_user", "explore_hf_docs", "fetch_hf_docs", "find_hf_api", "github_find_examples", "github_list_repos", "github_read_file",
        "github_search_code", "glob", "grep", "hf_papers", "hub_repo_details", "hub_search", "inspect_package", "plan_tool", "read",
        "research", "skill", "web_fetch", "web_search",
    }
)  # fmt: skip
"""Tools of a session that only found things out."""
DATA_TOOLS = frozenset({"hf_inspect_dataset"})
RUNNERS = frozenset({"hf_jobs", "bash", "background"})
JOBS = "hf_jobs"
WRITERS = {"write": "content", "edit": "new_str"}
"""Tools that put code into a file, and the argument that holds it: what runs is often a file's name alone."""
LONG_LIVED_S = 1800.0
SUCCEEDED = frozenset({"completed", "succeeded", "success"})
FAILED = frozenset({"failed", "error", "timeout", "cancelled", "canceled"})

_TRAINING = re.compile(
    r"\b(?:(?:sft|dpo|grpo|ppo|orpo|kto|rloo|reward|seq2seq)(?:trainer|config)|trainingarguments|trainer\s*\(|fine-?tun(?:e|ed|es|ing)\b"
    r"|(?:dpo|grpo|sft)\b)|\.train\(",
    re.IGNORECASE,
)
_INFERENCE = re.compile(r"\b(?:pipeline\(|vllm\b|inferenceclient\b|lm_eval\b|lighteval\b)|\.generate\(", re.IGNORECASE)
_DATA = re.compile(r"\bload_dataset\(|\bDataset\.from_|\.to_parquet\(|\bdatatrove\b", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"OutOfMemoryError|CUDA out of memory|\bOOM(?:[ -]?kill(?:ed)?)?\b", re.IGNORECASE)
_GPU = re.compile(r"^(t4|l40s|l4|a10g|a100|h100|h200|rtx-pro-6000)(?=$|[-x])")
_SEVERAL = re.compile(r"x(?:[2-9]|\d\d+)$")


def tag_session(envelopes: Iterable[Envelope]) -> list[str]:
    """The tags, sorted. What was undone counts: it happened."""
    seen = _Seen()
    for envelope in envelopes:
        seen.take(envelope.event)
    return sorted({*seen.tags, *seen.concluded()})


class _Seen:
    """What was noticed so far."""

    def __init__(self) -> None:
        self.tags: set[str] = set()
        self._model = ""
        self._turns = 0
        self._cost_usd = 0.0
        self._unpriced = False
        self._outcome = "ongoing"
        self._tools: set[str] = set()
        self._code: dict[str, list[str]] = {}
        """What runners were told, by tool."""
        self._files: dict[str, list[str]] = {}
        """What was written into files, by name."""
        self._jobs: set[str] = set()
        self._hardware: set[str] = set()
        self._ratings: set[str] = set()

    def take(self, event: e.AnyEvent) -> None:
        match event:
            case e.SessionStarted():
                self._model = event.model
            case e.AssistantMessageAdded():
                self._replied(event)
            case e.UserMessageAdded():  # what a policy tells the model is another event
                self._turns += 1
                self._outcome = "ongoing"
            case e.LlmCall():
                self._unpriced |= event.cost_usd is None
                self._cost_usd += event.cost_usd or 0.0
            case e.BudgetSettled():
                self._cost_usd += event.actual_usd or 0.0
            case e.ToolCalled():
                self._tools.add(event.tool)
            case e.Feedback():
                self._ratings.add(event.rating)
            case _:
                self._take_end(event)
                self._take_machine(event)

    def _replied(self, event: e.AssistantMessageAdded) -> None:
        model = event.model or self._model
        self.tags.add(f"model:{family(model)}")
        for call in event.tool_calls:  # as the model asked: a call that waited for an approval is among them
            self._called(call)

    def _called(self, call: ToolCall) -> None:
        self._tools.add(call.name)
        if call.name in RUNNERS:
            self._code.setdefault(call.name, []).append(_text(call))
        elif (argument := WRITERS.get(call.name)) is not None:
            given = arguments_object(call.arguments)
            name = str(given.get("path", "")).rpartition("/")[2]
            self._files.setdefault(name, []).append(str(given.get(argument, "")))

    def _code_of(self, *tools: str) -> str:
        """What they were told, and what this session wrote into the files that they were told of."""
        told = "\n".join(text for tool in tools for text in self._code.get(tool, ()))
        named = [text for name, texts in self._files.items() if name and name in told for text in texts]
        return "\n".join((told, *named))

    def _take_end(self, event: e.AnyEvent) -> None:
        match event:
            case e.TurnComplete():
                self._outcome = "completed" if event.reason == "done" else "interrupted"
            case e.Interrupted():
                self._outcome = "interrupted"
            case e.ErrorRaised() if event.ends_turn:
                self._outcome = "errored"
            case e.SessionTerminated():
                self._outcome = "errored"
            case e.GuardTriggered() if event.guard == "doom_loop":
                self.tags.add("outcome:doom_loop")
            case e.Compacted() if event.keep_from_seq:
                self.tags.add("outcome:context_exceeded")
            case _:
                pass

    def _take_machine(self, event: e.AnyEvent) -> None:
        match event:
            case e.HfJobSubmit():
                self._jobs.add(event.job_id)
                self._hardware.add(event.flavor)
                self.tags |= {"hf_job:submitted", *(["hf_job:push_to_hub"] if event.push_to_hub else [])}
            case e.HfJobComplete():
                if event.final_status in SUCCEEDED | FAILED:
                    self.tags.add("hf_job:succeeded" if event.final_status in SUCCEEDED else "hf_job:failed")
                self._look_for_memory(event.message)
            case e.ToolFinished() if event.tool == JOBS:
                self._look_for_memory(event.output)
            case e.SandboxCreate():
                self._hardware.add(event.hardware)
                self.tags |= {"sandbox:created", "sandbox:gpu" if gpu(event.hardware) else "sandbox:cpu"}
            case e.SandboxDestroy() if event.lifetime_s > LONG_LIVED_S:
                self.tags.add("sandbox:long_lived")
            case _:
                pass

    def _look_for_memory(self, text: str) -> None:
        if _OUT_OF_MEMORY.search(text):
            self.tags.add("hf_job:oom")

    def concluded(self) -> list[str]:
        """Tags that all of it together makes."""
        found = [f"tool:{tool}" for tool in self._tools]
        found.append(f"outcome:{self._outcome}")
        found.append(f"turns:{'short' if self._turns < 5 else 'medium' if self._turns <= 20 else 'long'}")
        found.append(f"cost:{self._cost()}")
        found += self._gpus()
        if len(self._jobs) > 1:
            found.append("hf_job:multi")
        if self._jobs and publishes(self._code_of(JOBS)):
            found.append("hf_job:push_to_hub")
        if not any(tag.startswith("model:") for tag in self.tags) and self._model:
            found.append(f"model:{family(self._model)}")
        liked, disliked = "up" in self._ratings, "down" in self._ratings
        found.append(f"feedback:{'mixed' if liked and disliked else 'up' if liked else 'down' if disliked else 'none'}")
        return [*found, *self._task()]

    def _cost(self) -> str:
        """A price that nobody knows is not zero."""
        if self._unpriced and self._cost_usd < 1:
            return "unknown"
        return "low" if self._cost_usd < 0.10 else "med" if self._cost_usd < 1 else "high"

    def _gpus(self) -> list[str]:
        kinds = {f"gpu:{kind}" for flavor in self._hardware if (kind := gpu(flavor))}
        several = ["gpu:multi"] if any(gpu(flavor) and _SEVERAL.search(flavor) for flavor in self._hardware) else []
        return [*kinds, *several] if kinds else ["gpu:none"]

    def _task(self) -> list[str]:
        code = self._code_of(*sorted(RUNNERS))
        if _TRAINING.search(code):
            return ["task:training"]
        if _INFERENCE.search(code):
            return ["task:inference"]
        if _DATA.search(code) or self._tools & DATA_TOOLS:
            return ["task:data_prep"]
        return ["task:research_only"] if self._tools and self._tools <= LOOKING else []


def family(model: str) -> str:
    """The kind of model an id names."""
    name = model.lower()
    return next((one for one in FAMILIES if one in name), "other")


def gpu(flavor: str) -> str:
    """The accelerator of a machine, empty for one without."""
    match = _GPU.match(flavor.lower())
    return match.group(1) if match else ""


def _text(call: ToolCall) -> str:
    """Arguments as the model wrote them, with the line breaks and quotes of the code in them."""
    return call.arguments.replace("\\n", "\n").replace('\\"', '"')
