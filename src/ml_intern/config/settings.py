"""Every setting, as one frozen tree. The docstring under a field is its documentation (``docs/configuration.md``)."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from ml_intern.config.answer_settings import AnswerSettings
from ml_intern.config.hook_settings import HookSettings
from ml_intern.config.keys import check_keys
from ml_intern.config.secret import SecretMap, SecretStr
from ml_intern.config.section import Section, SettingError
from ml_intern.config.terminal_settings import TerminalSettings

Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]
AutoEvent = Literal["approval_required", "error", "turn_complete"]
Usd = Annotated[float, Meta(ge=0)]

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RULE = re.compile(r"\s*[A-Za-z0-9_*:.-]+\s*(?:\(.*\))?\s*", re.DOTALL)
_DESTINATION_NAME = re.compile(r"[a-z0-9._-]+")


def is_rule(text: str) -> bool:
    """Whether ``session.permissions`` can read it: here as well, so that a mistake is told with its file and key."""
    return bool(_RULE.fullmatch(text))


def check_url(key: str, url: str) -> None:
    """Raises ``SettingError`` for what is no address of a server."""
    scheme, separator, rest = url.partition("://")
    if scheme not in ("http", "https") or not separator or not rest.strip("/"):
        raise SettingError(key, "must start with http:// or https:// and name a host")
    if "@" in rest.partition("/")[0]:
        # The value is not repeated: it holds a password.
        raise SettingError(key, "must not hold a user name or password; put the key into an environment variable")


class Prices(Section, frozen=True):
    """What a model costs, in US dollars per million tokens."""

    input_usd_per_mtok: Usd
    """A million prompt tokens that were not in the provider's cache."""
    output_usd_per_mtok: Usd
    """A million tokens of the answer, reasoning included."""
    cache_read_usd_per_mtok: Usd | None = None
    """A million prompt tokens read from the provider's cache; null: priced as input."""
    cache_write_usd_per_mtok: Usd | None = None
    """A million prompt tokens written to the provider's cache; null: priced as input."""


class ProviderProfile(Section, frozen=True):
    """A named provider: with ``providers.<name>`` set, its models are ``<name>/<model>``."""

    base_url: str = ""
    """Where the provider answers, up to and including the version: ``http://localhost:8000/v1``. Only ``litellm`` can do without."""
    wire: Literal["openai", "anthropic", "litellm"] = "openai"
    """What it speaks: OpenAI Chat Completions, Anthropic Messages, or whatever litellm makes of it (extra ``ml-intern[litellm]``)."""
    api_key_env: str = ""
    """The *name* of the environment variable that holds the key; empty: the provider needs none."""
    headers: SecretMap = field(default_factory=SecretMap)
    """Headers sent with every request. Values may be ``${VARIABLE}``; they are never shown."""
    context_window: Annotated[int, Meta(ge=1)] | None = None
    """Tokens the model can read; null: from the catalogue, or learnt from the provider's first refusal."""
    prices: Prices | None = None
    """What the models of this provider cost; null: from the catalogue, else unknown (which is not free)."""
    sees_images: bool | None = None
    """Whether its models can look at pictures; null: from the catalogue."""

    def __post_init__(self) -> None:
        if self.wire != "litellm" and not self.base_url:
            raise SettingError("base_url", "is missing: say where the provider answers, such as http://localhost:8000/v1")
        if self.base_url:
            check_url("base_url", self.base_url)
        if self.api_key_env and not _VARIABLE_NAME.fullmatch(self.api_key_env):
            # The value is not repeated: people paste the key itself here.
            raise SettingError("api_key_env", "must be the name of an environment variable, not the key itself")


class Permissions(Section, frozen=True):
    """Rules such as ``bash(pytest *)``, ``write``, ``hf_jobs(run cpu-*)``, ``mcp:github:*``. Deny wins over ask, ask over allow."""

    allow: tuple[str, ...] = ()
    """Calls that run without asking."""
    ask: tuple[str, ...] = ()
    """Calls that always ask."""
    deny: tuple[str, ...] = ()
    """Calls that are refused."""

    def __post_init__(self) -> None:
        for key, rules in (("allow", self.allow), ("ask", self.ask), ("deny", self.deny)):
            for rule in rules:
                if not is_rule(rule):
                    raise SettingError(key, f"holds '{rule}', which is no rule: write `tool`, or `tool(pattern)` such as `bash(pytest *)`")


class SandboxSettings(Section, frozen=True):
    """The operating system's sandbox around local commands (bubblewrap on Linux, sandbox-exec on macOS)."""

    enabled: bool = True
    """Run local commands in the sandbox. Where the system has none, commands that do more than read ask first."""
    network: bool = True
    """Let sandboxed commands reach the network."""
    pass_env: tuple[str, ...] = ()
    """Variables that commands may see although their names look like secrets."""
    writable: tuple[str, ...] = ()
    """Folders, beside the workspace and the temporary one, that commands may write to. ``~`` is your home."""


