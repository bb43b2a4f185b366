"""Write the generated pages of docs/ and the manifest of the tools from the code; ``--check`` only compares."""

from __future__ import annotations

import ast
import difflib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import NODEFAULT, Struct
from tools_page import all_tools, manifest, tools_page

from ml_intern.config import project
from ml_intern.config.json_values import KeyPath, dotted
from ml_intern.config.load import FLAG_NAMES
from ml_intern.config.settings import Settings
from ml_intern.config.tree import field_type, fields_of, in_words, is_section, tag_of
from ml_intern.protocol import display, events, messages, operations
from ml_intern.protocol.codec import EVENT_TYPES, SCHEMA_VERSION, json_schema
from ml_intern.tools.lazy import MANIFEST

DOCS = Path(__file__).parent.parent / "docs"
NOTICE = "<!-- Written by scripts/generate_docs.py from the code: `make docs`. Edits here are lost. -->\n"

CONFIGURATION = """\
# Configuration

`ml-intern config` shows each setting, its value and where it comes from; `ml-intern config check` names every mistake.

## Where settings come from

Later ones win. Objects are merged key by key; lists and plain values are replaced.

1. The file in the package.
2. Your file: `$ML_INTERN_CLI_CONFIG` if set (it must exist), else `$XDG_CONFIG_HOME/ml-intern/cli_agent_config.json`, which is
   `~/.config/ml-intern/cli_agent_config.json` unless you say otherwise. `ml-intern config path` prints it.
3. The project's file, `.ml-intern/config.json`, at the root of the project (the nearest folder with `.git` or `.ml-intern`) and in the
   folder you work in. It may only [make ml-intern more careful](#what-a-projects-file-may-set).
4. The Slack variables: `SLACK_BOT_TOKEN` with `SLACK_CHANNEL_ID` (or `SLACK_CHANNEL`) adds a destination for notifications, unless a file
   sets `messaging.enabled` to false.
5. Flags.

A file holds one JSON object. Unknown keys and bad values are errors that name the file, the key and the nearest valid one.

### Variables in values

Any string in your file may refer to the environment: `${NAME}` must be set, `${NAME:-default}` need not be, `$${NAME}` stands for the
characters themselves. In a project's file nothing is replaced.

### `.env`

Variables come from the process, then from `.env` at the project's root, then from `.env` in the folder you work in; the first one that
knows a variable wins. A `.env` arrives with the folder, so it is trusted with values such as keys, and not with variables that decide where
data goes or how programs run: `ML_INTERN_*`, `SLACK_*`, `XDG_*`, `HOME`, `PATH`, `LD_*`, `PYTHON*`, `GIT_*`, proxies, certificate bundles,
`*_ENDPOINT`, and `*_BASE_URL` except on this very machine (`http://localhost:…`). Those are left out, with a warning.
`${NAME}` inside a `.env` refers to variables of the same file.

### What a project's file may set

It comes with the folder, perhaps from a stranger: it can ask for more care, never for less.
"""

VARIABLES = """\
## Variables

| variable | what it does |
|---|---|
| `ML_INTERN_CLI_CONFIG` | your settings file |
| `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN` | the Hugging Face token; else the one that `hf auth login` saved |
| `HF_TOKEN_PATH`, `HF_HOME` | where that is (`~/.cache/huggingface/token`) |
| `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`, `OPENROUTER_API_KEY` | keys of providers |
| `OLLAMA_BASE_URL`, `VLLM_BASE_URL`, `LMSTUDIO_BASE_URL`, `LLAMACPP_BASE_URL` | local servers; each has its `…_API_KEY` |
| `LOCAL_LLM_BASE_URL`, `LOCAL_LLM_API_KEY` | the same for whichever of them has no variable of its own |
| `ML_INTERN_DEFAULT_MODEL_ID` | the model of the web app |
| `SLACK_BOT_TOKEN`, `SLACK_CHANNEL_ID` or `SLACK_CHANNEL` | a Slack destination |
| `ML_INTERN_SLACK_NOTIFICATIONS` | `false` ignores those |
| `ML_INTERN_SLACK_DESTINATION` | its name (`slack.default`) |
| `ML_INTERN_SLACK_ALLOW_AGENT_TOOL`, `ML_INTERN_SLACK_ALLOW_AUTO_EVENTS` | what it may be used for (`true`) |
| `ML_INTERN_SLACK_AUTO_EVENTS` | events to send, separated by commas |
| `XDG_CONFIG_HOME`, `XDG_DATA_HOME`, `XDG_STATE_HOME`, `XDG_CACHE_HOME` | where settings, sessions, the log file and the cache live |
| `NO_COLOR` | no colours |

Booleans are `1/true/yes/on` and `0/false/no/off`; an empty variable counts as absent.
"""

