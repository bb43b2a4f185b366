"""``hf_inspect_dataset`` against the fake viewer, the fake Hub through its real client, and local files."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_intern.compute.local import LocalWorkspace
from ml_intern.config.secret import SecretStr
from ml_intern.errors import NotFoundError, ToolError
from ml_intern.gateways.http import ServiceOptions
from ml_intern.gateways.hub.client import HubClient
from ml_intern.gateways.hub.dataset_files import DatasetFiles
from ml_intern.gateways.hub.datasets_server import DatasetsServer
from ml_intern.gateways.hub.search import HubSearch
from ml_intern.protocol.display import Table
from ml_intern.testing.fake_datasets_server import FakeDatasetsServer
from ml_intern.testing.fake_hub.server import FakeHub
from ml_intern.tools.base import ToolOutput
from ml_intern.tools.datasets.inspect import HfInspectDatasetTool
from tests.workspaces import Calls, Machine

QUICK = ServiceOptions(timeout_s=10.0, attempts=2, wait_initial_s=0.01)
CHAT = [{"role": "user", "content": "What colour is the sky?"}, {"role": "assistant", "content": "Blue."}]
CHAT_FEATURES = {
    "messages": {
        "feature": {"role": {"dtype": "string", "_type": "Value"}, "content": {"dtype": "string", "_type": "Value"}},
        "_type": "List",
    }
}


@dataclass
class World:
    hub: FakeHub
    viewer: FakeDatasetsServer
    workspace: LocalWorkspace
    client: HubClient
    files: DatasetFiles
    server: DatasetsServer | None

    def tool(self) -> HfInspectDatasetTool:
        return HfInspectDatasetTool(self.workspace, self.server, self.files, HubSearch(self.client))

    async def inspect(self, dataset: str, **arguments: Any) -> ToolOutput:
        tool = self.tool()
        return await tool.run(tool.parse(json.dumps({"dataset": dataset, **arguments})), Calls().context)

    def add(self, name: str, config: str, split: str, rows: list[dict[str, Any]], features: dict[str, Any] | None = None) -> None:
        self.viewer.add(name, config, split, rows, features)
        if not self.hub.repos.has(name, "dataset"):
            self.hub.repos.create(name, "dataset", {"README.md": "---\nlicense: mit\n---\n"})


@pytest.fixture
def servers() -> Iterator[tuple[FakeHub, FakeDatasetsServer]]:
    with FakeHub() as hub, FakeDatasetsServer() as viewer:
        yield hub, viewer


@pytest.fixture
async def world(servers: tuple[FakeHub, FakeDatasetsServer], tmp_path: Path) -> AsyncIterator[World]:
    hub, viewer = servers
    workspace = Machine(base=tmp_path).bare()
    client = HubClient(hub.url)
    server = DatasetsServer(viewer.url, options=QUICK)
    files = DatasetFiles(client)
    yield World(hub, viewer, workspace, client, files, server)
    for part in (files, server, client, workspace):
        await part.aclose()


def parquet_bytes(tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> bytes:
    path = tmp_path / "made.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path.read_bytes()


async def test_a_dataset_is_told_with_sizes_schema_statistics_rows_and_fit(world: World) -> None:
    rows = [{"text": f"sentence number {n} is fine", "label": n % 2} for n in range(60)]
    label = {"names": ["neg", "pos"], "_type": "ClassLabel"}
    world.add("org/data", "default", "train", rows, {"text": {"dtype": "string", "_type": "Value"}, "label": label})
    world.add("org/data", "default", "test", rows[:7], {"text": {"dtype": "string", "_type": "Value"}, "label": label})
    told = await world.inspect("org/data")
    assert told.success
    assert "- default / train: 60 rows" in told.text and "- default / test: 7 rows" in told.text
    assert "ClassLabel(0=neg, 1=pos)" in told.text
    assert "## Statistics (all 60 rows)" in told.text and "neg 50% (30), pos 50% (30)" in told.text
    assert "Row 0\n  text: sentence number 0 is fine\n  label: 0 (neg)" in told.text
    assert "- Classification: fits (text + label)" in told.text
    assert "- SFT: fits (text)" in told.text
    assert "- DPO: does not fit (missing chosen + rejected)" in told.text
    assert "Licence: mit" in told.text
    assert [table.title for table in told.display if isinstance(table, Table)] == [
        "org/data: splits",
        "Columns",
        "Training methods",
        "Quality of rows 0 to 59",
    ]


async def test_chat_messages_are_shown_as_a_chat_and_keep_the_rest_of_the_schema(world: World) -> None:
    """W46: a list feature dropped the whole schema; nested ones showed as ``List``."""
    features = CHAT_FEATURES | {"meta": {"scores": {"feature": {"dtype": "float32", "_type": "Value"}, "length": -1, "_type": "Sequence"}}}
    world.add("org/chat", "default", "train", [{"messages": CHAT, "meta": {"scores": [0.5]}}] * 3, features)
    told = await world.inspect("org/chat", sample_rows=1)
    assert "- messages: list<{role: string, content: string}>  ← chat (role/content)" in told.text
    assert "- meta: {scores: list<float32>}" in told.text
    assert "messages: 2 messages\n  user: What colour is the sky?\n  assistant: Blue." in told.text
    assert "- SFT: fits (messages (chat))" in told.text
    assert "2 rows equal an earlier one" in told.text
    quality = next(table for table in told.display if isinstance(table, Table) and table.title == "Quality of rows 0 to 2")
    assert quality.rows[0] == ("duplicates", "2 rows equal an earlier one"), "what the model reads of it stands on the screen, too"


async def test_an_explicit_config_takes_its_own_split(world: World) -> None:
    """W46: an explicit config took the split of the first config."""
    world.add("org/many", "en", "train", [{"text": "hello"}])
    world.add("org/many", "de", "validation", [{"text": "hallo"}])
    told = await world.inspect("org/many", config="de")
    assert "Shown: config de, split validation" in told.text and "hallo" in told.text and "hello" not in told.text


async def test_an_unknown_config_split_or_column_is_answered_with_those_there_are(world: World) -> None:
    world.add("org/many", "en", "train", [{"text": "hello"}])
    with pytest.raises(ToolError, match="There is no config 'fr'") as config:
        await world.inspect("org/many", config="fr")
    assert "en" in config.value.hint
    with pytest.raises(ToolError, match="has no split 'test'"):
        await world.inspect("org/many", split="test")
    with pytest.raises(ToolError, match="no column txt") as column:
        await world.inspect("org/many", columns=["txt"])
    assert "text" in column.value.hint


async def test_rows_are_paged_and_cells_are_cut(world: World) -> None:
    """W11: a read is bounded, and says how to get the rest."""
    world.add("org/long", "default", "train", [{"text": f"row {n} " + "x" * 5000} for n in range(150)])
    told = await world.inspect("org/long", offset=120, sample_rows=2)
    assert "Row 120\n  text: row 120 xxx" in told.text and "(5,008 characters)" in told.text
    assert "more: offset=122" in told.text and len(told.text) < 5000
    beyond = await world.inspect("org/long", offset=1000)
    assert "There is no row 1000: the split has 150." in beyond.text


async def test_a_missing_dataset_is_a_failure_that_says_so(world: World) -> None:
    """W45: a missing dataset was ok=true with empty tables."""
    with pytest.raises(NotFoundError, match="org/nowhere does not exist, or is private"):
        await world.inspect("org/nowhere")


async def test_a_gated_dataset_is_a_failure_that_names_the_page_to_ask_at(world: World) -> None:
    """W45: a gated dataset was ok=true with empty tables."""
    world.hub.repos.create("org/closed", "dataset", {"data/train.jsonl": '{"text": "secret"}\n'}, gated="manual")
    world.viewer.restrict("org/closed")
    told = await world.inspect("org/closed")
    assert not told.success
    assert f"ask for access at {world.hub.url}/datasets/org/closed" in told.text
    assert "gated (manual)" in told.text and "secret" not in told.text


async def test_a_private_dataset_of_somebody_else_looks_like_a_missing_one(world: World) -> None:
    world.hub.repos.create("bob/mine", "dataset", {"train.csv": "a\n1\n"}, private=True)
    world.viewer.restrict("bob/mine")
    with pytest.raises(NotFoundError, match="private"):
        await world.inspect("bob/mine")


async def test_a_broken_viewer_is_told_in_its_own_words_and_the_files_are_read(world: World, tmp_path: Path) -> None:
    """W45: status codes were not checked and the server's ``error`` text was dropped."""
    rows = [{"prompt": f"q{n}", "chosen": "good", "rejected": "bad"} for n in range(40)]
    world.hub.repos.create("org/broken", "dataset", {"data/train-00000.parquet": parquet_bytes(tmp_path, rows)})
    world.viewer.break_("org/broken", error="The dataset script is not supported.", code="DatasetWithScriptNotSupportedError")
    told = await world.inspect("org/broken")
    assert told.success
    assert "[DatasetWithScriptNotSupportedError]" in told.text and "The dataset script is not supported" in told.text
    assert "from file data/train-00000.parquet" in told.text and "- default / train: 40 rows" in told.text
    assert "- DPO: fits (prompt + chosen + rejected (text))" in told.text


