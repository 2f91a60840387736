"""An evaluation in numbers: what `--json` prints, what tables show, what two evaluations are compared by.

Scores are in percent here, 0 to 100, as papers give them; the columns of single tokens stay in [0, 1].
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from simscale.evaluate.aggregate import COLUMNS, SCORE, TwoStage
from simscale.evaluate.evaluation import Evaluation
from simscale.evaluate.intervals import Estimate, mean_with_interval, paired_difference
from simscale.scene import BadInput

Array = np.ndarray

LISTED = 20
"""Failures that a summary names; it counts all."""


@dataclass(frozen=True, kw_only=True)
class Units:
    """What an evaluation is averaged over: tokens in one stage, groups in two. Scores in percent, NaN where missing."""

    protocol: str
    digest: str  # of the split
    name: tuple[str, ...]  # token, or the group's first token
    drive: Int[Array, " u"]
    value: dict[str, Float[Array, " u"]]  # epdms, stage_one; with two stages stage_two, combined, stage_two_<law>


def units_of(evaluation: Evaluation) -> Units:
    """One row a token or group."""
    split = evaluation.split
    if evaluation.two_stages is None:
        score = 100.0 * evaluation.columns[:, SCORE]
        names = tuple(start.token for start in split.starts)
        value = {"epdms": score, "stage_one": score}
        return Units(protocol=evaluation.protocol, digest=split.digest, name=names, drive=split.drive, value=value)
    now = np.array([group.now for group in split.groups])
    both = evaluation.two_stages
    value = {"epdms": both.combined, "stage_one": both.stage_one, "stage_two": both.stage_two}
    value |= {"combined": both.combined}
    value |= {f"stage_two_{law}": part.stage_two for law, part in evaluation.of_law.items()}
    return Units(
        protocol=evaluation.protocol,
        digest=split.digest,
        name=tuple(split.starts[n].token for n in now),
        drive=split.drive[now],
        value={name: 100.0 * table[:, SCORE] for name, table in value.items()},
    )


def difference(first: Units, second: Units, *, of: str = "epdms", seed: int = 0) -> Estimate:
    """How much better the first is, with its interval over drives, drawn in pairs.

    Raises:
        BadInput: The two were judged by different protocols or tokens.
    """
    mine, theirs = (f"{units.protocol}, split {units.digest[:12]}" for units in (first, second))
    if mine != theirs or first.name != second.name:
        raise BadInput("evaluations", "protocol", theirs, mine)
    return paired_difference(first.value[of], second.value[of], first.drive, seed=seed)


def summary_of(evaluation: Evaluation, *, seed: int = 0) -> dict[str, Any]:
    """Everything worth saying, as JSON."""
    split, units = evaluation.split, units_of(evaluation)
    scored = evaluation.scored
    estimates = {name: mean_with_interval(value, units.drive, seed=seed) for name, value in units.value.items()}
    return {
        "protocol": evaluation.protocol,
        "agent": evaluation.agent,
        "split": split.name,
        "size": split.size,
        "split_digest": units.digest,
        "traffic": evaluation.traffic,
        "coverage": evaluation.coverage,
        "epdms": _number(estimates["epdms"].mean),
        "interval": _interval(estimates["epdms"]),
        "stage_one": _number(estimates["stage_one"].mean),
        "stage_two": _mean(estimates, "stage_two"),
        "combined": _mean(estimates, "combined"),
        "intervals": {name: _interval(estimate) for name, estimate in estimates.items() if name != "epdms"},
        "laws": {law: _law(evaluation, law, estimates[f"stage_two_{law}"]) for law in evaluation.of_law},
        "sub_scores": _sub_scores(evaluation),
        "ade": _number(_nanmean(evaluation.ade)),
        "fde": _number(_nanmean(evaluation.fde)),
        "counts": {
            "tokens": len(scored),
            "scored": int(scored.sum()),
            "failed": int((~scored).sum()),
            "drives": len(split.scenes),
            "groups": len(split.groups),
            "groups_scored": int(evaluation.two_stages.scored.sum()) if evaluation.two_stages else 0,
            "second_stage_starts": sum(start.stage == 2 for start in split.starts),
        },
        "locations": sorted({scene.location for scene in split.scenes}),
        "failures": [{"token": token, "error": error} for token, error in evaluation.failures[:LISTED]],
        "bootstrap": {"over": "drives", "level": 0.95, "seed": seed} | _draws(estimates["epdms"]),
    }


def _law(evaluation: Evaluation, law: str, estimate: Estimate) -> dict[str, Any]:
    """The second stage from one law's starts: weighted as the protocol does, and plain."""
    drawn = np.array([start.law == law for start in evaluation.split.starts])
    plain = mean_with_interval(100.0 * evaluation.columns[drawn, SCORE], evaluation.split.drive[drawn])
    return {
        "stage_two": _number(estimate.mean),
        "interval": _interval(estimate),
        "unweighted": _number(plain.mean),
        "unweighted_interval": _interval(plain),
        "starts": int(drawn.sum()),
        "sub_scores": _named(evaluation.of_law[law].stage_two),
    }


def _sub_scores(evaluation: Evaluation) -> dict[str, Any]:
    both: TwoStage | None = evaluation.two_stages
    if both is None:
        return {"stage_one": _named(evaluation.columns), "stage_two": None, "combined": None}
    parts = (("stage_one", both.stage_one), ("stage_two", both.stage_two), ("combined", both.combined))
    return {name: _named(table) for name, table in parts}


def _named(table: Float[Array, "n 10"]) -> dict[str, float | None]:
    return {name: _number(100.0 * _nanmean(table[:, c])) for c, name in enumerate(COLUMNS)}


def _nanmean(values: Float[Array, " n"]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def _mean(estimates: dict[str, Estimate], name: str) -> float | None:
    return _number(estimates[name].mean) if name in estimates else None


def _interval(estimate: Estimate) -> list[float | None]:
    return [_number(estimate.low), _number(estimate.high)]


def _draws(estimate: Estimate) -> dict[str, Any]:
    return {key: value for key, value in asdict(estimate).items() if key in ("count", "clusters")}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
