"""One door per third party, one reader of the environment, and every dependency declared and used."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from fnmatch import fnmatchcase

import pytest

from tests.architecture.sources import ROOT, Source, product

DOORS: dict[str, tuple[str, ...]] = {
    # third party: the only files (globs under src/ml_intern; * crosses folders) that may import it
    "PIL": ("frontends/tui/pictures/*",),
    "anthropic": (),
    "anyio": ("mcp/*",),
    "apprise": ("gateways/*",),
    "click": ("__main__.py", "frontends/*"),
    "detect_secrets": ("session/scrub.py", "session/secret*.py"),
    "fastapi": ("frontends/web/*",),
    "genai_prices": ("models/prices.py",),
    "httpx": (),
    "httpx2": ("models/*", "gateways/*", "compute/hf_*", "mcp/*"),
    "html_to_markdown": ("gateways/*",),
    "huggingface_hub": ("gateways/hub/*", "compute/hf_*"),
    "jsonschema": ("frontends/*", "tools/outside.py"),
    "jsonschema_specifications": ("frontends/*",),
    "keyring": ("config/kept_token.py",),
    "litellm": ("models/litellm.py",),
    "markdown_it": ("frontends/*",),
    "mcp": ("mcp/*",),
    "mcp_types": ("mcp/*",),
    "nbformat": ("gateways/*",),
    "openai": (),
    "pyarrow": ("gateways/*",),
    "pydantic": ("frontends/web/*", "mcp/*"),
    "pypdfium2": ("gateways/*",),
    "rapidfuzz": ("frontends/tui/*", "tools/*", "models/routes.py", "models/catalog.py"),
    "referencing": ("frontends/*",),
    "regex": ("frontends/tui/graphemes.py",),
    "requests": (),
    "rich": ("frontends/*",),
    "slack_sdk": ("gateways/slack_socket.py",),
    "sqlite3": ("stores/sqlite/*", "gateways/doc_index*.py", "gateways/trackio_files.py", "testing/fake_trackio.py"),
    "stamina": ("gateways/*",),
    "starlette": ("frontends/web/*",),
    "textual": ("frontends/tui/*",),
    "trustme": ("testing/*",),
    "uvicorn": ("frontends/web/*",),
    "yaml": ("config/skills.py", "gateways/hub/card.py", "models/scripted.py", "testing/*"),
}

READERS_OF_THE_ENVIRONMENT = {
    "config/load.py": "settings are read once",
    "compute/sandbox_agent.py": "a program of its own, in a remote sandbox: it hands its environment on, without the server's token",
    "compute/sandbox_helper.py": "a program of its own, on the other side of the sandbox's wall: it hands its environment on",
}

MODULE_OF_DISTRIBUTION = {"pillow": "PIL", "pyyaml": "yaml"}
COMES_WITH = {"anyio": "mcp", "markdown_it": "rich", "mcp_types": "mcp", "pydantic": "mcp", "referencing": "jsonschema"}
"""A module that is part of what another dependency offers."""

LOADED_BY_NAME: dict[str, str] = {
    # dependency: why no import of ours names it
    "detect-secrets": "session/secret_detectors.py imports its plugins by name, each when a text holds its anchor",
    "mcp": "litellm imports it for every request with tools, and does not declare it",
    "scikit-learn": "the demo's scripts import it",
    "matplotlib": "the demo's scripts import it",
}


def _may(source: Source, doors: tuple[str, ...]) -> bool:
    return any(fnmatchcase(source.name, door) for door in doors)


@pytest.mark.parametrize("third_party", sorted(DOORS))
def test_a_third_party_is_imported_through_its_own_door_only(third_party: str) -> None:
    strangers = [
        f"{source.name}:{line}"
        for source in product()
        if not _may(source, DOORS[third_party])
        for module, line in source.imports
        if module == third_party or module.startswith(f"{third_party}.")
    ]
    assert strangers == []


def test_every_third_party_has_a_door() -> None:
    imported = {module.partition(".")[0] for source in product() for module, _ in source.imports}
    unknown = imported - DOORS.keys() - set(sys.stdlib_module_names) - {"ml_intern", "msgspec"}
    assert unknown == set()


def test_the_environment_is_read_by_config_load_only() -> None:
    readers = {source.name for source in product() for node in ast.walk(source.tree) if _reads_environment(node)}
    assert readers == READERS_OF_THE_ENVIRONMENT.keys()


def _reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in ("environ", "environb", "getenv", "putenv") for alias in node.names)
    return (
        isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv", "putenv", "unsetenv", "expandvars")
        and ast.unparse(node.value) in ("os", "os.path")
    )


def test_every_declared_dependency_is_used() -> None:
    used = {module.partition(".")[0] for source in product() for module, _ in source.imports}
    unused = {name for name in _declared() if MODULE_OF_DISTRIBUTION.get(name, name.replace("-", "_")) not in used}
    assert unused - LOADED_BY_NAME.keys() == set(), "remove it from pyproject.toml, or say here why it stays"


def test_every_imported_third_party_is_declared() -> None:
    used = {module.partition(".")[0] for source in product() for module, _ in source.imports}
    declared = {MODULE_OF_DISTRIBUTION.get(name, name.replace("-", "_")) for name in _declared()}
    declared |= {module for module, owner in COMES_WITH.items() if owner in declared}
    assert used - set(sys.stdlib_module_names) - {"ml_intern"} - declared == set()


def _declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    return {re.split(r"[\s\[<>=!~;]", requirement)[0].lower() for requirement in requirements}
