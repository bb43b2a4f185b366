"""What exactly a ``run`` or ``scheduled run`` will send, found out before anyone is asked."""

from __future__ import annotations

import difflib
import re

from msgspec import Struct

from ml_intern.compute.base import Workspace
from ml_intern.compute.hf_script import image_of, is_carrier, shown
from ml_intern.compute.job_backends import JobBackends
from ml_intern.compute.jobs import DEFAULT_FLAVOR, DEFAULT_IMAGE, HardwareList, JobBackend, JobRequest
from ml_intern.compute.publishing import publishes
from ml_intern.config.secret import SecretMap, SecretStr
from ml_intern.errors import ToolError
from ml_intern.protocol.amounts import span, usd
from ml_intern.protocol.display import Display, Text
from ml_intern.tools.jobs import scripts
from ml_intern.tools.jobs.arguments import HfJobsArgs, timeout_seconds
from ml_intern.tools.jobs.output import flavours, price
from ml_intern.tools.jobs.recurrence import checked_schedule, monthly_words

TOKEN = "HF_TOKEN"
TOKEN_REFERENCES = frozenset({"", f"${TOKEN}", f"${{{TOKEN}}}"})
"""Values of a secret that stand for the user's token."""
ENV_DEFAULTS = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "warning",
    "UV_NO_PROGRESS": "1",
    "PYTHONUNBUFFERED": "1",
}
"""A log is read by a model and a person: no progress bars in it, and each line when it is written."""
_REDIRECTS = re.compile(
    r"\w*(ENDPOINT|INDEX_URLS?|_PROXY|CA_BUNDLE)|(UV|PIP|GIT|LD|CONDA|SSL|HUGGINGFACE_CO)_\w+|PYTHON(PATH|STARTUP|HOME)|PATH|NETRC",
    re.IGNORECASE,
)
"""Variables by which a job sends the token, or takes its packages and programs, elsewhere than it seems to."""


class JobPlan(Struct, frozen=True, kw_only=True):
    """``request`` lacks the labels only. ``token_in`` names the secrets that are the user's token. ``confined``: see ``JobBackend``."""

    backend: str
    request: JobRequest
    command: tuple[str, ...]
    confined: bool
    script: scripts.Script | None
    usd_per_hour: float | None
    price_words: str
    token_in: tuple[str, ...]

    @property
    def cost_usd(self) -> float | None:
        """The most that one run can cost; None: nobody knows."""
        return None if self.usd_per_hour is None else self.usd_per_hour * self.request.timeout_s / 3600

    @property
    def code(self) -> str:
        """What runs, as far as it is known here: not what a URL names."""
        return self.request.script or " ".join(self.request.command)

    @property
    def publishes(self) -> bool:
        """Whether it means to put something on the Hub."""
        return publishes(self.code)

    @property
    def cost_words(self) -> str:
        """Hardware, price, limit."""
        limit = f"at most {usd(self.cost_usd)}" if self.cost_usd is not None else "so its cost cannot be told"
        return f"on {self.request.flavor} ({self.price_words}, stopped after {span(self.request.timeout_s)}: {limit})"

    @property
    def token_leaves_to(self) -> str:
        """Whose code gets the token although nobody here has seen it: an image, a URL, or where a variable leads; else empty."""
        if not self.token_in:
            return ""
        own_image = self.request.image if self.request.image != DEFAULT_IMAGE else ""
        return self.request.script_url or own_image or _redirection(self.request)

    @property
    def token_words(self) -> str:
        """What is to be known about the user's token; empty when it stays here."""
        return f"Your Hugging Face token goes with it, as {' and '.join(self.token_in)}." if self.token_in else ""


class PlannedArgs(HfJobsArgs, frozen=True, kw_only=True):
    """Arguments with the plan that was made of them."""

    plan: JobPlan


class JobPlanner:
    """Makes plans. Reads, and changes nothing."""

    def __init__(self, backends: JobBackends, workspace: Workspace, forward_token: SecretStr | None) -> None:
        self._backends = backends
        self._workspace = workspace
        self._token = forward_token

    async def plan(self, args: HfJobsArgs, earlier: JobPlan | None = None) -> JobPlan:
        """``earlier`` was shown to the user, whose edits ``args`` are: a script that they left alone is not read again.

        Raises ``ToolError`` for all that would fail once the job is paid for.
        """
        _check_kind(args)
        script = await self._script(args, earlier) if args.script else None
        scheduled = args.operation == "scheduled run"
        backend = self._backends.named("hub") if scheduled else self._backends.for_new_jobs
        listed = await backend.hardware()
        flavor = _flavor(args.hardware_flavor.strip(), listed, "" if scheduled else self._backends.why_local)
        hardware = listed.find(flavor)
        seen = script is not None and script.origin is not scripts.Origin.URL
        secrets, token_in = self._secrets(args, backend, seen=seen)
        request = JobRequest(
            script=script.text if script else "",
            script_name=script.name if script else "",
            script_url=script.given.strip() if script and script.origin is scripts.Origin.URL else "",
            script_args=args.script_args,
            dependencies=args.dependencies,
            python=args.python,
            command=args.command,
            image=args.image,
            flavor=flavor,
            timeout_s=timeout_seconds(args.timeout),
            env=_env(args),
            secrets=secrets,
            namespace=await backend.namespace(args.namespace.strip()),
        )
        return JobPlan(
            backend=backend.name,
            request=request,
            command=backend.command(request),
            confined=backend.confined,
            script=script,
            usd_per_hour=hardware.usd_per_hour if hardware else None,
            price_words=price(hardware) + ("" if listed.as_of == "live" else f" as of {listed.as_of}"),
            token_in=token_in,
        )

    async def _script(self, args: HfJobsArgs, earlier: JobPlan | None) -> scripts.Script:
        if earlier is not None and earlier.script is not None and earlier.script.given == args.script:
            return earlier.script
        return await scripts.resolve(args.script, self._workspace)

    def _secrets(self, args: HfJobsArgs, backend: JobBackend, *, seen: bool) -> tuple[SecretMap, tuple[str, ...]]:
        """A script that was read here and runs on the Hub gets the token unasked. Others when the call says so: those of a URL,
        and those on this machine, where sandboxed commands see none."""
        secrets = SecretMap(args.secrets)
        references = [name for name, value in args.secrets.items() if value in TOKEN_REFERENCES]
        unasked = backend.name == "hub" and seen and args.image in ("", DEFAULT_IMAGE)
        if unasked and self._token is not None and TOKEN not in secrets:
            references.append(TOKEN)
        for name in references:
            if self._token is None:
                raise ToolError(f"There is no token to give to the job as '{name}'.", hint="Set HF_TOKEN, and leave jobs.forward_token on.")
            secrets[name] = self._token.reveal()
        if strange := [name for name, value in args.secrets.items() if value.startswith("$") and name not in references]:
            raise ToolError(f"The secret '{strange[0]}' names a variable; only $HF_TOKEN can be passed on.", hint="Ask the user for it.")
        return secrets, tuple(references)


