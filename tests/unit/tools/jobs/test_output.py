"""What is said about jobs."""

from __future__ import annotations

import pytest

from ml_intern.compute.jobs import JobInfo, Stage
from ml_intern.protocol.display import Table
from ml_intern.tools.jobs import output

UV = [
    "Reading inline script metadata",
    "Resolved 5 packages in 1.2s",
    "Downloading torch (800MiB)",
    "Installed 5 packages in 12ms",
    " + torch==2.9",
]


def test_uvs_setting_up_is_one_line_and_what_others_wrote_stays() -> None:
    lines = ["host up", *UV[:2], "warning: old driver", *UV[2:], "training", "Installed 9 packages in my text"]
    assert output.fold(lines) == [
        "host up",
        "warning: old driver",
        "[5 lines of uv: Installed 5 packages in 12ms]",
        "training",
        "Installed 9 packages in my text",
    ]


def test_a_log_without_uv_stays_as_it_is() -> None:
    lines = ["Building the model", "Resolved 3 conflicts"]
    assert output.fold(lines) == lines


def test_colours_and_the_states_of_a_progress_bar_are_gone() -> None:
    assert output.clean("\x1b[31mred\x1b[0m") == "red"
    assert output.clean("10%\r50%\r100%\n") == "100%"
    assert len(output.clean("x" * 100_000)) < 2100


def test_a_tail_is_bounded_in_lines_and_characters() -> None:
    assert output.last_lines([str(n) for n in range(1000)], 3) == ["997", "998", "999"]
    assert output.last_lines(["x" * 6000] * 10) == ["x" * 6000]


@pytest.mark.parametrize("total", [1, 399, 400, 401, 1700])
def test_pages_of_a_log_follow_one_another_to_its_end(total: int) -> None:
    lines = [f"line {n} " + "y" * (n % 300) for n in range(1, total + 1)]
    seen: list[str] = []
    while True:
        head, *page = output.log_page("j", lines, len(seen) + 1).split("\n")
        seen += page
        if "More" not in head:
            break
        assert f"offset={len(seen) + 1}" in head
    assert seen == lines


def test_a_page_past_the_end_says_how_long_the_log_is() -> None:
    assert "has 2 lines so far" in output.log_page("j", ["a", "b"], 3)


def test_a_table_survives_pipes_and_newlines_in_its_cells() -> None:
    text = output.as_text(Table("t", ("a",), (("x|y\nz",),)))
    assert text == "| a |\n|---|\n| x\\|y z |"


def test_a_job_is_told_with_the_names_of_its_variables_only() -> None:
    job = JobInfo(
        id="1", namespace="n", stage=Stage.RUNNING, env={"B": "secret?", "A": "2", "ML_INTERN_SCRIPT_0": "H4sI"}, command=("x",) * 5000
    )
    told = output.job_json(job)
    assert '"env": [' in told and "secret?" not in told and "H4sI" not in told and "ML_INTERN" not in told
    assert len(told) < 2000


@pytest.mark.parametrize(
    ("text", "stage"), [("error", Stage.ERROR), (" Cancelled ", Stage.CANCELED), ("FAILED", Stage.ERROR), ("ERR", None), ("", None)]
)
def test_a_stage_is_named_whole(text: str, stage: Stage | None) -> None:
    """W16: a filter is exact, not a part of a word."""
    assert output.stage_named(text) is stage
