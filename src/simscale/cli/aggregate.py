"""`simscale aggregate`: recomputes a published table of scores, and says which human filter it was made with."""

from dataclasses import asdict
from typing import Any

import numpy as np

from simscale.cli.commands import Aggregate
from simscale.cli.speech import give, say
from simscale.evaluate.audit import EQUAL, LEGACY, NOT_SCORED, UNEXPLAINED, Audit, audited
from simscale.evaluate.table import PDMS, TWO_STAGE, column_means, read_table

LISTED = 20
"""Problems that people are shown; `--json` has all."""
KINDS = {"one-stage": "EPDMS in one stage", "two-stage": "EPDMS in two stages", "pdms-v1": "PDMS of v1"}
FILTERS = {
    "fixed": "no row contradicts the fixed human filter",
    "legacy": "made with the legacy human filter: columns are filtered, scores are not",
    "none": "PDMS of v1 knows no human filter",
    "unknown": "no row says which human filter it was made with",
}


def run(command: Aggregate) -> int:
    """Exit 1 when a row is not explained."""
    audit = audited(read_table(command.csv))
    said = numbers_of(audit)
    for line in lines_of(said):
        say(line)
    if command.json:
        give(said)
    return 0 if audit.explained else 1


def numbers_of(audit: Audit) -> dict[str, Any]:
    """What `--json` prints."""
    table, verdict = audit.table, audit.verdict
    stage = table.stage
    stages = (1, 2) if table.kind == TWO_STAGE else (1,)
    return {
        "kind": table.kind,
        "protocol": "pdms-v1.1" if table.kind == PDMS else "epdms-v2.2",
        "filter": audit.filter,
        "explained": audit.explained,
        "rows": len(verdict),
        **_counts(audit, np.ones(len(verdict), dtype=bool)),
        "stages": {f"stage_{name}": _stage(audit, stage == n) for n, name in zip(stages, ("one", "two"), strict=False)},
        "summary": {name: asdict(check) | {"worst": _number(check.worst)} for name, check in audit.summary.items()},
        "published": {name: _number(values[-1]) for name, values in table.summary.items()},
        "problems": [{"row": row, "problem": problem} for row, problem in audit.problems],
    }


def _counts(audit: Audit, rows: np.ndarray) -> dict[str, int]:
    verdict = audit.verdict[rows]
    names = (("equal", EQUAL), ("legacy", LEGACY), ("not_scored", NOT_SCORED), ("unexplained", UNEXPLAINED))
    return {name: int((verdict == number).sum()) for name, number in names}


def _stage(audit: Audit, rows: np.ndarray) -> dict[str, Any]:
    """Counts and mean scores of one stage; with the fixed filter the score is what the columns say."""
    values = audit.table.values[rows]
    known = ~np.isnan(audit.recomputed[rows])
    extended = audit.table.of_stage(2 if audit.table.stage[rows].max(initial=1) == 2 else 1)[rows]
    return {
        "rows": int(rows.sum()),
        **_counts(audit, rows),
        "without_extended_comfort": 0 if audit.table.kind == PDMS else int(np.isnan(extended[:, -2])[known].sum()),
        "score": _number(column_means(values[:, -1:])[0]),
        "score_of_columns": _number(column_means(audit.recomputed[rows][:, None])[0]),
    }


def lines_of(said: dict[str, Any]) -> list[str]:
    """The same for people."""
    lines = [f"{KINDS[said['kind']]}, {said['rows']} tokens"]
    for name, part in said["stages"].items():
        lines += _stage_lines(name.replace("_", " ") if len(said["stages"]) > 1 else "tokens", part)
    for name, check in said["summary"].items():
        worst = "" if check["equal"] == check["compared"] else f" (worst difference {check['worst']})"
        parts = [f"{check['equal']} of {check['compared']} numbers equal{worst}"] if check["compared"] else []
        parts += [f"{check['within']} of {check['bounded']} within what the rows allow"] if check["bounded"] else []
        lines.append(f"{name}: {', '.join(parts)}")
    lines.append(FILTERS[said["filter"]])
    lines += [f"not explained: {one['row']}: {one['problem']}" for one in said["problems"][:LISTED]]
    if len(said["problems"]) > LISTED:
        lines.append(f"and {len(said['problems']) - LISTED} more")
    return lines


def _stage_lines(name: str, part: dict[str, Any]) -> list[str]:
    mean = f"mean score {_percent(part['score'])}, by their columns {_percent(part['score_of_columns'])}"
    words = {
        "equal": "equal to what their columns give",
        "legacy": "consistent with the legacy filter alone",
        "not_scored": "not scored",
        "unexplained": "not explained",
        "without_extended_comfort": "of them without extended comfort, whose weight is dropped",
    }
    always = ("equal", "unexplained")
    counts = [f"{part[key]:8d}  {text}" for key, text in words.items() if part[key] or key in always]
    return [f"{name}: {part['rows']} rows, {mean}", *counts]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