class Services(Section, frozen=True):
    """Where outside services answer: for a private Hub, a mirror, GitHub Enterprise, or a test."""

    hub: str = ""
    """The Hugging Face Hub; empty: the variable ``HF_ENDPOINT``, else https://huggingface.co."""
    datasets_server: str = "https://datasets-server.huggingface.co"
    """The Hub's dataset viewer."""
    arxiv: str = "https://arxiv.org"
    """arXiv, for the HTML and the PDF of papers."""
    ar5iv: str = "https://ar5iv.labs.arxiv.org"
    """HTML of papers that arXiv has none of."""
    semantic_scholar: str = "https://api.semanticscholar.org"
    """Citations, recommendations and filtered search. The variable ``S2_API_KEY`` raises its limits."""
    github: str = "https://api.github.com"
    """GitHub's API. ``GITHUB_TOKEN`` (or ``GH_TOKEN``) raises its limits and opens private repositories."""
    docs: str = "https://huggingface.co"
    """The documentation of Hugging Face's libraries. A private Hub has none; a mirror of the public one may."""
    gradio: str = "https://gradio.app"
    """Gradio's documentation."""
    slack: str = "https://slack.com/api"
    """Slack's Web API."""

    def __post_init__(self) -> None:
        for key in self.__struct_fields__:
            if (url := getattr(self, key)) or key != "hub":
                check_url(key, url)


class WebSettings(Section, frozen=True):
    """Searching the web and reading pages of it."""

    search: Literal["duckduckgo", "brave", "tavily", "exa", "searxng"] = "duckduckgo"
    """Who searches. Brave, Tavily and Exa need a key, SearXNG the address of an instance."""
    search_url: str = ""
    """Where the search answers; empty: the provider's public address. SearXNG has none."""
    search_key_env: str = ""
    """The *name* of the variable that holds the key; empty: ``BRAVE_API_KEY``, ``TAVILY_API_KEY`` or ``EXA_API_KEY``."""
    allow_private: tuple[str, ...] = ()
    """Hosts (``name`` or ``name:port``) that the page reader may go to although they are on this machine or its network."""

    def __post_init__(self) -> None:
        if self.search_url:
            check_url("search_url", self.search_url)
        elif self.search == "searxng":
            raise SettingError("search_url", "is missing: say where your SearXNG instance answers")
        if self.search_key_env and not _VARIABLE_NAME.fullmatch(self.search_key_env):
            raise SettingError("search_key_env", "must be the name of an environment variable, not the key itself")


class JobSettings(Section, frozen=True):
    """Where training jobs run."""

    backend: Literal["auto", "hub", "local"] = "auto"
    """Hugging Face Jobs, this machine, or (auto) the Hub when there is a token for it and else this machine."""
    local_memory_gb: Annotated[float, Meta(gt=0)] | None = None
    """Memory that one local job may take, in GiB; null: no limit."""
    local_cpu_count: Annotated[int, Meta(ge=1)] | None = None
    """Processors that one local job may use; null: all."""
    forward_token: bool = True
    """Give jobs on the Hub the token as the secret ``HF_TOKEN``, so that a script can push what it made."""


class RemoteSandbox(Section, frozen=True):
    """The Hugging Face sandbox of ``tool_runtime: sandbox``: folders that must be writable in its image."""

    folder: str = "/app"
    """Where the tools work."""
    tmp: str = "/tmp"
    """For temporary files."""

    def __post_init__(self) -> None:
        for key in ("folder", "tmp"):
            if not getattr(self, key).startswith("/"):
                raise SettingError(key, "must be an absolute path of the sandbox")


class ResearchSettings(Section, frozen=True):
    """The research sub-agent."""

    model_name: Annotated[str, Meta(min_length=1)] | None = None
    """Its model; null: the session's."""
    max_iterations: Annotated[int, Meta(ge=1)] = 60
    """Its steps for one task."""
    max_cost_usd: Usd | None = None
    """Dollars that one task may spend on its model; null: what the session has left."""


class SlackDestination(Section, frozen=True, tag_field="provider", tag="slack"):
    """A Slack channel to notify."""

    token: SecretStr
    """The bot token; write ``${SLACK_BOT_TOKEN}`` and keep the token itself out of the file."""
    channel: Annotated[str, Meta(min_length=1)]
    """Channel id or name."""
    allow_agent_tool: bool = False
    """The agent's ``notify`` tool may write here."""
    allow_auto_events: bool = False
    """The events of ``messaging.auto_event_types`` are sent here."""
    username: str | None = None
    """The name to post under; null: the bot's own."""
    icon_emoji: str | None = None
    """The picture to post under, such as ``:robot_face:``."""

    def __post_init__(self) -> None:
        if not self.token:
            raise SettingError("token", "is empty")