async def test_a_viewer_that_is_still_computing_is_not_called_broken(world: World) -> None:
    world.hub.repos.create("org/new", "dataset", {"train.jsonl": '{"text": "fresh"}\n'})
    world.viewer.pending("org/new")
    told = await world.inspect("org/new")
    assert told.success and "still working out the splits [ResponseNotReady]" in told.text and "fresh" in told.text


async def test_nothing_learned_is_no_success(world: World) -> None:
    """W45: transport errors were ignored."""
    world.hub.repos.create("org/empty", "dataset", {"README.md": "hello", "make.py": "import datasets"})
    world.viewer.fail("GET", times=99, cut=True)
    told = await world.inspect("org/empty")
    assert not told.success
    assert "cannot be reached" in told.text and "loading script" in told.text and "no file that can be read as rows" in told.text


async def test_missing_statistics_leave_the_rest_of_the_report(world: World) -> None:
    world.add("org/data", "default", "train", [{"text": "x"}])
    world.viewer.break_("org/data", "statistics", error="no stats", code="StatisticsComputationError")
    told = await world.inspect("org/data")
    assert told.success and "no stats" in told.text and "- text: string" in told.text and "## Statistics" not in told.text


async def test_first_rows_stand_in_for_rows_and_their_cuts_are_told(world: World) -> None:
    world.add("org/data", "default", "train", [{"text": "y" * 1000}])
    world.viewer.break_("org/data", "rows", error="no parquet", code="RowsError")
    told = await world.inspect("org/data", offset=5)
    assert "Only the first rows can be had" in told.text and "cut long values of text" in told.text and "Row 0" in told.text


