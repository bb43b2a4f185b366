"""Trackio: dashboards that are made without harm, and runs that are read from a folder and from a Space."""

from __future__ import annotations

import gzip
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ml_intern.compute.hidden_paths import HiddenPaths
from ml_intern.compute.os_sandbox import SandboxPolicy
from ml_intern.config.environ import Environ
from ml_intern.config.secret import SecretStr
from ml_intern.errors import NotFoundError, ServiceAuthError, ServiceDown, ServiceRefused, ToolError
from ml_intern.gateways.hub.client import HubClient
from ml_intern.gateways.hub.trackio import FILES, MARK, TrackioDashboards
from ml_intern.gateways.hub.trackio_space import TrackioSpaces
from ml_intern.gateways.trackio_files import trackio_folder
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.testing.fake_trackio import FakeRun, FakeTrackio, write_store
from ml_intern.tools.base import Effect
from ml_intern.tools.trackio import TrackioRunsTool
from tests.workspaces import Calls, Machine

SPACE = "alice/ml-intern-1a2b3c4d"
WRITES = "(POST|PUT|DELETE) "
RUNS = (
    FakeRun(
        id="a1",
        name="lr-1e-4",
        config={"lr": 1e-4},
        logs=[(step, {"train/loss": 2 / (step + 1), "eval": {"acc": step / 200}}) for step in range(200)],
        alerts=[{"title": "plateau", "text": "try lr × 0.5", "step": 150, "timestamp": "2026-01-01T11:00:00+00:00"}],
    ),
    FakeRun(
        id="b2",
        name="lr-1e-3",
        at="2026-01-02T10:00:00+00:00",
        logs=[(0, {"train/loss": 2.0}), (10, {"train/loss": 1.5, "note": "x"}), (20, {"train/loss": math.nan})],
        alerts=[{"title": "diverged", "level": "error", "step": 20, "timestamp": "2026-01-02T11:00:00+00:00"}],
    ),
)


@dataclass
class World:
    """A Hub, a folder, and the tool over both."""

    hub: FakeHub
    machine: Machine
    folder: Path
    clients: list[HubClient] = field(default_factory=list)

    def client(self, token: str = FakeHub.TOKEN) -> HubClient:
        self.clients.append(HubClient(self.hub.url, SecretStr(token)))
        return self.clients[-1]

    def dashboards(self) -> TrackioDashboards:
        return TrackioDashboards(self.client())

    def tool(self, folder: Path | None = None) -> TrackioRunsTool:
        return TrackioRunsTool(TrackioSpaces(self.client()), self.machine.bare(), folder or self.folder)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with FakeHub() as hub:
        made = World(hub, Machine(base=tmp_path), tmp_path / "trackio")
        yield made
        for client in made.clients:
            await client.aclose()


async def run(tool: TrackioRunsTool, **arguments: Any) -> str:
    args = tool.parse_object(arguments)
    assert tool.risk(args).effects == {Effect.READS}
    return (await tool.run(args, Calls().context)).text


# ── dashboards ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_dashboard_is_one_private_space_with_a_private_bucket_in_one_commit(world: World) -> None:
    # W55
    await world.dashboards().ensure(SPACE)
    space, state = world.hub.repos.get(SPACE, "space"), world.hub.spaces.get(SPACE)
    assert space.private and world.hub.spaces.buckets == {f"{SPACE}-bucket": True}
    assert state.volumes == [{"type": "bucket", "source": f"{SPACE}-bucket", "mountPath": "/data"}]
    assert state.variables == {"TRACKIO_DIR": "/data/trackio", "TRACKIO_BUCKET_ID": f"{SPACE}-bucket"}
    assert state.secrets == set()
    assert {path: world.hub.repos.file(SPACE, path, "space").decode() for path in FILES} == FILES
    assert len(world.hub.seen(f"POST /api/spaces/{SPACE}/commit")) == 1


async def test_a_dashboard_that_is_complete_is_not_written_to(world: World) -> None:
    await world.dashboards().ensure(SPACE)
    world.hub.repos.put(SPACE, "app.py", "import trackio\ntrackio.show(theme='soft')\n", "space")
    before = len(world.hub.seen(WRITES))
    await world.dashboards().ensure(SPACE)
    assert len(world.hub.seen(WRITES)) == before
    assert b"soft" in world.hub.repos.file(SPACE, "app.py", "space")


async def test_a_space_that_is_something_else_is_refused_and_stays_as_it_is(world: World) -> None:
    # W23
    files = {"README.md": "---\ntitle: My app\nsdk: gradio\n---\n", "app.py": "import mine\n", "requirements.txt": "mine\n"}
    world.hub.repos.create("alice/app", "space", files, sdk="gradio")
    with pytest.raises(ServiceRefused, match="exists and is no Trackio dashboard of ours") as caught:
        await world.dashboards().ensure("alice/app")
    assert "does not exist yet" in caught.value.hint
    assert world.hub.repos.files("alice/app", "space") == {path: text.encode() for path, text in files.items()}
    assert world.hub.seen(WRITES) == []