PROTOCOL = """\
# Protocol

A frontend sends **operations** to a session and reads **events** from it. Everything that happened is an event; state is what the events
add up to. `ml-intern --json` prints events, one per line; [protocol.schema.json](protocol.schema.json) is the JSON Schema of both.

## The envelope

```json
{{"v": {version}, "session": "…", "seq": 7, "at": "2026-01-31T12:00:00Z", "type": "tool_call", "data": {{…}}}}
```

`seq` counts the stored events of a session from 1. *Transient* events are shown live, never stored, and have `null` for it. `v` is the
schema's version; older events are upgraded when they are read. Fields marked with a default are left out while they hold it.
"""


class Documented(NamedTuple):
    """A class as its source documents it."""

    text: str
    fields: dict[str, str]


class ClassDocs:
    """Docstrings of classes, and of fields: the string that follows a field is its description."""

    def __init__(self) -> None:
        self._modules: dict[str, dict[str, Documented]] = {}

    def of(self, cls: type[Any]) -> Documented:
        """The documentation of a class."""
        if cls.__module__ not in self._modules:
            tree = ast.parse(Path(inspect.getfile(cls)).read_text(encoding="utf-8"))
            self._modules[cls.__module__] = {node.name: _documented(node) for node in tree.body if isinstance(node, ast.ClassDef)}
        return self._modules[cls.__module__][cls.__name__]


def _documented(node: ast.ClassDef) -> Documented:
    fields: dict[str, str] = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                fields[name] = _one_line(text)
            case _:
                pass
    return Documented(_one_line(ast.get_docstring(node) or ""), fields)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(info: msgspec.structs.FieldInfo) -> str:
    if info.default is not NODEFAULT:
        value = info.default
    elif info.default_factory is not NODEFAULT:
        value = info.default_factory()
    else:
        return "required"
    if isinstance(value, Struct):
        return ""
    return f"`{json.dumps(msgspec.to_builtins(value), ensure_ascii=False)}`"


# ── configuration ────────────────────────────────────────────────────────────────────────────────────────────────────


def configuration() -> str:
    """The page about settings. Raises ``SystemExit`` for a setting without a description."""
    docs = ClassDocs()
    parts = [NOTICE, CONFIGURATION, "\n".join(_project_rules()), "\n## Settings\n", "\n".join(_settings_table(Settings, (), docs))]
    for path, section in _sections(Settings, ()):
        kind = f" ({tag[1]})" if (tag := tag_of(section)) else ""
        parts.append(f"\n### `{dotted(path)}`{kind}\n\n{docs.of(section).text}\n\n" + "\n".join(_settings_table(section, path, docs)))
    parts.append("\n" + VARIABLES)
    return "\n".join(parts)


def _sections(section: type[Struct], prefix: KeyPath) -> Iterator[tuple[KeyPath, type[Struct]]]:
    for info in fields_of(section):
        parts = field_type(info.type)
        path = (*prefix, info.encode_name)
        if is_section(parts.bare):
            yield path, parts.bare
            yield from _sections(parts.bare, path)
        for kind in parts.entries:
            yield (*path, "<name>"), kind
            yield from _sections(kind, (*path, "<name>"))


def _settings_table(section: type[Struct], prefix: KeyPath, docs: ClassDocs) -> Iterator[str]:
    yield "| key | value | default | |\n|---|---|---|---|"
    documented = docs.of(section).fields
    if tag := tag_of(section):
        yield f"| `{dotted((*prefix, tag[0]))}` | `{tag[1]}` | required | This kind of entry. |"
    for info in fields_of(section):
        key = dotted((*prefix, info.encode_name))
        text = documented.get(info.name)
        if not text:
            raise SystemExit(f"{section.__name__}.{info.name} has no description: write a docstring under the field.")
        if flag := FLAG_NAMES.get(key):
            text += f" Flag: `{flag}`."
        yield f"| `{key}` | {_cell(in_words(info.type))} | {_default(info)} | {_cell(text)} |"


