import os
import time
from pathlib import Path

import pytest

from ml_intern.compute.hidden_paths import HiddenPaths, hidden_paths


@pytest.mark.parametrize(
    "name",
    [
        ".ssh",
        ".aws",
        ".config/gcloud",
        ".netrc",
        ".config/gh",
        ".git-credentials",
        ".kube",
        ".docker",
        ".gnupg",
        ".cache/huggingface/token",
        ".cache/huggingface/stored_tokens",
        ".local/share/keyrings",
        ".bash_history",
        ".zsh_history",
        ".python_history",
        ".mozilla",
        ".config/google-chrome",
        ".config/chromium",
        ".pypirc",
        ".npmrc",
        ".env",
        ".local/share/uv/credentials",
        ".kaggle",
        "Library/Application Support/Google/Chrome",
    ],
)
def test_well_known_places_of_credentials_are_hidden(tmp_path: Path, name: str) -> None:
    hidden = HiddenPaths(hidden_paths(tmp_path, {}))
    assert hidden.covers(tmp_path / name)
    assert hidden.covers(tmp_path / name / "inner" / "file")


def test_the_rest_of_the_home_folder_is_not(tmp_path: Path) -> None:
    hidden = HiddenPaths(hidden_paths(tmp_path, {}))
    for name in ("notes.txt", ".config", ".config/git/config", ".cache/huggingface/hub/models--x", ".sshx", "src/.ssh-example"):
        assert not hidden.covers(tmp_path / name)


def test_where_installers_find_their_packages_stays_readable(tmp_path: Path) -> None:
    hidden = HiddenPaths(hidden_paths(tmp_path, {}))
    assert not any(hidden.covers(tmp_path / name) for name in (".config/pip/pip.conf", ".pip/pip.conf", ".condarc", ".config/uv/uv.toml"))


def test_places_that_variables_name_are_hidden_too(tmp_path: Path) -> None:
    environ = {
        "HF_HOME": str(tmp_path / "hf"),
        "HF_TOKEN_PATH": str(tmp_path / "tok"),
        "KUBECONFIG": f"{tmp_path}/k1:{tmp_path}/k2",
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "gcp.json"),
        "XDG_CONFIG_HOME": str(tmp_path / "conf"),
    }
    hidden = HiddenPaths(hidden_paths(tmp_path, environ, [tmp_path / "ours"]))
    for name in ("hf/token", "hf/stored_tokens", "tok", "k1", "k2", "gcp.json", "conf/gh/hosts.yml", "ours/sessions.db"):
        assert hidden.covers(tmp_path / name), name


def test_only_what_exists_is_listed_and_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / ".ssh").symlink_to("real")
    hidden = HiddenPaths([tmp_path / ".ssh", tmp_path / ".aws"])
    assert hidden.existing() == [str(tmp_path / "real")]
    assert hidden.covers(tmp_path / "real" / "id")
    (tmp_path / ".aws").mkdir()
    assert str(tmp_path / ".aws") in hidden.existing()


def test_a_folder_above_credentials_is_known(tmp_path: Path) -> None:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    hidden = HiddenPaths(hidden_paths(tmp_path / "home", {}))
    assert hidden.any_below(tmp_path)
    assert hidden.any_below(tmp_path / "home")
    assert not hidden.any_below(tmp_path / "home" / "src")


def test_credentials_made_later_are_known_to_lie_below_a_folder(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    for folder in (project, home):
        folder.mkdir()
    hidden = HiddenPaths(hidden_paths(home, {}))
    assert not hidden.any_below(home)
    (home / ".config" / "gh").mkdir(parents=True)
    assert hidden.any_below(home)
    assert not hidden.any_below(project)
    (project / "keys").mkdir()
    (home / ".ssh").symlink_to(project / "keys")
    assert hidden.any_below(project)
    (home / ".ssh").unlink()
    assert not hidden.any_below(project)


def test_credentials_made_within_one_tick_of_the_file_system_are_seen(tmp_path: Path) -> None:
    now = time.time_ns() + 60_000_000_000  # however slow this test is, it is no time long past
    hidden = HiddenPaths([tmp_path / ".ssh"])
    os.utime(tmp_path, ns=(now, now))
    assert hidden.existing() == []
    (tmp_path / ".ssh").mkdir()
    os.utime(tmp_path, ns=(now, now))
    assert hidden.existing() == [str(tmp_path / ".ssh")]


def test_credentials_made_in_a_folder_that_nobody_touched_for_long_are_seen(tmp_path: Path) -> None:
    os.utime(tmp_path, (1_000_000_000, 1_000_000_000))
    hidden = HiddenPaths([tmp_path / ".ssh"])
    assert hidden.existing() == hidden.existing() == []
    (tmp_path / ".ssh").mkdir()
    assert hidden.existing() == [str(tmp_path / ".ssh")]


def test_credentials_of_a_folder_that_another_replaces_are_seen(tmp_path: Path) -> None:
    for name in ("config", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "gh").touch()
    for name in ("config", "other"):
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))
    hidden = HiddenPaths([tmp_path / "config" / "gh"])
    assert hidden.existing() == hidden.existing() == []
    (tmp_path / "config").rmdir()
    (tmp_path / "other").rename(tmp_path / "config")
    assert hidden.existing() == [str(tmp_path / "config" / "gh")]
