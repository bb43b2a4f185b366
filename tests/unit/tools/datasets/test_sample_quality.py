from __future__ import annotations

from ml_intern.gateways.hub.features import features_of, infer
from ml_intern.tools.datasets.sample_quality import ColumnQuality, balance_text, sample_quality
from ml_intern.tools.datasets.schema import cell, type_text

VALUE = {"dtype": "string", "_type": "Value"}


def column(rows: list[dict[str, object]], name: str) -> ColumnQuality:
    return next(found for found in sample_quality(rows, infer(rows)).columns if found.name == name)


def test_duplicates_and_empty_values_are_counted() -> None:
    rows: list[dict[str, object]] = [{"text": "a"}, {"text": "a"}, {"text": " "}, {"text": None}, {"text": "b"}]
    quality = sample_quality(rows, infer(rows))
    assert (quality.rows, quality.duplicates) == (5, 1)
    assert column(rows, "text").empty == 2


def test_lengths_far_off_are_told_by_their_row_number() -> None:
    rows: list[dict[str, object]] = [{"text": f"{n:03} " + "x" * (20 + n % 5)} for n in range(30)]
    rows[17] = {"text": "y" * 9000}
    far = sample_quality(rows, infer(rows), first=100).columns[0]
    assert far.far == (117,) and far.lengths is not None and far.lengths[2] == 9000


def test_equal_lengths_have_no_outliers() -> None:
    assert column([{"text": f"{n:04}"} for n in range(50)], "text").far == ()


def test_classes_out_of_balance_are_said() -> None:
    rows: list[dict[str, object]] = [{"label": 0 if n else 1} for n in range(50)]
    assert "very unbalanced" in balance_text(column(rows, "label").classes)
    assert column([{"id": n} for n in range(50)], "id").classes == ()


def test_faults_of_chats_are_said() -> None:
    user, assistant = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
    rows: list[dict[str, object]] = [
        {"messages": [user, assistant]},
        {"messages": [user, user, {"role": "assistant", "content": ""}]},
        {"messages": [user]},
    ]
    told = column(rows, "messages").chat
    assert "roles user 4, assistant 2" in told
    assert "1 do not end with the assistant" in told and "1 have a message without text" in told and "1 have the same role twice" in told


def test_nested_types_are_written_out() -> None:
    """W46: nested features were shown as ``List`` or ``unknown``."""
    told = {
        "old_list": [{"a": VALUE, "b": [{"dtype": "int32", "_type": "Value"}]}],
        "sequence": {"feature": {"x": VALUE}, "_type": "Sequence"},
        "audio": {"sampling_rate": 16000, "_type": "Audio"},
        "matrix": {"shape": [2, 3], "dtype": "float32", "_type": "Array2D"},
        "pair": {"languages": ["de", "en"], "_type": "Translation"},
        "deep": {"feature": {"feature": {"feature": VALUE, "_type": "List"}, "_type": "List"}, "_type": "LargeList"},
        "new": {"_type": "SomethingNew"},
    }
    shown = {name: type_text(feature) for name, feature in features_of(told).items()}
    assert shown == {
        "old_list": "list<{a: string, b: list<int32>}>",
        "sequence": "Sequence<{x: string}> (a struct of lists)",
        "audio": "Audio at 16000 Hz",
        "matrix": "Array2D(2×3 float32)",
        "pair": "Translation(de, en)",
        "deep": "list<list<list<string>>>",
        "new": "SomethingNew",
    }


def test_first_rows_list_of_features_is_understood() -> None:
    assert type_text(features_of([{"feature_idx": 0, "name": "text", "type": VALUE}])["text"]) == "string"


def test_a_struct_of_lists_is_shown_as_the_chat_it_is() -> None:
    feature = features_of({"chat": {"feature": {"from": VALUE, "value": VALUE}, "_type": "Sequence"}})["chat"]
    assert cell({"from": ["human", "gpt"], "value": ["q", "a"]}, feature) == "2 messages\n  human: q\n  gpt: a"


def test_content_in_parts_is_shown_as_its_texts() -> None:
    rows = [{"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is it?"}]}]}]
    assert cell(rows[0]["messages"], infer(rows)["messages"]) == "1 message\n  user: [image] what is it?"


def test_bytes_of_an_image_never_reach_the_report() -> None:
    feature = features_of({"image": {"_type": "Image"}})["image"]
    assert cell({"bytes": b"\x89PNG" * 1000, "path": "a.png"}, feature) == "<Image a.png>"
    assert cell(b"\0" * 5000, None) == '"<5000 bytes>"'