async def test_an_empty_space_of_somebody_elses_making_is_refused_too(world: World) -> None:
    # W23
    world.hub.repos.create("alice/new", "space", {".gitattributes": "", "README.md": "---\nsdk: gradio\n---\n"}, sdk="gradio")
    with pytest.raises(ServiceRefused, match="left as it is"):
        await world.dashboards().ensure("alice/new")
    assert world.hub.seen(WRITES) == []


async def test_the_users_own_dashboard_is_used_as_it_is(world: World) -> None:
    # W23
    world.hub.repos.create("alice/board", "space", {"README.md": "---\ntags:\n- trackio\n---\n", "app.py": "x"}, sdk="gradio")
    await world.dashboards().ensure("alice/board")
    assert world.hub.seen(WRITES) == []


@pytest.mark.parametrize("broken", [f"POST /api/spaces/{SPACE}/commit", "POST /api/repos/create"])
async def test_an_attempt_that_broke_off_is_completed_by_the_next_one_of_any_process(world: World, broken: str) -> None:
    world.hub.fail(broken, status=500)
    with pytest.raises(ServiceDown):
        await world.dashboards().ensure(SPACE)
    await world.dashboards().ensure(SPACE)
    assert {path: world.hub.repos.file(SPACE, path, "space").decode() for path in FILES} == FILES
    assert MARK in world.hub.repos.file(SPACE, "README.md", "space").decode()


async def test_a_volume_that_is_mounted_already_is_never_replaced(world: World) -> None:
    world.hub.repos.create(SPACE, "space", FILES, sdk="gradio", private=True)
    other, model = (
        {"type": "bucket", "source": "alice/other", "mountPath": "/data"},
        {"type": "model", "source": "alice/m", "mountPath": "/models"},
    )
    world.hub.spaces.buckets["alice/other"] = True
    state = world.hub.spaces.get(SPACE)
    state.volumes = [other, model]
    await world.dashboards().ensure(SPACE)
    assert state.volumes == [other, model]
    assert state.variables == {"TRACKIO_DIR": "/data/trackio", "TRACKIO_BUCKET_ID": "alice/other"}
    state.volumes = [model]
    await world.dashboards().ensure(SPACE)
    assert [volume["mountPath"] for volume in state.volumes] == ["/models", "/data"]


@pytest.mark.parametrize(
    ("space_id", "problem"), [("bob/board", "may not use the namespace 'bob'"), ("board", "is no Space"), ("a/b/c", "is no")]
)
async def test_a_space_that_cannot_be_ours_is_refused_before_anything_is_made(world: World, space_id: str, problem: str) -> None:
    with pytest.raises(ServiceRefused, match=problem):
        await world.dashboards().ensure(space_id)
    assert world.hub.seen(WRITES) == []


# ── runs: the same questions to a folder and to a Space ──────────────────────────────────────────────────────────────


@pytest.fixture(params=["folder", "space"])
async def source(request: pytest.FixtureRequest, world: World) -> AsyncIterator[dict[str, str]]:
    """The arguments that name the store."""
    if request.param == "folder":
        write_store(world.folder, "demo", RUNS)
        yield {}
        return
    async with FakeTrackio({"demo": RUNS}, token=FakeHub.TOKEN) as dashboard:
        world.hub.repos.create(SPACE, "space", FILES, sdk="gradio", private=True)
        world.hub.spaces.host(SPACE, dashboard.url)
        yield {"space_id": SPACE}


async def test_projects_and_runs_are_listed_newest_first(world: World, source: dict[str, str]) -> None:
    tool = world.tool()
    assert (await run(tool, **source)).splitlines()[1:] == ["demo"]
    lines = (await run(tool, operation="runs", project="demo", **source)).splitlines()
    assert lines[0].endswith("2 runs, newest first:")
    assert lines[1].startswith("lr-1e-3: last step 20, 3 logs, since 2026-01-02T10:00:00+00:00, id b2")
    assert lines[2].startswith("lr-1e-4: last step 199, 200 logs") and lines[3] == "  lr=0.0001"


async def test_metrics_tell_extent_and_course_in_few_points(world: World, source: dict[str, str]) -> None:
    text = await run(world.tool(), operation="metrics", run="lr-1e-4", metrics=["train/*"], points=5, **source)
    head, extent, course = text.splitlines()
    assert "run lr-1e-4 (a1), 200 logs; last step 199" in head
    assert extent == "train/loss: 200 values, first 2 (step 0), last 0.01 (step 199), min 0.01 (step 199), max 2 (step 0)"
    assert course.split(", ")[0].strip() == "0: 2" and course.endswith("199: 0.01") and course.count(":") == 5


