"""Who gets the Hub's token, which servers sleep, and what programs inherit."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.config.secret import SecretMap
from ml_intern.config.settings import McpServer
from ml_intern.mcp.surroundings import program_variables, request_headers, why_dormant
from tests.mcp_support import at, surroundings


@pytest.mark.parametrize(
    ("url", "endpoint", "gets_it"),
    [
        ("https://huggingface.co/mcp?login", "https://huggingface.co", True),
        ("https://huggingface.co:443/mcp", "https://huggingface.co", True),
        ("https://HuggingFace.co/mcp", "https://huggingface.co/", True),
        ("http://huggingface.co/mcp", "https://huggingface.co", False),
        ("https://huggingface.co.evil.example/mcp", "https://huggingface.co", False),
        ("https://sub.huggingface.co/mcp", "https://huggingface.co", False),
        ("https://evil.example/huggingface.co", "https://huggingface.co", False),
        ("https://hub.corp.example/mcp", "https://hub.corp.example", True),
        ("https://huggingface.co/mcp", "https://hub.corp.example", False),
        ("http://127.0.0.1:9000/mcp", "http://127.0.0.1:9001", False),
    ],
)
def test_the_hubs_token_goes_to_the_hubs_origin_only(tmp_path: Path, url: str, endpoint: str, gets_it: bool) -> None:
    """W19."""
    headers = request_headers(at(url), surroundings(tmp_path, token="hf_x", endpoint=endpoint))
    assert headers == ({"Authorization": "Bearer hf_x"} if gets_it else {})


def test_the_users_own_authorization_wins(tmp_path: Path) -> None:
    """W19."""
    server = at("https://huggingface.co/mcp", headers={"AUTHORIZATION": "Bearer mine"})
    assert request_headers(server, surroundings(tmp_path, token="hf_x")) == {"AUTHORIZATION": "Bearer mine"}


def test_hugging_faces_server_sleeps_without_a_token(tmp_path: Path) -> None:
    server = at("https://huggingface.co/mcp?login")
    assert "HF_TOKEN" in why_dormant(server, surroundings(tmp_path))
    assert why_dormant(server, surroundings(tmp_path, token="hf_x")) == ""
    assert "https://hub.corp.example" in why_dormant(server, surroundings(tmp_path, token="hf_x", endpoint="https://hub.corp.example"))
    nobody = why_dormant(server, surroundings(tmp_path, endpoint="https://hub.corp.example"))
    assert "https://hub.corp.example" in nobody and "your token" not in nobody, "there is none"
    assert why_dormant(at("https://huggingface.co/mcp", headers={"Authorization": "x"}), surroundings(tmp_path)) == ""
    assert why_dormant(at("https://other.example/mcp"), surroundings(tmp_path)) == ""
    assert "disabled" in why_dormant(at("https://other.example/mcp", enabled=False), surroundings(tmp_path))


def test_a_program_inherits_what_it_needs_and_no_secret() -> None:
    server = McpServer(command="x", env=SecretMap({"TOKEN": "its own"}))
    ours = {
        "PATH": "/bin", "LC_ALL": "C", "https_proxy": "http://proxy:1", "UV_INDEX_URL": "http://mirror", "HF_TOKEN": "hf_1",
        "UV_PUBLISH_TOKEN": "t", "NPM_CONFIG__AUTH": "t", "XDG_RUNTIME_DIR": "/run/1", "MY_PROJECT": "x",
    }  # fmt: skip
    inherited = {"PATH": "/bin", "LC_ALL": "C", "https_proxy": "http://proxy:1", "UV_INDEX_URL": "http://mirror"}
    assert program_variables(server, ours) == {"TERM": "dumb", **inherited, "TOKEN": "its own"}
