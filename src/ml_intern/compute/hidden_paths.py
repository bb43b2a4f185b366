"""Where credentials lie: what neither commands nor file tools may see, though the rest of the home folder stays readable."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_IN_HOME = """
.ssh .gnupg .pki .password-store .age .config/sops .vault-token .netrc _netrc .authinfo .authinfo.gpg
.aws .azure .boto .s3cfg .oci .config/gcloud .config/doctl .config/hcloud .config/linode-cli .config/rclone .config/scaleway .fly
.kube .docker .config/containers/auth.json .config/helm/registry .terraform.d/credentials.tfrc.json .terraformrc
.config/gh .config/hub .config/glab-cli .git-credentials .config/git/credentials .gitcookies
.env .local/share/uv/credentials .conda/aau_token .config/binstar .continuum
.npmrc .yarnrc.yml .pypirc .gem/credentials .cargo/credentials .cargo/credentials.toml .composer/auth.json .m2/settings.xml
.pgpass .my.cnf .mylogin.cnf .snowflake .snowsql .databrickscfg .dbt .mongorc.js
.huggingface .cache/huggingface/token .cache/huggingface/stored_tokens .kaggle .modal.toml .lambda_cloud .vast_api_key .config/vastai
.runpod .config/wandb .config/comet .comet.config .config/lightning .lightning/credentials.json .replicate .together .config/dstack .sky
.openai .config/openai .anthropic .config/anthropic .claude .claude.json .codex .gemini .config/gemini .config/github-copilot
.config/io.datasette.llm .aider.conf.yml .cursor .config/Cursor .config/Code/User/globalStorage .continue .vibe .kimi
.local/share/keyrings .local/share/kwalletd .config/op
.config/1Password .config/Bitwarden .config/Bitwarden~CLI .bitwarden .config/keepassxc
.1password .colima .lima .orbstack .rd
.Xauthority .ICEauthority
.bash_history .zsh_history .sh_history .history .python_history .node_repl_history .psql_history .mysql_history .sqlite_history
.rediscli_history .lesshst .local/share/fish/fish_history .zsh_sessions .ipython/profile_default/history.sqlite
.mozilla .thunderbird .config/google-chrome .config/chromium .config/BraveSoftware .config/microsoft-edge .config/vivaldi .config/opera
.config/Slack .config/discord .config/Signal .var/app snap/firefox snap/chromium
Library/Keychains Library/Cookies Library/Safari Library/Messages Library/Mail Library/Application~Support/Google/Chrome
Library/Application~Support/Firefox Library/Application~Support/BraveSoftware Library/Application~Support/Microsoft~Edge
Library/Application~Support/Slack Library/Application~Support/1Password Library/Application~Support/com.apple.TCC
"""
"""Relative to the home folder; ``~`` stands for a space."""

_OF_SYSTEM = (
    "/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d", "/etc/krb5.keytab",
    "/etc/ssl/private", "/etc/wireguard", "/etc/NetworkManager/system-connections", "/etc/kubernetes", "/var/lib/docker",
    "/var/lib/kubelet", "/var/run/secrets", "/var/lib/lxd", "/var/snap/lxd/common/lxd", "/var/lib/incus", "/var/lib/containerd",
)  # fmt: skip

_NAMED_BY_VARIABLES = (
    "HF_TOKEN_PATH", "GOOGLE_APPLICATION_CREDENTIALS", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AZURE_CONFIG_DIR",
    "CLOUDSDK_CONFIG", "KUBECONFIG", "DOCKER_CONFIG", "GNUPGHOME", "NETRC", "PGPASSFILE", "NPM_CONFIG_USERCONFIG", "KAGGLE_CONFIG_DIR",
    "GH_CONFIG_DIR", "PASSWORD_STORE_DIR", "XAUTHORITY", "HISTFILE", "VAULT_TOKEN_PATH", "CODEX_HOME", "CLAUDE_CONFIG_DIR",
)  # fmt: skip


def hidden_paths(home: Path, environ: Mapping[str, str], extra: Iterable[Path] = ()) -> tuple[Path, ...]:
    """All places to hide, whether they exist or not. ``extra``: our own configuration and data folders."""
    names = [name.replace("~", " ") for name in _IN_HOME.split()]
    found = [home / name for name in names] + [Path(name) for name in _OF_SYSTEM]
    for variable in _NAMED_BY_VARIABLES:
        found += [Path(os.path.expanduser(part)) for part in environ.get(variable, "").split(":") if part]
    for config_home in _folders(environ.get("XDG_CONFIG_HOME")):
        found += [config_home / name.removeprefix(".config/") for name in names if name.startswith(".config/")]
    for hf_home in _folders(environ.get("HF_HOME")):
        found += [hf_home / "token", hf_home / "stored_tokens"]
    return tuple(dict.fromkeys([*found, *extra]))


SETTLED_NS = 100_000_000
"""A folder changed more lately than this may change again without getting another time: file systems count in ticks."""


def _stamp(folders: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """Each folder's number and when something was last made or removed in it; zeros for one that is not there, and nothing for what
    would lie in it.
    """
    stamp: list[tuple[int, int]] = []
    missing = "\0"
    for folder in folders:
        if folder.startswith(missing):
            continue
        try:
            status = os.stat(folder)
        except OSError:
            stamp.append((0, 0))
            missing = f"{folder}/"
        else:
            stamp.append((status.st_ino, status.st_mtime_ns))
    return tuple(stamp)


def _folders(value: str | None) -> list[Path]:
    return [Path(os.path.expanduser(value))] if value else []


class HiddenPaths:
    """The places of ``hidden_paths`` as they are on disk: links followed, what does not exist left out."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(str(path) for path in paths)
        self._resolved: dict[str, str] = {}
        self._names: set[str] | None = None
        self._folders = sorted({os.path.dirname(path) for path in self._paths})
        self._seen: tuple[tuple[tuple[int, int], ...], list[str]] | None = None

    def existing(self) -> list[str]:
        """Resolved paths of what exists now: credentials may be made while a session runs. Asked before every command, so it looks
        again only where something was made or removed.
        """
        stamp = _stamp(self._folders)
        if self._seen is not None and self._seen[0] == stamp:
            return self._seen[1]
        found = self._look()
        settled = max((changed for _, changed in stamp), default=0) < time.time_ns() - SETTLED_NS
        self._seen = (stamp, found) if settled else None
        return found

    def _look(self) -> list[str]:
        found: list[str] = []
        for path in self._paths:
            try:
                os.lstat(path)
            except OSError:
                continue
            if (real := self._resolved.get(path)) is None:
                real = self._resolved[path] = os.path.realpath(path)
            found.append(real)
        self._names = {*self._paths, *found}
        return found

    def covers(self, path: Path) -> bool:
        """Whether a resolved path is one of them or lies in one."""
        names = self._known()
        return str(path) in names or any(str(parent) in names for parent in path.parents)

    def any_below(self, path: Path) -> bool:
        """Whether something that exists lies somewhere in the folder."""
        prefix = f"{str(path).rstrip('/')}/"
        return any(found.startswith(prefix) for found in self.existing())

    def _known(self) -> set[str]:
        if self._names is None:
            self.existing()
        return self._names or set()
