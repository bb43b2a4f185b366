from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ml_intern.config.credentials import looks_secret
from ml_intern.config.environ import Environ
from ml_intern.config.load import hf_token


def test_the_environment_wins_over_the_saved_login(home: Path) -> None:
    _save(home / ".cache/huggingface/token", "hf_saved")
    assert _token(home, HF_TOKEN="hf_1", HUGGING_FACE_HUB_TOKEN="hf_2") == "hf_1"
    assert _token(home, HUGGING_FACE_HUB_TOKEN="hf_2\n") == "hf_2"
    assert _token(home) == "hf_saved"


@pytest.mark.parametrize("variable", ["HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"])
def test_the_saved_login_is_found_where_the_hub_client_puts_it(home: Path, tmp_path: Path, variable: str) -> None:
    place = {"HF_TOKEN_PATH": tmp_path, "HF_HOME": tmp_path / "token", "XDG_CACHE_HOME": tmp_path / "huggingface/token"}[variable]
    if variable == "HF_TOKEN_PATH":
        place = tmp_path / "elsewhere"
        _save(place, "hf_saved\n")
        assert _token(home, HF_TOKEN_PATH=str(place)) == "hf_saved"
    else:
        _save(place, "hf_saved\n")
        assert _token(home, **{variable: str(tmp_path)}) == "hf_saved"


def test_no_token_is_none_and_an_empty_file_is_no_token(home: Path) -> None:
    assert hf_token(Environ({"HOME": str(home)})) is None
    _save(home / ".cache/huggingface/token", " \n")
    assert hf_token(Environ({"HOME": str(home)})) is None


def test_finding_the_token_does_not_import_the_hub_client() -> None:
    import subprocess

    code = "import sys, ml_intern.config.load as l; l.hf_token(l.Environ({'HOME': '/nowhere'})); print('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "OPENAI_API_KEY", "x-api-key", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "Authorization", "Cookie"]
)
def test_names_of_secrets_are_recognised(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["PATH", "HOME", "MONKEY", "Accept", "KEYBOARD", "Content-Type"])
def test_other_names_are_not(name: str) -> None:
    assert not looks_secret(name)


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _token(home: Path, **variables: str) -> str | None:
    found = hf_token(Environ({"HOME": str(home), **variables}))
    return found.reveal() if found else None
