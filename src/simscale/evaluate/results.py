"""An evaluation as files: the reference's table, one with all that is known of each token, and the drives.

`scores.csv` has the columns and last rows of the reference's own scripts. `tokens.parquet` adds stage, law, weight and
displacement errors; `units.parquet` holds what averages and paired differences are made from; `drives.npz` plans and
states; `summary.json` the numbers.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simscale.dataset.files import write_whole
from simscale.evaluate.aggregate import COLUMNS, SCORE
from simscale.evaluate.evaluation import Evaluation
from simscale.evaluate.summary import Units, units_of
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
UNITS, SUMMARY = "units.parquet", "summary.json"


def write_results(evaluation: Evaluation, summary: dict[str, Any], folder: Path) -> None:
    """Writes all files but pictures and the manifest.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "scores.csv", reference_csv(evaluation).encode())
    write_whole(folder / "tokens.parquet", _parquet(_tokens(evaluation)))
    write_whole(folder / UNITS, _parquet(_units(units_of(evaluation))))
    stream = io.BytesIO()
    tokens = np.array([start.token for start in evaluation.split.starts])
    np.savez(stream, allow_pickle=False, token=tokens, plan=evaluation.plan.astype("<f4"), ego=evaluation.ego.packed())
    write_whole(folder / "drives.npz", stream.getvalue())
    write_whole(folder / SUMMARY, json.dumps(summary, indent=1).encode() + b"\n")


def reference_csv(evaluation: Evaluation) -> str:
    """The table that the reference's scripts write (scoring.md 7); a token that is not scored is not valid."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    both = evaluation.two_stages
    starts, columns = evaluation.split.starts, evaluation.columns
    if both is None:
        rows.writerow(["", "token", "valid", *REFERENCE_NAMES, "score"])
        for n, start in enumerate(starts):
            rows.writerow([n, start.token, bool(evaluation.scored[n]), *_cells(columns[n])])
        known = columns[evaluation.scored]
        rows.writerow([len(starts), "average_all_frames", True, *_cells(_mean(known))])
        return text.getvalue()
    named = [f"{name}_stage_{stage}" for stage in ("one", "two") for name in REFERENCE_NAMES]
    rows.writerow(["", "token", "valid", *named, "score"])
    blank = [""] * len(REFERENCE_NAMES)
    for n, start in enumerate(starts):
        values, score = _cells(columns[n, :SCORE]), _cells(columns[n, SCORE:])
        cells = [*values, *blank] if start.stage == 1 else [*blank, *values]
        rows.writerow([n, start.token, bool(evaluation.scored[n]), *cells, *score])
    one, two, all_ = _mean(both.stage_one), _mean(both.stage_two), _mean(both.combined)
    first, second = _cells(one[:SCORE]), _cells(two[:SCORE])
    end = (("stage_one", [*first, *blank], one), ("stage_two", [*blank, *second], two))
    for n, (name, cells, mean) in enumerate((*end, ("combined", [*first, *second], all_))):
        rows.writerow([len(starts) + n, f"extended_pdm_score_{name}", True, *cells, *_cells(mean[SCORE:])])
    return text.getvalue()


def read_units(folder: Path) -> Units:
    """What an evaluation was averaged over, for comparisons.

    Raises:
        BadInput: The folder holds no finished evaluation.
    """
    try:
        table = pq.read_table(folder / UNITS)
        said = json.loads((folder / SUMMARY).read_bytes())
        protocol, digest = str(said["protocol"]), str(said["split_digest"])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise BadInput(folder, "evaluation", f"not readable ({error})", "what simscale evaluate wrote") from None
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    names, drive = tuple(columns.pop("unit")), np.array(columns.pop("drive"), dtype=np.int64)
    value = {name: np.array(rows, dtype=np.float64) for name, rows in columns.items()}
    return Units(protocol=protocol, digest=digest, name=names, drive=drive, value=value)


def _tokens(evaluation: Evaluation) -> dict[str, Any]:
    starts, both = evaluation.split.starts, evaluation.two_stages
    failed = dict(evaluation.failures)
    return {
        "token": [start.token for start in starts],
        "log": [start.scene.id for start in starts],
        "location": [start.scene.location for start in starts],
        "instant": [start.instant for start in starts],
        "stage": [start.stage for start in starts],
        "law": [start.law for start in starts],
        "valid": evaluation.scored,
        "error": [failed.get(start.token, "") for start in starts],
        **{name: evaluation.columns[:, c] for c, name in enumerate(COLUMNS)},
        "weight": both.weight if both is not None else np.full(len(starts), np.nan),
        "speed": [float(start.ego.velocity[0]) for start in starts],
        "ade": evaluation.ade,
        "fde": evaluation.fde,
    }


def _units(units: Units) -> dict[str, Any]:
    return {"unit": list(units.name), "drive": units.drive, **units.value}


def _parquet(columns: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _mean(table: Array) -> Array:
    """Mean of each column without its NaN."""
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, table, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _cells(values: Array) -> list[str]:
    return ["" if np.isnan(value) else repr(float(value)) for value in values]
