"""An evaluation as files: the reference's table, one with all that is known of each token, and the drives.

`scores.csv` has the columns and last rows of the reference's own scripts. `tokens.parquet` adds stage, law, weight and
displacement errors; `units.parquet` holds what averages and paired differences are made from; `drives.npz` plans and
states; `summary.json` the numbers.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simscale.dataset.files import write_whole
from simscale.evaluate.aggregate import COLUMNS
from simscale.evaluate.evaluation import Evaluation
from simscale.evaluate.summary import Units, units_of
from simscale.evaluate.table import column_means, epdms_table, table_csv
from simscale.scene import BadInput

Array = np.ndarray

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
    both = evaluation.two_stages
    stage = np.array([start.stage for start in evaluation.split.starts])
    rows = [evaluation.columns[evaluation.scored]]
    if both is not None:
        rows = [both.stage_one, both.stage_two, both.combined]
    table = epdms_table(
        [start.token for start in evaluation.split.starts],
        stage,
        evaluation.columns,
        scored=evaluation.scored,
        means=[column_means(part) for part in rows],
    )
    return table_csv(table)


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
