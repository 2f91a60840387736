"""A scoring run in numbers: what `simscale score --json` prints and `summary.json` holds. Scores are in percent.

Every mean comes with the interval that a bootstrap over logs gives; with a single log there is none.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from simscale import __version__
from simscale.evaluate.aggregate import SCORE
from simscale.evaluate.intervals import LEVEL, Estimate, mean_with_interval
from simscale.evaluate.protocol import PDMS_V1
from simscale.evaluate.score_run import ScoreRun
from simscale.evaluate.table import COLUMNS_OF, ONE_STAGE, PDMS, column_means

Array = np.ndarray


def score_summary(run: ScoreRun, *, plans: str, about: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Everything worth saying, as JSON.

    Args:
        run: What was scored.
        plans: What the plans are called.
        about: What their file says of its makers.
        seed: Of the bootstrap.
    """
    parts, cluster = _parts(run)
    estimates = {name: mean_with_interval(100.0 * rows[:, -1], cluster, seed=seed) for name, rows in parts.items()}
    main = estimates["combined"] if run.both is not None else estimates["stage_one"]
    none = [None, None]
    return {
        "protocol": run.protocol.name,
        "version": __version__,
        "plans": plans,
        "about": about,
        "stages": run.protocol.stages,
        "traffic": run.protocol.traffic,
        "filter": run.protocol.human_filter,
        "exact": run.protocol.exact,
        "coverage": run.coverage,
        "score": _number(main.mean),
        "interval": _interval(main),
        **{name: _number(estimates[name].mean) if name in estimates else None for name in STAGES},
        "intervals": {name: _interval(estimates[name]) if name in estimates else none for name in STAGES},
        "sub_scores": {name: _named(run, rows) for name, rows in parts.items()},
        "counts": _counts(run),
        "failures": [{"token": token, "error": reason} for token, reason in run.failures],
        "bootstrap": {"over": "logs", "level": LEVEL, "seed": seed, "values": main.count, "clusters": main.clusters},
    }


STAGES = ("stage_one", "stage_two", "combined")


def _parts(run: ScoreRun) -> tuple[dict[str, Float[Array, "u c"]], Int[Array, " u"]]:
    """What is averaged (tokens, or groups), and the log of each."""
    log = np.unique(np.array(run.log), return_inverse=True)[1].astype(np.int64)
    if run.both is None:
        return {"stage_one": run.columns}, log
    now = np.array([group.now for group in run.groups])
    both = run.both
    return {"stage_one": both.stage_one, "stage_two": both.stage_two, "combined": both.combined}, log[now]


def _named(run: ScoreRun, rows: Float[Array, "u c"]) -> dict[str, float | None]:
    names = COLUMNS_OF[PDMS if run.protocol.score == PDMS_V1 else ONE_STAGE]
    return {name: _number(100.0 * mean) for name, mean in zip(names, column_means(rows), strict=True)}


def _counts(run: ScoreRun) -> dict[str, int]:
    missing = run.protocol.score != PDMS_V1 and run.scored & np.isnan(run.columns[:, SCORE - 1])
    return {
        "tokens": len(run.token),
        "scored": int(run.scored.sum()),
        "failed": int((~run.scored).sum()),
        "without_extended_comfort": int(np.sum(missing)),
        "logs": len(set(run.log)),
        "groups": len(run.groups),
        "groups_scored": int(run.both.scored.sum()) if run.both is not None else 0,
        "second_stage_tokens": int((run.stage == 2).sum()),
    }


def _interval(estimate: Estimate) -> list[float | None]:
    if estimate.clusters < 2:
        return [None, None]
    return [_number(estimate.low), _number(estimate.high)]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