async def test_a_large_parquet_file_on_the_hub_is_read_by_ranges_only(world: World, tmp_path: Path) -> None:
    import random

    words = random.Random(7)
    rows = [{"text": words.randbytes(600).hex(), "n": n} for n in range(20_000)]
    data = parquet_bytes(tmp_path, rows, row_group_size=1000, compression="none")
    assert len(data) > 20_000_000
    world.hub.repos.create("org/large", "dataset", {"train.parquet": data})
    world.viewer.break_("org/large")
    told = await world.inspect("org/large", offset=15_000, sample_rows=1)
    assert "Row 15000" in told.text and "n: 15000" in told.text
    asked = [call.headers.get("range", "") for call in world.hub.seen("GET /cdn-lfs")]
    assert asked and all(asked)
    spans = [part.removeprefix("bytes=").split("-") for part in asked]
    assert sum(int(end) - int(start) + 1 for start, end in spans) < len(data) // 3


async def test_no_token_goes_to_the_viewer_that_was_not_given_one(world: World) -> None:
    world.add("org/data", "default", "train", [{"text": "x"}])
    await world.inspect("org/data")
    assert world.viewer.seen("GET") and all(not call.token for call in world.viewer.seen("GET"))


async def test_who_may_read_a_gated_dataset_gets_the_report(servers: tuple[FakeHub, FakeDatasetsServer], world: World) -> None:
    hub, viewer = servers
    client = HubClient(hub.url, SecretStr(FakeHub.TOKEN))
    server = DatasetsServer(viewer.url, SecretStr(FakeHub.TOKEN), options=QUICK)
    hub.repos.create("acme/closed", "dataset", {}, gated="auto")
    viewer.add("acme/closed", "default", "train", [{"text": "inside"}])
    viewer.restrict("acme/closed", FakeHub.TOKEN)
    told = await World(hub, viewer, world.workspace, client, DatasetFiles(client), server).inspect("acme/closed")
    assert told.success and "inside" in told.text
    await server.aclose()
    await client.aclose()


