"""What a headless run imports before its first model request. Start-up speed is a feature, and one import can undo it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "litellm",
    "textual",
    "fastapi",
    "pydantic",
    "huggingface_hub",
    "mcp",
    "rich",
    "genai_prices",
    "detect_secrets",
    "openai",
    "anthropic",
    "jsonschema",
    "rapidfuzz",
    "yaml",
    "numpy",
)
_WITNESS = """
import runpy, sys, traceback
end = sys.argv.index("--")
wanted = set(sys.argv[1:end])
class Witness:
    def find_spec(self, name, path=None, target=None):
        if name in wanted:
            ours = [frame for frame in traceback.extract_stack() if "ml_intern" in frame.filename]
            for frame in ours[-1:]:
                print(f"imported at {frame.filename}:{frame.lineno}: {name}", file=sys.stderr, flush=True)
sys.meta_path.insert(0, Witness())
sys.argv[:end + 1] = ["ml-intern"]
runpy.run_module("ml_intern", run_name="__main__", alter_sys=True)
"""
_LINE = re.compile(r"^import time:\s+(\d+) \|\s+(\d+) \|( *)(\S+)$", re.MULTILINE)


def import_chain(trace: str, module: str) -> str | None:
    """``a → b → module`` as ``-X importtime`` saw it, or None. A module is printed before, and indented under, its importer."""
    entries = [(match[4], len(match[3])) for match in _LINE.finditer(trace)]
    for position, (name, depth) in enumerate(entries):
        if name == module or name.startswith(f"{module}."):
            return " → ".join([*_importers(entries[position + 1 :], depth), name])
    return None


def _importers(later: list[tuple[str, int]], depth: int) -> list[str]:
    chain: list[str] = []
    shallowest = depth
    for name, indent in later:
        if indent < shallowest:
            chain.insert(0, name)
            shallowest = indent
    return chain


def until_first_request(home: Path, workspace: Path, *python: str) -> str:
    """Run the real command up to the moment in which its first request arrives; what it wrote to stderr up to then."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        _configure(home, f"http://127.0.0.1:{server.getsockname()[1]}/v1")
        trace = workspace / "trace"
        with trace.open("w") as stderr:
            command = [sys.executable, *python, "--model", "local/model", "say hello"]
            process = subprocess.Popen(command, cwd=workspace, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)
            try:
                request = _first_bytes(server, process)
            finally:
                process.kill()
                process.wait()
        written = trace.read_text()
        assert request.startswith(b"POST /v1/chat/completions "), f"no request came; the program said:\n{_without_trace(written)}"
        return written


def _configure(home: Path, url: str) -> None:
    config = home / ".config" / "ml-intern" / "cli_agent_config.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps({"providers": {"local": {"base_url": url}}}))


def _first_bytes(server: socket.socket, process: subprocess.Popen[bytes]) -> bytes:
    server.settimeout(0.1)
    while process.poll() is None:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        with connection:
            connection.settimeout(30)
            return connection.recv(64)
    return b""


def _witnesses(home: Path, workspace: Path) -> str:
    """Which lines of ours asked for the heavy modules; an import inside a function has no importer in the trace."""
    lines = until_first_request(home, workspace, "-c", _WITNESS, *HEAVY, "--").splitlines()
    return "\n".join(line for line in lines if line.startswith("imported at "))


def _without_trace(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("import time:"))


def test_nothing_heavy_is_imported_before_the_first_model_request(home: Path, tmp_path: Path) -> None:
    trace = until_first_request(home, tmp_path, "-X", "importtime", "-m", "ml_intern")
    assert import_chain(trace, "ml_intern.session.turn") is not None, "the trace must hold what surely was imported"
    pulled_in = {module: chain for module in HEAVY if (chain := import_chain(trace, module))}
    assert pulled_in == {}, _witnesses(home, tmp_path)


def test_the_witness_names_the_line_that_imported_a_module(home: Path, tmp_path: Path) -> None:
    lines = until_first_request(home, tmp_path, "-c", _WITNESS, "httpx2", "--")
    assert re.search(r"imported at .*ml_intern/models/\w+\.py:\d+: httpx2", lines)


@pytest.mark.parametrize(("flag", "not_even"), [("--version", "click"), ("--help", "asyncio")])
def test_version_and_help_import_no_part_of_the_agent(flag: str, not_even: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ml_intern", flag], capture_output=True, text=True, check=True, timeout=30
    )
    unwanted = (*HEAVY, "ml_intern.session", "ml_intern.tools", "ml_intern.models", "httpx2", "sqlite3", "msgspec", not_even)
    pulled_in = {module: chain for module in unwanted if (chain := import_chain(done.stderr, module))}
    assert pulled_in == {}


def test_the_chain_names_the_module_that_pulled_another_in() -> None:
    trace = (
        "import time:       100 |        100 |     rich\n"
        "import time:        10 |        110 |   app.screen\n"
        "import time:        50 |         50 |   json\n"
        "import time:        10 |        200 | app\n"
    )
    assert import_chain(trace, "rich") == "app → app.screen → rich"
    assert import_chain(trace, "json") == "app → json"
    assert import_chain(trace, "textual") is None


AFTER_THE_PAINT = (
    *(name for name in HEAVY if name not in ("textual", "rich")),
    "httpx2",
    "sqlite3",
    "hashlib",
    "pygments",
    "markdown_it",
    "PIL",
    "ml_intern.session",
    "ml_intern.stores",
    "ml_intern.gateways",
    "ml_intern.frontends.tui.cards.approval",
    "ml_intern.frontends.tui.screens",
    "ml_intern.frontends.tui.transcript",
    "ml_intern.frontends.tui.blocks.tool",
    "ml_intern.frontends.tui.commands",
    "ml_intern.frontends.tui.composer.popup",
    "ml_intern.frontends.tui.composer.images",
    "ml_intern.frontends.spending",
    "ml_intern.frontends.headless.describe",
)


def test_the_app_imports_nothing_before_its_first_paint_that_the_paint_does_not_need() -> None:
    """Core W4.6: the original made its user wait for an animation and every connection before the first key."""
    program = "import ml_intern.frontends.cli, ml_intern.config.load, ml_intern.frontends.first_run.due, ml_intern.frontends.tui.start"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert import_chain(done.stderr, "ml_intern.frontends.tui.app") is not None, "the trace must hold what surely was imported"
    pulled_in = {module: chain for module in AFTER_THE_PAINT if (chain := import_chain(done.stderr, module))}
    assert pulled_in == {}