def _project_rules() -> Iterator[str]:
    yield "| key | what counts |\n|---|---|"
    for path in sorted(project.FREE):
        yield f"| `{dotted(path)}` | the project's value |"
    for path in sorted(project.LOWERED):
        yield f"| `{dotted(path)}` | the lower of the project's and yours |"
    for path in sorted(project.ADDED):
        yield f"| `{dotted(path)}` | the project's rules are added to yours |"
    for path, value in project.FIXED.items():
        yield f"| `{dotted(path)}` | only `{json.dumps(value)}` is accepted |"
    yield "\nAny other key is an error: a project chooses no model, provider, server or program, allows no calls, and opens no sandbox."


# ── protocol ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def protocol() -> str:
    """The page about operations and events."""
    docs = ClassDocs()
    parts = [NOTICE, PROTOCOL.format(version=SCHEMA_VERSION), "## Operations\n"]
    parts += [_struct(f"`{_tag(cls)}`", cls, docs) for cls in get_args(operations.AnyOperation)]
    parts.append("## Events\n")
    parts += [_event(wire, cls, docs) for wire, cls in EVENT_TYPES.items()]
    parts.append("## Values\n")
    parts += [_struct(cls.__name__, cls, docs) for cls in _values()]
    return "\n".join(parts)


def _tag(cls: type[Struct]) -> str:
    return str(cls.__struct_config__.tag)


def _event(wire: str, cls: type[events.Event], docs: ClassDocs) -> str:
    return _struct(f"`{wire}`" + (" (transient)" if cls.transient else ""), cls, docs)


def _values() -> list[type[Struct]]:
    """The classes that events and operations are made of, in the order of their modules."""
    modules = (messages, display, operations, events)
    classes = {value.__name__: value for module in modules for value in vars(module).values() if isinstance(value, type)}
    top = {cls.__name__ for cls in (*get_args(operations.AnyOperation), *EVENT_TYPES.values())}
    parts = json_schema()["$defs"].keys() - top - {"Operation", "Envelope"}
    return [cls for name, cls in classes.items() if name in parts]


def _struct(title: str, cls: type[Struct], docs: ClassDocs) -> str:
    documented = docs.of(cls)
    lines = [f"### {title}\n"]
    if documented.text:
        lines.append(f"{documented.text}\n")
    config = cls.__struct_config__
    rows = [f"| `{config.tag_field}` | `{json.dumps(config.tag)}` | |"] if config.tag_field and config.tag_field != "type" else []
    for info in fields_of(cls):
        default = _default(info)
        rows.append(f"| `{info.encode_name}` | {_cell(_type_name(info.type))} | {'' if default == 'required' else default} |")
    if rows:
        lines += ["| field | type | default |\n|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, type):
        return {"NoneType": "null", "str": "string", "int": "integer", "float": "number", "bool": "boolean"}.get(
            annotation.__name__, annotation.__name__
        )
    arguments = get_args(annotation)
    origin = getattr(annotation, "__origin__", None)
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return "object"
    if origin is Literal:
        return " | ".join(json.dumps(value) for value in arguments)
    if arguments:
        return " | ".join(_type_name(argument) for argument in arguments)
    return "any"


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def pages() -> dict[Path, str]:
    """Every generated file with what it should hold."""
    tools = all_tools()
    return {
        DOCS / "tools.md": NOTICE + "\n" + tools_page(tools),
        MANIFEST: manifest(tools),
        DOCS / "configuration.md": configuration(),
        DOCS / "protocol.md": protocol(),
        DOCS / "protocol.schema.json": json.dumps(json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n",
    }


def main(arguments: list[str]) -> int:
    """0: everything is fresh or was written; 1: with ``--check``, something is stale."""
    check = arguments == ["--check"]
    if arguments and not check:
        sys.exit("usage: generate_docs.py [--check]")
    stale = 0
    for path, text in pages().items():
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if present == text:
            continue
        stale += 1
        if check:
            changes = difflib.unified_diff(present.splitlines(), text.splitlines(), str(path.name), "from the code", lineterm="", n=1)
            print("\n".join(list(changes)[:40]))
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(DOCS.parent)}")
    if check and stale:
        print(f"{stale} generated file(s) are stale: run `make docs`.", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