async def test_without_a_viewer_the_configs_of_the_card_decide(world: World) -> None:
    world.server = None
    card = "---\nconfigs:\n- config_name: small\n  data_files:\n  - split: dev\n    path: parts/s-*.jsonl\n---\n"
    files = {"README.md": card, "parts/s-1.jsonl": '{"text": "small one"}\n', "parts/other.jsonl": '{"text": "other"}\n'}
    world.hub.repos.create("org/carded", "dataset", files)
    told = await world.inspect("org/carded")
    assert "no dataset viewer" in told.text and "config small, split dev" in told.text and "small one" in told.text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("d.csv", b"text,label\nhello,1\nworld,0\n"),
        ("d.tsv", b"text\tlabel\nhello\t1\nworld\t0\n"),
        ("d.jsonl", b'{"text": "hello", "label": 1}\n{"text": "world", "label": 0}\n'),
        ("d.json", b'[{"text": "hello", "label": 1}, {"text": "world", "label": 0}]'),
        ("d.jsonl.gz", gzip.compress(b'{"text": "hello", "label": 1}\n{"text": "world", "label": 0}\n')),
    ],
    ids=["csv", "tsv", "jsonl", "json", "gzip"],
)
async def test_local_files_are_inspected_by_the_same_report(world: World, name: str, data: bytes) -> None:
    (world.workspace.root / name).write_bytes(data)
    told = await world.inspect(name)
    assert told.success and "- default / train: 2 rows" in told.text
    assert "- text: string" in told.text and "- label: int64" in told.text and "text: hello" in told.text
    assert "- Classification: fits (text + label)" in told.text