async def test_a_loss_that_is_not_a_number_is_seen(world: World, source: dict[str, str]) -> None:
    text = await run(world.tool(), operation="metrics", project="demo", **source)
    assert "run lr-1e-3 (b2)" in text
    assert "last nan (step 20), min 1.5 (step 10), max 2 (step 0), 1 NOT FINITE, from step 20" in text
    assert "note" not in text


async def test_nested_metrics_have_names_of_their_own(world: World, source: dict[str, str]) -> None:
    assert "eval/acc: 200 values" in await run(world.tool(), operation="metrics", run="a1", **source)
    assert "there are: eval/acc, train/loss" in await run(world.tool(), operation="metrics", run="a1", metrics=["nope"], **source)


async def test_alerts_are_found_by_time_level_and_run(world: World, source: dict[str, str]) -> None:
    tool = world.tool()
    every = (await run(tool, operation="alerts", **source)).splitlines()
    assert every[1] == "2026-01-02T11:00:00+00:00 ERROR lr-1e-3, step 20: diverged"
    assert every[2:] == ["2026-01-01T11:00:00+00:00 WARN lr-1e-4, step 150: plateau", "  try lr × 0.5"]
    assert "plateau" not in await run(tool, operation="alerts", since="2026-01-01T13:30:00+02:00", **source)
    assert "diverged" not in await run(tool, operation="alerts", level="warn", **source)
    assert "diverged" not in await run(tool, operation="alerts", run="lr-1e-4", **source)
    assert "No such alerts" in await run(tool, operation="alerts", since="2030-01-01", **source)


async def test_what_is_not_there_is_said_with_what_is(world: World, source: dict[str, str]) -> None:
    with pytest.raises(ToolError, match=r"no run 'lr'.* lr-1e-3, lr-1e-4"):
        await run(world.tool(), operation="metrics", run="lr", **source)
    with pytest.raises(ToolError, match="is no time"):
        await run(world.tool(), operation="alerts", since="yesterday", **source)


# ── the folder ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_file_that_trackio_itself_wrote_is_read(world: World) -> None:
    world.folder.mkdir()
    packed = Path(__file__).with_name("data") / "trackio_0.43_realproject.db.gz"
    (world.folder / "realproject.db").write_bytes(gzip.decompress(packed.read_bytes()))
    tool = world.tool()
    assert "run-a: last step 20, 21 logs" in await run(tool, operation="runs", project="real.project")
    text = await run(tool, operation="metrics")
    assert "train/loss: 21 values, first 2 (step 0), last nan (step 20), min 0.1 (step 19)" in text and "eval/acc: 20 values" in text
    assert "ERROR run-a, step 20: diverged" in await run(tool, operation="alerts")


async def test_long_lists_are_paged(world: World) -> None:
    write_store(world.folder, "demo", [FakeRun(id=f"r{n}", name=f"run-{n}", logs=[(0, {"x": 1.0})]) for n in range(45)])
    first = await run(world.tool(), operation="runs")
    assert "(25 more: continue with offset 20.)" in first and first.splitlines()[1].startswith("run-44")
    last = await run(world.tool(), operation="runs", offset=40)
    assert "run-0: " in last and "more" not in last
    assert "No runs at offset 60: there are 45, at offsets 0 to 44." in await run(world.tool(), operation="runs", offset=60)


async def test_a_metrics_answer_stays_short_whatever_was_logged(world: World) -> None:
    values = {f"{'m' * 300}{n}": 1.0 for n in range(100)}
    write_store(world.folder, "demo", [FakeRun(id="r", name="r", logs=[(step, values) for step in range(300)])])
    text = await run(world.tool(), operation="metrics", points=20)
    assert len(text) < 25_000 and "(70 more: continue with offset 30.)" in text


async def test_no_data_many_projects_and_a_broken_file_are_told_apart(world: World) -> None:
    for asked in ({}, {"operation": "runs"}, {"operation": "runs", "project": "demo"}):
        with pytest.raises(NotFoundError, match=r"there is no folder .*TRACKIO_DIR"):
            await run(world.tool(), **asked)
    world.folder.mkdir()
    assert "There is no project" in await run(world.tool())
    with pytest.raises(ToolError, match="no project"):
        await run(world.tool(), operation="runs")
    write_store(world.folder, "one", RUNS)
    (world.folder / "two.db").write_bytes(b"this is no database, and long enough to be taken for none" * 20)
    with pytest.raises(ToolError, match=r"2 projects.*one, two"):
        await run(world.tool(), operation="runs")
    with pytest.raises(ToolError, match=r"two\.db cannot be read as a project of Trackio"):
        await run(world.tool(), operation="runs", project="two")
    (world.folder / "elsewhere").mkdir()
    with pytest.raises(NotFoundError, match=r"no project '\.\./one'"):
        await run(world.tool(folder=world.folder / "elsewhere"), operation="runs", project="../one")


