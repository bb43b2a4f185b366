#!/bin/sh
# Prints the path of a working uv. When there is none, installs one by pip into .tools/ of this checkout: nothing outside it changes.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
private="$here/.tools/bin/uv"

works() { "$1" --version >/dev/null 2>&1; }

say() { printf '%s\n' "$*" >&2; }

if found=$(command -v uv) && works "$found"; then
    echo "$found"
    exit 0
fi
if [ -x "$private" ] && works "$private"; then
    echo "$private"
    exit 0
fi

for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
    command -v "$python" >/dev/null 2>&1 || continue
    "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip --user >/dev/null 2>&1 || continue
    say "uv is not here: installing it by pip into .tools/ ($python)"
    # --target is allowed where an environment is externally managed (PEP 668), and needs neither root nor a venv.
    if "$python" -m pip install --quiet --disable-pip-version-check --target "$here/.tools" --upgrade uv >&2 && works "$private"; then
        echo "$private"
        exit 0
    fi
done

say "uv is missing and could not be installed by pip: no python3 with a working pip on the PATH, or no package index was reached."
say "Install uv (https://docs.astral.sh/uv/) or python3-pip, then run make again."
exit 1
