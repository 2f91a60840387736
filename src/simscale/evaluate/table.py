"""Tables of scores as the reference's scripts write them: a row a token, and the summary in the last rows.

Three kinds are known by their columns: EPDMS in one stage, EPDMS in two stages (each metric has a column for either
stage, of which a row fills one), and PDMS of v1. A cell that is blank is NaN here (scoring.md 7).
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int
from pyarrow import csv as pacsv

from simscale.scene import BadInput

Array = np.ndarray

REFERENCE_NAMES = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "traffic_light_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "lane_keeping",
    "history_comfort",
    "two_frame_extended_comfort",
)
"""What the reference calls the columns before the score."""
PDMS_NAMES = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "comfort",
    "driving_direction_compliance",
)
"""The same in v1 (`PDMResults`)."""
ONE_STAGE, TWO_STAGE, PDMS = "one-stage", "two-stage", "pdms-v1"
COLUMNS_OF = {
    TWO_STAGE: (*(f"{name}_stage_{stage}" for stage in ("one", "two") for name in REFERENCE_NAMES), "score"),
    ONE_STAGE: (*REFERENCE_NAMES, "score"),
    PDMS: (*PDMS_NAMES, "score"),
}
"""Columns with numbers, by kind of table."""
SUMMARY_OF = {
    TWO_STAGE: tuple(f"extended_pdm_score_{part}" for part in ("stage_one", "stage_two", "combined")),
    ONE_STAGE: ("average_all_frames",),
    PDMS: ("average",),
}
"""What stands in the column `token` of the last rows."""
MAX_BYTES = 1 << 30
"""Largest table, unpacked (ours); a million rows have 150 MB."""


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """What stands in a table."""

    kind: str  # a key of COLUMNS_OF
    token: tuple[str, ...]
    valid: Bool[Array, " n"]
    values: Float[Array, "n c"]  # in the order of COLUMNS_OF
    summary: dict[str, Float[Array, " c"]]  # by name of the row
    summary_valid: bool = True

    @property
    def stage(self) -> Int[Array, " n"]:
        """1 or 2 of each row; 0 where a row of two stages fills neither stage, or both."""
        if self.kind != TWO_STAGE:
            return np.ones(len(self.token), dtype=np.int64)
        first, second = (~np.isnan(self.of_stage(stage)[:, :-1]).all(axis=1) for stage in (1, 2))
        return np.where(first & second, 0, first + 2 * second)

    def of_stage(self, stage: int) -> Float[Array, "n m"]:
        """The columns of one stage, and the score."""
        return stage_part(self.kind, self.values, stage)


def stage_part(kind: str, values: Float[Array, "*b c"], stage: int) -> Float[Array, "*b m"]:
    """The columns of one stage, and the score; all of them where there is but one stage."""
    if kind != TWO_STAGE:
        return values
    begin = len(REFERENCE_NAMES) * (stage - 1)
    return np.concatenate([values[..., begin : begin + len(REFERENCE_NAMES)], values[..., -1:]], axis=-1)


def epdms_table(
    token: Sequence[str],
    stage: Int[Array, " n"],
    columns: Float[Array, "n 10"],
    *,
    scored: Bool[Array, " n"],
    means: Sequence[Float[Array, "10"]],
) -> ScoreTable:
    """A table of EPDMS.

    Args:
        token: One a row.
        stage: 1 or 2 of each.
        columns: Metrics and score; NaN where not scored, and for extended comfort that is not known.
        scored: Which rows are valid.
        means: Of one stage the mean alone; else those of the first stage, the second, and of both combined.
    """
    kind = ONE_STAGE if len(means) == 1 else TWO_STAGE
    if kind == ONE_STAGE:
        summary = dict(zip(SUMMARY_OF[kind], means, strict=True))
        return ScoreTable(kind=kind, token=tuple(token), valid=scored, values=columns, summary=summary)
    blank, (one, two, both) = np.full(len(REFERENCE_NAMES), np.nan), means
    rows = ((one[:-1], blank, one[-1:]), (blank, two[:-1], two[-1:]), (one[:-1], two[:-1], both[-1:]))
    first = (stage == 1)[:, None]
    metrics, score = columns[:, :-1], columns[:, -1:]
    values = np.concatenate([np.where(first, metrics, np.nan), np.where(first, np.nan, metrics), score], axis=1)
    summary = {name: np.concatenate(row) for name, row in zip(SUMMARY_OF[kind], rows, strict=True)}
    return ScoreTable(kind=kind, token=tuple(token), valid=scored, values=values, summary=summary)


def column_means(values: Float[Array, "n c"]) -> Float[Array, " c"]:
    """Mean of each column without its NaN; NaN for a column of nothing else."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def table_csv(table: ScoreTable) -> str:
    """The file's text, as pandas writes it for the reference: numbered rows, numbers in full, blanks for NaN."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["", "token", "valid", *COLUMNS_OF[table.kind]])
    for n, token in enumerate(table.token):
        rows.writerow([n, token, bool(table.valid[n]), *_cells(table.values[n])])
    for n, (name, values) in enumerate(table.summary.items()):
        rows.writerow([len(table.token) + n, name, table.summary_valid, *_cells(values)])
    return text.getvalue()


def read_table(path: Path) -> ScoreTable:
    """A table from a `.csv` or `.csv.gz` file.

    Raises:
        BadInput: The file is missing, damaged, too large, or no table of scores.
    """
    content = _content(path)
    header = next(csv.reader([content.split(b"\n", 1)[0].decode("utf-8", "replace").strip()]), [])
    kind = _kind_of(path, header)
    names = COLUMNS_OF[kind]
    types = {"token": pa.string(), "valid": pa.bool_()} | dict.fromkeys(names, pa.float64())
    blanks = ["", "nan", "NaN", "NA"]
    options = pacsv.ConvertOptions(column_types=types, include_columns=list(types), null_values=blanks)
    try:
        found = pacsv.read_csv(io.BytesIO(content), convert_options=options)
    except (pa.ArrowException, ValueError) as error:
        words = " ".join(str(error).split())[:160]
        raise BadInput(path, "table", f"damaged ({words})", "numbers or blanks, as many in each row") from None
    values = np.column_stack([found[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in names])
    token = [name or "" for name in found["token"].to_pylist()]
    valid = np.array([bool(known) for known in found["valid"].to_pylist()], dtype=bool)
    is_summary = np.array([name in SUMMARY_OF[kind] for name in token], dtype=bool)
    rows = np.flatnonzero(~is_summary)
    if len(rows) == 0:
        raise BadInput(path, "rows", "none of a token", "one a token, and a summary")
    summary = {token[n]: values[n] for n in np.flatnonzero(is_summary)}
    return ScoreTable(
        kind=kind,
        token=tuple(token[n] for n in rows),
        valid=valid[rows],
        values=values[rows],
        summary={name: summary[name] for name in SUMMARY_OF[kind] if name in summary},
        summary_valid=bool(valid[is_summary].all()),
    )


def _content(path: Path) -> bytes:
    """The unpacked file."""
    if not path.is_file():
        raise BadInput(path, "file", "missing", "a table of scores (.csv or .csv.gz)")
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(path, "file", f"damaged ({error})", "a whole .csv.gz") from None
    if len(content) > MAX_BYTES:
        raise BadInput(path, "size", f"more than {MAX_BYTES} bytes", f"at most {MAX_BYTES}")
    if not content.strip():
        raise BadInput(path, "file", "empty", "a table of scores")
    return content


def _kind_of(path: Path, header: Iterable[str]) -> str:
    """Which of the three has all its columns there."""
    there = list(header)
    for name in ("token", "valid"):
        if name not in there:
            raise BadInput(path, "header", f"without {name}", "token, valid, one column a metric, score")
    missing = {kind: [name for name in names if name not in there] for kind, names in COLUMNS_OF.items()}
    kind = min(missing, key=lambda one: len(missing[one]))
    if missing[kind]:
        raise BadInput(path, "header", f"without {', '.join(missing[kind])}", f"the columns of a {kind} table")
    twice = sorted({name for name in COLUMNS_OF[kind] if there.count(name) > 1})
    if twice:
        raise BadInput(path, "header", f"with {', '.join(twice)} twice", "each column once")
    return kind


def _cells(values: Float[Array, " c"]) -> list[str]:
    return ["" if np.isnan(value) else repr(float(value)) for value in values]