async def test_a_folder_of_the_workspace_may_be_named_and_is_what_permissions_see(world: World) -> None:
    write_store(world.machine.root / "logs", "mine", RUNS)
    tool = world.tool()
    assert "mine" in await run(tool, folder="logs")
    assert tool.risk(tool.parse_object({"folder": "logs"})).reads == {str(world.machine.root / "logs")}
    with pytest.raises(ToolError, match=r"sandbox.*space_id"):
        await run(TrackioRunsTool(TrackioSpaces(world.client()), world.machine.bare(), None))


def test_the_default_folder_is_where_trackio_writes(tmp_path: Path) -> None:
    assert trackio_folder(Environ({"TRACKIO_DIR": "/x"})) == Path("/x")
    assert trackio_folder(Environ({"HF_HOME": "/h"})) == Path("/h/trackio")
    assert trackio_folder(Environ({"HOME": str(tmp_path)})) == tmp_path / ".cache/huggingface/trackio"


async def test_folders_and_files_that_hold_credentials_are_not_read(world: World) -> None:
    hidden = world.machine.bare().resolve("~/.ssh")
    write_store(hidden, "demo", RUNS)
    tool = world.tool()
    with pytest.raises(ToolError, match="holds credentials"):
        await run(tool, operation="runs", folder="~/.ssh", project="demo")
    with pytest.raises(ToolError, match="holds credentials"):
        await run(tool, operation="projects", folder="~/.ssh")
    world.folder.mkdir(exist_ok=True)
    (world.folder / "linked.db").symlink_to(hidden / "demo.db")
    with pytest.raises(ToolError, match="holds credentials"):
        await run(tool, operation="runs", project="linked")
    outer = world.folder.parent / "outer"
    outer.symlink_to(hidden)
    with pytest.raises(ToolError, match="holds credentials"):
        await run(tool, operation="runs", folder=str(outer), project="demo")


def test_what_runs_in_the_os_sandbox_may_write_to_the_folder_that_is_read_here(tmp_path: Path) -> None:
    environ = Environ({"HOME": str(tmp_path)})
    folder = trackio_folder(environ)
    policy = SandboxPolicy(
        root=tmp_path, scratch=tmp_path / "s", hidden=HiddenPaths(()), caches=tmp_path / "c", hf_home=tmp_path / ".cache" / "huggingface"
    )
    policy.prepare()
    assert str(folder) in policy.writable_folders()


# ── the Space ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_token_goes_to_private_spaces_of_ones_own_alone(world: World) -> None:
    async with FakeTrackio({"demo": RUNS}) as dashboard:
        world.hub.repos.create("bob/board", "space", FILES, sdk="gradio")
        world.hub.spaces.host("bob/board", dashboard.url)
        await run(world.tool(), space_id="bob/board")
        assert [call.token for call in dashboard.seen("POST /api/")] == [""]
        world.hub.repos.create(SPACE, "space", FILES, sdk="gradio", private=True)
        world.hub.spaces.host(SPACE, "http://board.example.org")
        with pytest.raises(ServiceAuthError, match="the token is not sent"):
            await run(world.tool(), space_id=SPACE)


async def test_a_space_that_is_no_dashboard_or_is_not_up_is_said_to_be_that(world: World) -> None:
    async with FakeTrackio({}) as dashboard:
        world.hub.repos.create("bob/app", "space", {"README.md": "x"}, sdk="gradio")
        world.hub.spaces.host("bob/app", dashboard.url)
        dashboard.fail("POST /api/get_all_projects", status=404)
        with pytest.raises(NotFoundError, match="no Trackio dashboard"):
            await run(world.tool(), space_id="bob/app")
        dashboard.fail("POST /api/get_all_projects", status=200, body={"data": {"x": 1}})
        with pytest.raises(ServiceRefused, match="as no Trackio dashboard does"):
            await run(world.tool(), space_id="bob/app")
        world.hub.repos.get("bob/app", "space").extra["runtime"] = {"stage": "BUILDING"}
        dashboard.fail("POST /api/get_all_projects", status=503)
        with pytest.raises(ServiceDown, match="is not up: BUILDING"):
            await run(world.tool(), space_id="bob/app")
    with pytest.raises(NotFoundError):
        await run(world.tool(), space_id="bob/nothing")
