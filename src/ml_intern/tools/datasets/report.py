"""The report on a dataset: sections of text for the model, tables for the user."""

from __future__ import annotations

from collections.abc import Sequence

from ml_intern.gateways.hub.datasets_server import ColumnStatistics, Statistics
from ml_intern.gateways.hub.features import Features
from ml_intern.protocol.amounts import counted, size_text
from ml_intern.protocol.display import Display, Link, Table
from ml_intern.tools.datasets.found import Found, SplitFound
from ml_intern.tools.datasets.sample_quality import ColumnQuality, SampleQuality, balance_text, sample_quality
from ml_intern.tools.datasets.schema import cell, cut, only, only_row, schema_rows
from ml_intern.tools.datasets.training_fit import Fit, training_fit

MOST_SPLITS = 20
MOST_COLUMNS = 60
MOST_FILES = 10
MOST_STATISTICS = 40
_VERDICTS = {"ready": "fits", "map": "fits after mapping", "no": "does not fit", "unknown": "cannot tell"}


def report(found: Found, columns: Sequence[str], sample_rows: int) -> tuple[str, tuple[Display, ...]]:
    """The text, and what is drawn. ``columns``: only these are shown in detail; the fit is judged on all."""
    shown = only(found.features, columns)
    quality = sample_quality(found.rows, shown, found.first)
    fits = training_fit(found.features, found.beginning or found.rows, found.statistics) if found.features else []
    sections = (
        _head(found),
        _splits(found),
        _schema(shown),
        _statistics(found.statistics, columns),
        _fits(fits),
        _quality(quality),
        _samples(found, shown, sample_rows),
        _files(found),
    )
    return "\n\n".join(section for section in sections if section), _tables(found, shown, fits, quality)


def _head(found: Found) -> str:
    lines = [f"Dataset {found.dataset}" + (f" ({found.page})" if found.page else "")]
    lines += [*found.status]
    if found.config:
        lines.append(f"Shown: config {found.config}, split {found.split or 'unknown'}" + (f", from {found.source}" if found.source else ""))
    lines += [f"Warning: {warning}" for warning in found.warnings]
    return "\n".join(lines)


def _splits(found: Found) -> str:
    if not found.splits:
        return ""
    lines = [f"- {split.config} / {split.split}: {_size(split)}" for split in found.splits[:MOST_SPLITS]]
    if len(found.splits) > MOST_SPLITS:
        configs = sorted({split.config for split in found.splits[MOST_SPLITS:]})
        names = cut(", ".join(configs), 600)
        lines.append(f"- … {len(found.splits) - MOST_SPLITS} more splits; further configs: {names}")
    return f"## Configs and splits ({len(found.splits)})\n" + "\n".join(lines)


def _size(split: SplitFound) -> str:
    rows = "rows unknown" if split.rows is None else f"{'about ' if split.estimated else ''}{split.rows:,} rows"
    return rows + (f", {size_text(split.size_bytes)}" if split.size_bytes is not None else "")


def _schema(features: Features) -> str:
    if not features:
        return ""
    rows = schema_rows(features)
    lines = [f"- {name}: {kind}" for name, kind in rows[:MOST_COLUMNS]]
    if len(rows) > MOST_COLUMNS:
        lines.append(f"- … {len(rows) - MOST_COLUMNS} more columns; name them in `columns`")
    return f"## Schema ({counted(len(rows), 'column')})\n" + "\n".join(lines)


def _statistics(statistics: Statistics | None, columns: Sequence[str]) -> str:
    if statistics is None:
        return ""
    chosen = [column for column in statistics.statistics if not columns or column.column_name in columns]
    lines = [f"- {column.column_name} ({column.column_type}): {_measures(column)}" for column in chosen[:MOST_STATISTICS]]
    if len(chosen) > MOST_STATISTICS:
        lines.append(f"- … {len(chosen) - MOST_STATISTICS} more; name them in `columns`")
    part = "the first " if statistics.partial else "all "
    return f"## Statistics ({part}{statistics.num_examples:,} rows)\n" + "\n".join(lines) if lines else ""