def preview(plan: JobPlan, schedule: str = "") -> tuple[Display, ...]:
    """What an approval shows: where, for how much, with which secrets and variables, and byte for byte what runs."""
    request = plan.request
    where = f"in the namespace {request.namespace}" if plan.backend == "hub" else "on this machine"
    lines = [
        f"{f'Runs {schedule}' if schedule else 'Runs'} {plan.cost_words}, {where}.",
        f"Command: {shown(plan.command)}",
        f"Image: {image_of(request)}" if plan.backend == "hub" else "",
        f"Script: {plan.script.given.strip()}" if plan.script and plan.script.origin is not scripts.Origin.INLINE else "",
        f"In all: {monthly_words(schedule, plan.cost_usd)}." if schedule else "",
        plan.token_words,
        "The token is stored with the schedule until it is deleted." if schedule and plan.token_in else "",
        f"Secrets given in the call: {', '.join(n for n in request.secrets if n not in plan.token_in)}"
        if len(request.secrets) > len(plan.token_in)
        else "",
    ]
    lines.append(_kept(plan))
    own = [f"{name}={value if value.isprintable() else repr(value)}" for name, value in _own_variables(request)]
    lines += ["Variables: " + "; ".join(own)] if own else []
    summary = Text(text="\n".join(line for line in lines if line))
    return (summary, Text(text=request.script, language="python")) if request.script else (summary,)


def _redirection(request: JobRequest) -> str:
    """The first variable that leads elsewhere."""
    return next((f"{name}={value}" for name, value in _own_variables(request) if _REDIRECTS.fullmatch(name)), "")


def _own_variables(request: JobRequest) -> list[tuple[str, str]]:
    """Without those that every job has."""
    return [(name, value) for name, value in request.env.items() if ENV_DEFAULTS.get(name) != value]


def _kept(plan: JobPlan) -> str:
    """Whether a model that is trained here is put anywhere: the disk of a job goes with it."""
    if "from_pretrained" not in plan.code:
        return "Checks: nothing found."
    if plan.publishes:
        return "Saved: it means to push to the Hub."
    return "Warning: it loads a model and never pushes one (no push_to_hub): what it trains is lost with the job's disk."


def _check_kind(args: HfJobsArgs) -> None:
    if bool(args.script.strip()) == bool(args.command):
        raise ToolError(f"'{args.operation}' needs exactly one of script and command.")
    if args.command:
        for name in ("dependencies", "python", "script_args"):
            if getattr(args, name):
                raise ToolError(f"'{name}' goes with script, not with command.")
    if args.operation == "scheduled run" and not args.schedule.strip():
        raise ToolError("'scheduled run' needs schedule.", hint="Write @hourly, @daily, @weekly, @monthly, or cron such as `0 9 * * 1`.")
    if args.operation == "scheduled run":
        checked_schedule(args.schedule)
    if args.operation == "run" and args.schedule:
        raise ToolError("'schedule' goes with 'scheduled run', not with 'run'.")


def _flavor(wanted: str, listed: HardwareList, why_local: str) -> str:
    """A flavour that there is. Raises ``ToolError`` with the nearest ones and all of them, and why they are this machine only."""
    if not wanted:
        wanted = DEFAULT_FLAVOR if listed.find(DEFAULT_FLAVOR) or not listed.items else listed.items[0].name
    if (found := listed.find(wanted)) is not None:
        return found.name
    names = {item.name.casefold(): item.name for item in listed.items}
    begin = [name for name in names if name.startswith(wanted.casefold())]
    near = [names[name] for name in dict.fromkeys((*begin, *difflib.get_close_matches(wanted.casefold(), names, n=3, cutoff=0.5)))][:3]
    nearest = f"Did you mean {' or '.join(near)}? " if near else ""
    raise ToolError(f"There is no hardware_flavor '{wanted}'.", hint=f"{why_local} {nearest}There are:\n{flavours(listed)}".lstrip())


def _env(args: HfJobsArgs) -> dict[str, str]:
    if reserved := [name for name in args.env if is_carrier(name) or not name or "=" in name]:
        raise ToolError(f"'{reserved[0]}' cannot be a variable of a job.")
    tracking = {"TRACKIO_SPACE_ID": args.trackio_space_id.strip(), "TRACKIO_PROJECT": args.trackio_project.strip()}
    return {**ENV_DEFAULTS, **{name: value for name, value in tracking.items() if value}, **args.env}