async def test_local_parquet_and_arrow_tell_the_labels_that_datasets_wrote(world: World) -> None:
    table = pa.table({"text": ["a", "b", "c"], "label": [0, 1, 1]})
    label = {"names": ["no", "yes"], "_type": "ClassLabel"}
    info = {"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "label": label}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    folder = world.workspace.root / "saved"
    folder.mkdir()
    pq.write_table(table, folder / "train.parquet")
    with pa.OSFile(str(folder / "test.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    told = await world.inspect("saved")
    assert "- default / train: 3 rows" in told.text and "- default / test: rows unknown" in told.text
    assert "ClassLabel(0=no, 1=yes)" in told.text and "label: 1 (yes)" in told.text
    arrow = await world.inspect("saved", split="test")
    assert "from file test.arrow" in arrow.text and "label: 0 (no)" in arrow.text


async def test_hidden_and_missing_and_strange_local_files_are_refused(world: World) -> None:
    home = Path(world.workspace.root).parent / "home"
    (home / ".ssh").mkdir()
    (home / ".ssh" / "keys.csv").write_text("a\n1\n")
    with pytest.raises(ToolError, match="credentials"):
        await world.inspect(str(home / ".ssh" / "keys.csv"))
    with pytest.raises(ToolError, match=r"nothing\.csv does not exist"):
        await world.inspect("nothing.csv")
    (world.workspace.root / "bad.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(ToolError, match="no readable parquet file"):
        await world.inspect("bad.parquet")
    (world.workspace.root / "model.bin").write_bytes(b"x")
    with pytest.raises(ToolError, match="no file that can be read as rows"):
        await world.inspect("./model.bin")


async def test_lines_that_are_no_json_are_counted(world: World) -> None:
    (world.workspace.root / "d.jsonl").write_text('{"text": "a"}\nnot json\n{"text": "b"}\n')
    told = await world.inspect("d.jsonl")
    assert "Not JSON objects: 1 line at the beginning of d.jsonl" in told.text


async def test_without_pyarrow_the_extra_is_named(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.hub.repos.create("org/broken", "dataset", {"train.parquet": parquet_bytes(tmp_path, [{"text": "x"}])})
    world.viewer.break_("org/broken")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    told = await world.inspect("org/broken")
    assert not told.success and "pip install 'ml-intern[data]'" in told.text


@pytest.mark.parametrize("offset", [0, 3, 99])
async def test_paging_through_a_local_file_changes_neither_schema_nor_fit(world: World, offset: int) -> None:
    rows = [{"text": f"text {n}", "label": label} for n, label in enumerate("abcab")]
    (world.workspace.root / "small.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = await world.inspect("small.jsonl", offset=offset)
    assert output.success and "Classification: fits after mapping (text + label" in output.text
    assert "label: string" in output.text and "default / train: 5 rows" in output.text
    assert ("There is no row 99: the split has 5." in output.text) == (offset == 99)


@pytest.mark.parametrize("offset", [0, 40, 999])
async def test_paging_through_the_viewer_does_not_change_the_fit(world: World, offset: int) -> None:
    world.add("acme/tickets", "default", "train", [{"text": f"text {n}", "category": "xyz"[n % 3]} for n in range(43)])
    world.viewer.pending("acme/tickets", "statistics")
    output = await world.inspect("acme/tickets", offset=offset)
    assert "Classification: fits after mapping (text + category" in output.text


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.csv", "empty.parquet"])
async def test_an_empty_file_is_said_to_be_empty(world: World, name: str) -> None:
    (world.workspace.root / name).write_bytes(b"")
    with pytest.raises(ToolError, match=f"{name} is empty \\(0 bytes\\)"):
        await world.inspect(name)


async def test_a_damaged_file_of_a_folder_is_named_and_the_good_ones_are_shown(world: World, tmp_path: Path) -> None:
    folder = world.workspace.root / "data"
    folder.mkdir()
    (folder / "train-0.parquet").write_bytes(b"PAR1 this is no parquet file at all PAR1")
    (folder / "train-1.parquet").write_bytes(parquet_bytes(tmp_path, [{"text": "a good row"}]))
    output = await world.inspect("data")
    assert output.success and "a good row" in output.text and "Left out: train-0.parquet" in output.text


async def test_a_hub_that_cannot_be_reached_is_not_asked_for_files(world: World) -> None:
    world.viewer.fail("GET", times=99, cut=True)
    world.hub.fail("GET", times=99, cut=True)
    told = await world.inspect("org/away")
    assert not told.success and "cannot be reached" in told.text
    assert not world.hub.seen("/tree/")


async def test_a_config_that_the_viewer_has_not_listed_yet_can_be_asked_for(world: World) -> None:
    world.add("org/slow", "en", "train", [{"text": "there already"}])
    world.viewer.pending("org/slow", "splits")
    told = await world.inspect("org/slow", config="en")
    assert told.success and "there already" in told.text and "still working out the splits" in told.text


async def test_the_schema_stays_within_its_budget(world: World) -> None:
    """W60: specs that repeat themselves cost tokens at every call."""
    assert len(msgspec.json.encode(world.tool().schema)) / 3.5 < 225
