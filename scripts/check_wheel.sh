#!/bin/sh
# Builds the wheel, installs it into an environment of its own and runs it from another folder: what a user gets is whole.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
uv=$("$here/scripts/bootstrap_uv.sh")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

"$uv" build --quiet --wheel --out-dir "$place/dist" "$here"
"$uv" venv --quiet --python "$here/.venv/bin/python" "$place/env"
"$uv" pip install --quiet --python "$place/env/bin/python" "$place"/dist/*.whl

mkdir "$place/home" "$place/elsewhere"
cd "$place/elsewhere"
run() { env -i PATH=/usr/bin:/bin HOME="$place/home" LANG=C.UTF-8 "$place/env/bin/ml-intern" "$@"; }

run --version
run --help >/dev/null
run config check >/dev/null
run doctor >"$place/doctor" || grep -q "model" "$place/doctor"   # without a key it fails, and says so
code=0
run "hello" </dev/null >/dev/null 2>"$place/said" || code=$?
[ "$code" -eq 2 ] || { echo "without any model the exit code is $code, not 2:" >&2; cat "$place/said" >&2; exit 1; }
echo "the wheel installs and runs"