class AppriseDestination(Section, frozen=True, tag_field="provider", tag="apprise"):
    """Any service that Apprise knows: e-mail, Discord, Telegram, ntfy, a webhook, … (extra ``ml-intern[notify]``)."""

    url: SecretStr
    """The service's Apprise address, such as ``${NTFY_URL}`` with ``ntfy://topic`` in it; it usually holds a key."""
    allow_agent_tool: bool = False
    """The agent's ``notify`` tool may write here."""
    allow_auto_events: bool = False
    """The events of ``messaging.auto_event_types`` are sent here."""

    def __post_init__(self) -> None:
        if "://" not in self.url.reveal():
            # The value is not repeated: it holds a key.
            raise SettingError("url", "must be an Apprise address such as ntfy://topic or mailto://user:password@host")


Destination: TypeAlias = SlackDestination | AppriseDestination


class Messaging(Section, frozen=True):
    """Who is told when a run ends, fails, or waits for you."""

    enabled: bool = False
    """Send notifications at all."""
    auto_event_types: tuple[AutoEvent, ...] = ("approval_required", "error", "turn_complete")
    """Events that are sent without the agent's doing."""
    destinations: dict[str, Destination] = field(default_factory=dict[str, Destination])
    """Where to, by name (lower-case letters, digits, ``.``, ``_``, ``-``)."""
    answers: AnswerSettings = AnswerSettings()
    """Answers from Slack."""

    def __post_init__(self) -> None:
        for name in self.destinations:
            if not _DESTINATION_NAME.fullmatch(name):
                raise SettingError(f"destinations.{name}", "must be named with lower-case letters, digits, '.', '_' or '-'")
        if self.enabled and not self.destinations:
            raise SettingError("enabled", "is true, but there is no destination in messaging.destinations")
        if self.answers.enabled and self.answers_in is None:
            raise SettingError("answers.destination", "must name a destination of Slack in messaging.destinations")

    @property
    def answers_in(self) -> SlackDestination | None:
        """Where questions are asked: the destination of ``answers``, or the first one of Slack."""
        slack = {name: to for name, to in self.destinations.items() if isinstance(to, SlackDestination)}
        return slack.get(self.answers.destination) if self.answers.destination else next(iter(slack.values()), None)


class McpServer(Section, frozen=True):
    """A server of the Model Context Protocol: a program to start (``command``) or an address (``url``)."""

    command: str | None = None
    """The program to start; it speaks over its standard input and output."""
    args: tuple[str, ...] = ()
    """Its arguments."""
    env: SecretMap = field(default_factory=SecretMap)
    """Its variables, beside the harmless ones it inherits. Values may be ``${VARIABLE}``; they are never shown."""
    cwd: str | None = None
    """The folder to start it in."""
    url: str | None = None
    """Where a remote server answers."""
    transport: Literal["stdio", "http", "streamable-http", "sse"] | None = None
    """How to speak with it; null: ``stdio`` with a command, ``http`` with a URL."""
    headers: SecretMap = field(default_factory=SecretMap)
    """Headers sent to it. No token is added, except the Hub's to the Hub's own server. Values may be ``${VARIABLE}``; never shown."""
    timeout_s: Annotated[float, Meta(gt=0)] | None = None
    """How long one call, or connecting (60 at most), may go without an answer or a sign of progress; null: the usual limits."""
    trusted: bool = False
    """Believe the server when it says that a tool only reads: such tools run without asking."""
    oauth: bool = False
    """Sign in with OAuth (``ml-intern mcp login NAME``) when the server wants it."""
    enabled: bool = True
    """Use it."""

    def __post_init__(self) -> None:
        if (self.command is None) == (self.url is None):
            raise SettingError("command", "or url: give exactly one of the two")
        if self.transport is not None and (self.transport == "stdio") != (self.command is not None):
            raise SettingError("transport", "must be stdio with a command, and http, streamable-http or sse with a url")
        if self.oauth and self.url is None:
            raise SettingError("oauth", "is for a server with a url")
        if self.url is not None:
            check_url("url", self.url)

    def __repr__(self) -> str:
        # Arguments and query strings may hold keys.
        return f"McpServer({self.command or (self.url or '').partition('?')[0]!r})"