def _measures(column: ColumnStatistics) -> str:
    measures = column.column_statistics
    parts = [f"{measures.nan_count:,} nulls ({measures.nan_proportion:.1%})" if measures.nan_count else "no nulls"]
    if measures.frequencies:
        counts = sorted(measures.frequencies.items(), key=lambda item: -item[1])
        parts.append(balance_text(counts))
        if measures.no_label_count:
            parts.append(f"{measures.no_label_count:,} without a label")
    elif measures.min is not None or measures.mean is not None:
        of = {"string_text": "characters ", "list": "items ", "audio": "seconds ", "image": "pixels "}.get(column.column_type, "")
        ends = f"{of}{_number(measures.min)}–{_number(measures.max)}, mean {_number(measures.mean)}, median {_number(measures.median)}"
        parts.append(f"{ends}, sd {_number(measures.std)}" if measures.std is not None else ends)
        if measures.histogram is not None and len(measures.histogram.hist) > 1:
            parts.append("histogram " + "|".join(str(count) for count in measures.histogram.hist))
    return "; ".join(parts)


def _number(value: float | str | None) -> str:
    if value is None:
        return "?"
    return value if isinstance(value, str) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _fits(fits: Sequence[Fit]) -> str:
    lines: list[str] = []
    for fit in fits:
        why = f"missing {fit.missing}" if fit.verdict == "no" else fit.form
        lines.append(f"- {fit.method}: {_VERDICTS[fit.verdict]} ({why})" + (f". {fit.note}" if fit.note else ""))
        if fit.code:
            lines.append(f"```python\n{fit.code}\n```")
    return "## Training methods (TRL 1.x column rules)\n" + "\n".join(lines) if lines else ""


def _quality(quality: SampleQuality) -> str:
    if not quality.rows:
        return ""
    where = f"{counted(quality.rows, 'row')} from row {quality.first}"
    lines = [f"- {name}: {told}" for name, told in _findings(quality)]
    return f"## Quality of a sample ({where}; nothing is said of the others)\n" + "\n".join(lines)


def _findings(quality: SampleQuality) -> tuple[tuple[str, str], ...]:
    equal = f"{quality.duplicates} rows equal an earlier one" if quality.duplicates else "none"
    columns = ((column.name, told) for column in quality.columns[:MOST_COLUMNS] if (told := _column(column)))
    return (("duplicates", equal), *columns)


def _column(column: ColumnQuality) -> str:
    parts = [f"{column.empty} empty"] if column.empty else []
    if column.lengths is not None and not column.classes:
        shortest, middle, longest = column.lengths
        parts.append(f"length {shortest:,}–{longest:,}, median {middle:,}")
    if column.far:
        more = f" and {len(column.far) - 5} more" if len(column.far) > 5 else ""
        parts.append(f"{counted(len(column.far), 'length')} far off (rows {', '.join(map(str, column.far[:5]))}{more})")
    if column.repeated:
        parts.append(f"{column.repeated} values repeat")
    if column.classes:
        parts.append(f"classes {balance_text(column.classes)}")
    return "; ".join([*parts, column.chat] if column.chat else parts)


def _samples(found: Found, features: Features, count: int) -> str:
    blocks: list[str] = []
    names = list(features)
    for number, row in enumerate(found.rows[:count], found.first):
        kept = only_row(row, names)
        lines = [f"  {name}: {cell(value, features.get(name))}" for name, value in list(kept.items())[:MOST_COLUMNS]]
        blocks.append("\n".join([f"Row {number}", *lines]))
    if not blocks:
        return ""
    return f"## Sample rows (more: offset={found.first + len(blocks)})\n" + "\n".join(blocks)


def _files(found: Found) -> str:
    if not found.files:
        return ""
    lines = [f"- {name}" + (f" ({size_text(size)})" if size is not None else "") for name, size in found.files[:MOST_FILES]]
    if len(found.files) > MOST_FILES:
        lines.append(f"- … {len(found.files) - MOST_FILES} more")
    return f"## {found.files_title} ({len(found.files)})\n" + "\n".join(lines)


def _tables(found: Found, features: Features, fits: Sequence[Fit], quality: SampleQuality) -> tuple[Display, ...]:
    tables: list[Display] = []
    if found.splits:
        rows = tuple((split.config, split.split, _size(split)) for split in found.splits[:MOST_SPLITS])
        tables.append(Table(f"{found.dataset}: splits", ("config", "split", "size"), rows))
    if features:
        tables.append(Table("Columns", ("column", "type"), tuple(schema_rows(features)[:MOST_COLUMNS])))
    if fits:
        told = tuple((fit.method, _VERDICTS[fit.verdict], fit.missing or fit.form) for fit in fits)
        tables.append(Table("Training methods", ("method", "verdict", "columns"), told))
    if quality.rows:
        tables.append(
            Table(f"Quality of rows {quality.first} to {quality.first + quality.rows - 1}", ("column", "found"), _findings(quality))
        )
    if found.page:
        tables.append(Link(found.dataset, found.page))
    return tuple(tables)
