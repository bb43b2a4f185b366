"""Which commands "always" may grant together: those that differ in their operands only, and in options that are known to be harmless.

A family is the beginning that its commands share (``git push origin``). Only what is listed here has one. Left out on purpose:
what runs what its arguments say (interpreters, ``env``, ``find``, ``make``, ``npx``, ``ssh``, ``pip install``), what deletes, and
programs whose next word decides what they do (``git stash``, ``git branch``, ``gh api``, ``aws``, ``conda``, ``hf repo``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from ml_intern.tools.bash.git_reads import git_reads


class _Family(Struct, frozen=True):
    """``options`` in full, each without effect on anything but what the command shows or how it does the same thing. ``values``: those
    whose value is the next word. ``named``: how many operands belong to the beginning, as they say what is done or where.
    """

    options: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    named: int = 0


def _family(options: str = "", *, values: str = "", named: int = 0) -> _Family:
    return _Family(frozenset(options.split()), frozenset(values.split()), named)


_GH_LIST = _family("--comments -c", values="-L --limit -s --state -R --repo --json -A --author -a --assignee -l --label -S --search")
_CARGO = _family("-q --quiet -v --verbose --release --workspace --all --lib --bins --tests --all-targets --all-features --locked --offline")
_DOCKER = _family("-a --all -q --quiet --no-trunc -f --follow -t --timestamps", values="-n --tail --since --until --format")
_FAMILIES: Mapping[str, _Family] = {
    "git add": _family("-A --all -u --update -v --verbose -n --dry-run -N --intent-to-add --"),
    "git commit": _family("-a --all -m -am --message -q --quiet -v --verbose -s --signoff --"),
    # Where it goes to, and where it comes from, is the remote: a path would be a repository whose hooks run.
    "git push": _family("-u --set-upstream -q --quiet -v --verbose --tags --follow-tags -n --dry-run --progress --porcelain", named=1),
    "git fetch": _family("-q --quiet -v --verbose --tags -t --no-tags --prune -p -n --dry-run --progress", named=1),
    "git pull": _family("-q --quiet -v --verbose --rebase -r --no-rebase --ff-only --no-edit --progress", named=1),
    "git switch": _family("-q --quiet --no-guess --progress"),
    "gh pr view": _GH_LIST, "gh pr list": _GH_LIST, "gh pr diff": _GH_LIST, "gh pr checks": _GH_LIST, "gh pr status": _GH_LIST,
    "gh issue view": _GH_LIST, "gh issue list": _GH_LIST, "gh issue status": _GH_LIST,
    "gh run view": _family("--log --log-failed -v --verbose", values="-R --repo --json -j --job"), "gh run list": _GH_LIST,
    "gh repo view": _GH_LIST, "gh repo list": _GH_LIST, "gh release view": _GH_LIST, "gh release list": _GH_LIST,
    "docker ps": _DOCKER, "docker images": _DOCKER, "docker logs": _DOCKER, "docker inspect": _DOCKER,
    "docker image ls": _DOCKER, "docker container ls": _DOCKER,
    "podman ps": _DOCKER, "podman images": _DOCKER, "podman logs": _DOCKER, "podman inspect": _DOCKER,
    "kubectl get": _family("-A --all-namespaces -w --watch", values="-n --namespace -l --selector", named=1),
    "kubectl describe": _family("-A --all-namespaces", values="-n --namespace -l --selector", named=1),
    "kubectl logs": _family("-f --follow -p --previous --timestamps", values="-n --namespace -c --container --tail --since"),
    "helm list": _family("-A --all-namespaces", values="-n --namespace"), "helm status": _family(values="-n --namespace"),
    "conda list": _family(values="-n --name"), "mamba list": _family(values="-n --name"),
    "pip show": _family("-f --files"), "pip3 show": _family("-f --files"), "uv pip show": _family("-f --files"),
    "hf jobs ps": _family("-a --all"), "hf jobs logs": _family(), "hf jobs inspect": _family(), "hf repo list": _family(),
    "aws s3 ls": _family("--human-readable --summarize"),
    "cargo build": _CARGO, "cargo test": _CARGO, "cargo check": _CARGO, "cargo clippy": _CARGO,
    "ruff check": _family("-q --quiet --no-cache --diff"), "ruff format": _family("-q --quiet --no-cache --check --diff"),
    "squeue": _family("-l --long", values="-u --user -j --jobs -p --partition"),
    "sacct": _family("-l --long", values="-u --user -j --jobs"),
}  # fmt: skip
_GIT_READS = frozenset({
    "log", "diff", "show", "status", "blame", "grep", "shortlog", "rev-list", "rev-parse", "describe", "ls-files", "ls-tree", "merge-base",
    "show-ref",
})  # fmt: skip
"""With options that ``git_reads`` knows to read only."""
_PLAIN = re.compile(r"(?![-+:])(?!.*(?:(?<!\bs3):/|::))[^$`*?\[{]*", re.DOTALL)
"""An operand that is neither an option, nor a force (``+main``) or a deletion (``:main``), nor an address, nor for the shell to replace."""
_REFS = frozenset({"git push", "git fetch", "git pull"})
"""Whose operands may say where to (``HEAD:refs/heads/main``): what was granted for one branch is not granted for another's name."""
_OUTSIDE = re.compile(r"/|~|(?:.*/)?\.\.(?:/|$)", re.DOTALL)
"""A path out of the repository: ``git diff`` shows any two files then."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_LONGEST = 3


def family(part: str) -> str:
    """The beginning of the command that "always" may grant with other operands; empty where only the very command may be."""
    words = part.split()
    if len(words) > 2 and words[0] == "git" and words[1] in _GIT_READS:
        plain = all(word.startswith("-") or (_PLAIN.fullmatch(word) and not _OUTSIDE.match(word)) for word in words)
        return f"git {words[1]}" if plain and "--no-index" not in words and git_reads(words[1:]) else ""
    for length in range(min(_LONGEST, len(words)), 0, -1):
        beginning = " ".join(words[:length])
        if (known := _FAMILIES.get(beginning)) is not None:
            return _with_operands(beginning, known, words[length:])
    return ""


def is_family(beginning: str) -> bool:
    """Whether any command belongs to it."""
    return family(f"{beginning} x") == beginning


def operands_wanted(beginning: str) -> int:
    """How many operands are missing for it to be a family; 0 when it would be none with more of them either."""
    known = _FAMILIES.get(beginning)
    return 0 if known is None or is_family(beginning) else known.named


def _with_operands(beginning: str, known: _Family, rest: list[str]) -> str:
    operands: list[str] = []
    left = iter(rest)
    for word in left:
        if word.startswith("-"):
            name, equals, _ = word.partition("=")
            if name not in known.options and name not in known.values:
                return ""
            if name in known.values and not equals and not _PLAIN.fullmatch(next(left, "-")):
                return ""
        elif _PLAIN.fullmatch(word) and not (":" in word and beginning in _REFS):
            operands.append(word)
        else:
            return ""
    named = operands[: known.named]
    if not rest or len(named) < known.named or not all(map(_NAME.fullmatch, named)):
        return ""
    return " ".join([beginning, *named])