class Settings(Section, frozen=True):
    """Everything that can be configured."""

    model_name: Annotated[str, Meta(min_length=1)] | None = None
    """The model: ``<org>/<model>[:<tag>]`` on the Hugging Face router, ``anthropic/…``, ``openai/…``, ``ollama/…``, ``vllm/…``,
    ``lm_studio/…``, ``llamacpp/…``, or ``<profile>/<model>`` of ``providers``. Null: chosen by the keys that are there."""
    reasoning_effort: Effort | None = "high"
    """How hard the model is asked to think; what a model does not offer is lowered to what it does. Null: not asked at all."""
    stream: bool = True
    """Show the answer while it is written."""
    request_timeout_s: Annotated[float, Meta(gt=0)] = 600.0
    """Seconds that one model request may be silent."""
    router_url: str = "https://router.huggingface.co/v1"
    """The Hugging Face router."""
    providers: dict[str, ProviderProfile] = field(default_factory=dict[str, ProviderProfile])
    """Your own providers, by name."""
    max_iterations: int = 300
    """Steps (model calls) of one turn; -1: no limit."""
    max_cost_usd: Usd | None = None
    """Dollars that one session may spend on models, jobs and sandboxes together; null: no cap."""
    usage_warning_usd: Annotated[float, Meta(gt=0)] = 5.0
    """Dollars after which a session asks whether to go on; the threshold doubles each time."""
    read_only: bool = False
    """Only look: calls that change or start anything are refused."""
    yolo_mode: bool = False
    """Approve without asking, recurring jobs excepted."""
    services: Services = Services()
    """Addresses of outside services."""
    web: WebSettings = WebSettings()
    """Web search and page reading."""
    jobs: JobSettings = JobSettings()
    """Training jobs."""
    research: ResearchSettings = ResearchSettings()
    """The research sub-agent."""
    hub_artifacts: bool = False
    """Tag what a session and its jobs put on the Hub with ``ml-intern``, say in its card where it comes from, and collect it in a
    private collection."""
    confirm_cpu_jobs: bool = True
    """Ask before a job on CPU hardware too."""
    permissions: Permissions = Permissions()
    """Which calls run, ask, or are refused."""
    wait_for_approval_s: Annotated[float, Meta(ge=0)] | None = None
    """Seconds that a headless run waits for an approval from elsewhere; null: as long as Slack may answer, if it may, else not at all."""
    hooks: HookSettings = HookSettings()
    """Your own programs at moments of a session."""
    snapshots: bool = True
    """Record the workspace's files before each turn, outside of it, so that a rewind can take them back."""
    sandbox: SandboxSettings = SandboxSettings()
    """The sandbox around local commands."""
    tool_runtime: Literal["local", "sandbox"] = "local"
    """Where the tools work: on this machine, or in a Hugging Face sandbox."""
    remote_sandbox: RemoteSandbox = RemoteSandbox()
    """That sandbox."""
    mcp_servers: dict[str, McpServer] = field(name="mcpServers", default_factory=dict[str, McpServer])
    """MCP servers whose tools the agent may use, by name."""
    messaging: Messaging = Messaging()
    """Notifications."""
    terminal_notifications: Literal["auto", "bell", "desktop", "off"] = "auto"
    """How the terminal app calls you when it waits for you or a long turn is over: ``desktop`` rings and shows a notification,
    ``auto`` does so in iTerm2, kitty, Ghostty and WezTerm and rings elsewhere. tmux needs ``set -g allow-passthrough on`` for it."""
    terminal: TerminalSettings = TerminalSettings()
    """How the terminal app looks."""
    keys: dict[str, str] = field(default_factory=dict[str, str])
    """Other keys for the terminal app, by what they do: ``{"interrupt": "ctrl+x"}``; several are separated by commas. What there is to
    change stands in ``/help``."""
    save_sessions: bool = True
    """Keep sessions on this machine, so that they can be resumed."""
    share_traces: bool = False
    """Upload traces of sessions, scrubbed of secrets, to your own private dataset. Off until you have said yes."""
    share_session_dataset: bool = False
    """Upload them to ``session_dataset_repo`` as well, which others read. Needs ``share_traces``, and a yes of its own."""
    session_dataset_repo: str = "smolagents/ml-intern-sessions"
    """The shared dataset; it gets a session as one row when the session ends, and only with ``share_session_dataset``."""
    personal_trace_repo_template: str = "{hf_user}/ml-intern-sessions"
    """Your own dataset for traces, made private; ``{hf_user}`` is your Hub name."""
    auto_save_interval: Annotated[int, Meta(ge=0)] = 1
    """Turns between two uploads of a shared trace; 0: only at the end."""
    heartbeat_interval_s: Annotated[int, Meta(ge=0)] = 60
    """Seconds between uploads while one turn runs; 0: never."""
    auto_file_upload: bool = False
    """Upload files to your Hub repositories without asking."""

    def __post_init__(self) -> None:
        if self.max_iterations < -1 or self.max_iterations == 0:
            raise SettingError("max_iterations", "must be at least 1, or -1 for no limit")
        check_url("router_url", self.router_url)
        check_keys(self.keys)
        for name in self.providers:
            if not name or "/" in name or any(c.isspace() for c in name):
                raise SettingError(f"providers.{name}", "must be named without '/' and white space: models are <name>/<model>")
