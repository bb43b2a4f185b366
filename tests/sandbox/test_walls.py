"""The sandbox holds: tried with the real one of this machine, from inside, by commands."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern.compute.local import LocalWorkspace
from ml_intern.errors import ToolError
from ml_intern.tools.files.place import target
from tests.workspaces import Machine, processes_in

pytestmark = pytest.mark.sandbox

SECRET = "hunter2-do-not-show"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(base=tmp_path, environ={**os.environ, "HF_TOKEN": SECRET, "MY_API_KEY": SECRET, "LOGIN": f"https://u:{SECRET}@h/"})
    for name in (".ssh/id_ed25519", ".aws/credentials", ".config/gcloud/creds.db", ".cache/huggingface/stored_tokens", ".mozilla/cookies"):
        path = machine.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET)
    for name in (".netrc", ".git-credentials", ".bash_history", ".cache/huggingface/token", ".local/share/ml-intern/sessions.db"):
        (machine.home / name).write_text(SECRET)
    (machine.home / "notes.txt").write_text("harmless")
    return machine


@pytest.fixture
async def inside(machine: Machine) -> AsyncIterator[LocalWorkspace]:
    workspace = await machine.sandboxed()
    yield workspace
    await workspace.aclose()


async def test_credentials_in_the_home_folder_cannot_be_read(inside: LocalWorkspace) -> None:
    result = await inside.exec(f"grep -ras {SECRET} ~ ; cat ~/.netrc ~/.ssh/* ~/.cache/huggingface/token; ls -A ~/.ssh ~/.aws")
    assert SECRET not in result.head
    assert "id_ed25519" not in result.head


async def test_the_rest_of_the_home_folder_can_be_read_but_not_written(inside: LocalWorkspace, machine: Machine) -> None:
    result = await inside.exec("cat ~/notes.txt; echo x >> ~/notes.txt; touch ~/new; mkdir ~/.ssh/new; rm -rf ~/notes.txt")
    assert result.head.startswith("harmless")
    assert (machine.home / "notes.txt").read_text() == "harmless"
    assert not (machine.home / "new").exists()
    assert result.head.count("Read-only file system") >= 3


async def test_credentials_made_while_the_session_runs_are_hidden_too(inside: LocalWorkspace, machine: Machine) -> None:
    assert (await inside.exec("true")).exit_code == 0
    (machine.home / ".kube").mkdir()
    (machine.home / ".kube" / "config").write_text(SECRET)
    assert SECRET not in (await inside.exec("cat ~/.kube/config")).head


async def test_credentials_behind_a_link_are_hidden_where_they_lie(machine: Machine) -> None:
    real = machine.home / "vault"
    real.mkdir()
    (real / "config").write_text(SECRET)
    (machine.home / ".azure").symlink_to(real)
    workspace = await machine.sandboxed()
    assert SECRET not in (await workspace.exec("cat ~/.azure/config ~/vault/config")).head
    await workspace.aclose()


async def test_writes_outside_the_workspace_are_refused(inside: LocalWorkspace, machine: Machine) -> None:
    outside = machine.base / "outside"
    outside.mkdir()
    result = await inside.exec(f"touch {outside}/a; touch /etc/ml-intern-test; touch /usr/ml-intern-test; echo ok > inside.txt")
    assert list(outside.iterdir()) == []
    assert not Path("/etc/ml-intern-test").exists()
    assert not Path("/usr/ml-intern-test").exists()
    assert (machine.root / "inside.txt").read_text() == "ok\n"
    assert result.head.count("touch: ") == 3


async def test_a_link_out_of_the_workspace_does_not_open_the_wall(inside: LocalWorkspace, machine: Machine) -> None:
    outside = machine.home / "victim"
    outside.mkdir()
    (outside / "file").write_text("old")
    await inside.exec(f"ln -s {outside} door; ln {outside}/file hard; echo new > door/file; echo new > hard; touch door/more")
    assert (outside / "file").read_text() == "old"
    assert [path.name for path in outside.iterdir()] == ["file"]


async def test_folders_that_the_settings_open_can_be_written(machine: Machine) -> None:
    extra = machine.home / "datasets"
    extra.mkdir()
    workspace = await machine.sandboxed(writable=(extra,))
    await workspace.exec("echo 1 > ~/datasets/x")
    assert (extra / "x").read_text() == "1\n"
    await workspace.aclose()


async def test_secrets_in_the_environment_do_not_reach_commands(inside: LocalWorkspace) -> None:
    result = await inside.exec("env; cat /proc/*/environ | tr '\\0' '\\n'; cat /proc/*/cmdline")
    assert SECRET not in result.head + result.tail


async def test_a_variable_that_the_user_lets_through_does(machine: Machine) -> None:
    workspace = await machine.sandboxed(pass_env=("HF_TOKEN",))
    result = await workspace.exec("echo $HF_TOKEN-$MY_API_KEY")
    assert result.head == f"{SECRET}-\n"
    await workspace.aclose()


async def test_processes_of_the_machine_are_invisible_and_out_of_reach(inside: LocalWorkspace) -> None:
    result = await inside.exec(
        f"ls /proc | grep -c '^[0-9]'; test -d /proc/{os.getpid()} && cat /proc/{os.getpid()}/comm; kill -9 -1; echo on"
    )
    count = int(result.head.split()[0])
    assert count < 10
    assert "pytest" not in result.head


async def test_a_command_that_kills_everything_it_sees_does_not_end_the_sandbox(inside: LocalWorkspace) -> None:
    await inside.exec("kill -9 -1; kill -9 1; kill -STOP 1")
    assert (await inside.exec("echo still here")).head == "still here\n"


async def test_the_helper_cannot_be_looked_into(inside: LocalWorkspace) -> None:
    result = await inside.exec("cat /proc/1/environ /proc/1/mem /proc/1/maps; ls -l /proc/1/fd; echo end")
    assert "Permission denied" in result.head
    assert "socket:" not in result.head


async def test_kernel_settings_cannot_be_changed_not_even_by_root(inside: LocalWorkspace) -> None:
    files = "/proc/sys/kernel/core_pattern /proc/sys/vm/overcommit_memory /proc/sysrq-trigger"
    script = f"for f in {files}; do test -w $f && echo writable $f; done; echo end"
    assert (await inside.exec(script)).head == "end\n"


async def test_no_capability_is_left_and_none_can_be_won(inside: LocalWorkspace) -> None:
    result = await inside.exec(
        "grep -E 'CapEff|NoNewPrivs' /proc/self/status; mount -t tmpfs x /mnt 2>&1; umount ~/.ssh 2>&1; ls ~/.ssh | wc -l"
    )
    assert "CapEff:\t0000000000000000" in result.head
    assert "NoNewPrivs:\t1" in result.head
    assert result.head.endswith("\n0\n")


async def test_a_new_user_namespace_does_not_uncover_what_is_hidden(inside: LocalWorkspace) -> None:
    result = await inside.exec(
        "unshare -Urm sh -c 'umount ~/.ssh; umount -l ~/.netrc; mount -o remount,rw /; cat ~/.ssh/* ~/.netrc; touch ~/new'"
    )
    assert SECRET not in result.head


async def test_sockets_of_programs_that_act_for_the_user_are_gone(inside: LocalWorkspace) -> None:
    sockets = "/run/user /run/docker.sock /var/run/docker.sock /run/dbus"
    result = await inside.exec(f"ls {sockets} 2>/dev/null | wc -l; echo $SSH_AUTH_SOCK$DBUS_SESSION_BUS_ADDRESS")
    assert result.head == "0\n\n"


async def test_tmp_is_the_sessions_own_and_goes_with_it(machine: Machine) -> None:
    host_file = Path("/tmp") / f"ml-intern-host-{os.getpid()}"
    host_file.write_text("of the host")
    try:
        workspace = await machine.sandboxed()
        result = await workspace.exec(f"ls /tmp; echo mine > /tmp/x; cat {host_file}")
        assert host_file.name not in result.head.split("cat:")[0]
        assert (await workspace.exec("cat /tmp/x; mktemp")).head.startswith("mine\n/tmp/")
        await workspace.aclose()
        assert not (machine.scratch / "tmp").exists()
    finally:
        host_file.unlink()


async def test_caches_are_the_commands_own_and_the_hubs_is_shared(inside: LocalWorkspace, machine: Machine) -> None:
    script = (
        "for v in UV_CACHE_DIR PIP_CACHE_DIR TORCH_HOME MPLCONFIGDIR HF_MODULES_CACHE; "
        "do mkdir -p ${!v} && touch ${!v}/x || echo REFUSED $v; done; touch $HF_HOME/hub/model; touch $HF_HOME/token"
    )
    (machine.home / ".cache" / "uv").mkdir()
    result = await inside.exec(script + "; touch ~/.cache/uv/poison")
    assert "REFUSED" not in result.head
    assert (machine.home / ".cache" / "huggingface" / "hub" / "model").exists()
    assert not (machine.home / ".cache" / "uv" / "poison").exists()
    assert (machine.home / ".cache" / "huggingface" / "token").read_text() == SECRET


async def test_what_git_would_run_outside_cannot_be_planted(inside: LocalWorkspace, machine: Machine) -> None:
    await inside.exec("git init -q . && git config user.name x")
    plant = "echo evil > .git/hooks/pre-commit; git config core.fsmonitor evil; echo '#evil' >> .git/config"
    result = await inside.exec(f"{plant}; echo a > a; git add a; git status --short")
    assert not (machine.root / ".git" / "hooks" / "pre-commit").exists()
    assert "evil" not in (machine.root / ".git" / "config").read_text()
    assert result.head.endswith("A  a\n")


async def test_the_network_is_off_when_the_settings_say_so(machine: Machine) -> None:
    workspace = await machine.sandboxed(network=False)
    result = await workspace.exec("cat /proc/net/dev | tail -n +3 | cut -d: -f1")
    assert result.head.split() == ["lo"]
    await workspace.aclose()


async def test_background_children_die_with_the_session(machine: Machine) -> None:
    workspace = await machine.sandboxed()
    lives_on = "touch started; while :; do date > alive; sleep 0.02; done"
    result = await workspace.exec(f"setsid sh -c '{lives_on}' >/dev/null 2>&1 & until test -e started; do :; done")
    assert result.exit_code == 0
    await workspace.aclose()
    assert processes_in(machine.root) == []


async def test_a_time_out_finds_children_that_left_their_group(inside: LocalWorkspace, machine: Machine) -> None:
    stubborn = "trap '' TERM; touch started; while :; do date > alive; sleep 0.02; done"
    command = f"trap '' TERM; setsid sh -c \"{stubborn}\" & until test -e started; do :; done; wait"
    result = await inside.exec(command, timeout_s=0.5)
    assert result.timed_out
    assert not result.holds_on
    while processes_in(machine.root):
        await asyncio.sleep(0)


async def test_all_of_it_dies_with_a_killed_parent(machine: Machine, tmp_path: Path) -> None:
    await (await machine.sandboxed()).aclose()  # skips where there is no sandbox
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import asyncio, sys
            from pathlib import Path
            sys.path.insert(0, {str(Path(__file__).parents[2])!r})
            from tests.workspaces import Machine

            async def main():
                workspace = await Machine(base=Path({str(machine.base)!r})).sandboxed()
                await workspace.start("while :; do date > alive; sleep 0.02; done")
                print("up", flush=True)
                await asyncio.sleep(60)

            asyncio.run(main())
            """
        )
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        while not (machine.root / "alive").exists():
            pass
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    while processes_in(machine.root):
        await asyncio.sleep(0)


async def test_a_sandbox_that_ended_is_built_again(inside: LocalWorkspace) -> None:
    command = await inside.start("sleep 60")
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    for child in children:
        if "bwrap" in Path(f"/proc/{child}/cmdline").read_text():
            os.kill(int(child), signal.SIGKILL)
    result = await command.wait()
    assert result.exit_code == 137
    assert (await inside.exec("echo again")).head == "again\n"


async def test_file_tools_see_no_credentials_either(inside: LocalWorkspace) -> None:
    for path in ("~/.ssh/id_ed25519", "~/.netrc", "~/.cache/huggingface/token", "~/.local/share/ml-intern/sessions.db"):
        with pytest.raises(ToolError, match="credentials"):
            target(inside, path)
    assert target(inside, "~/notes.txt").path.read_text() == "harmless"
