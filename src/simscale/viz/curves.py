"""Learning curves: every term of the loss over the steps, training beside validation, and the displacement errors."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simscale.viz.style import EXPERT, FAINT, INK

SMOOTHED = 25
"""Steps in the running mean of the training's terms."""
WORDS = {
    "total": "loss",
    "trajectory": "trajectory (L1)",
    "agent_class": "agents: presence",
    "agent_box": "agents: boxes",
    "bev_semantic": "semantic map",
    "ade": "mean displacement, m",
    "fde": "final displacement, m",
}
TRAINING, VALIDATION = "#5b7fa6", EXPERT["planner"]


def learning_curves(rows: Sequence[dict[str, int | float]]) -> Figure:
    """One panel a term.

    Args:
        rows: Rows of `metrics.jsonl`: those of the training, and those of the validation with its prefix.
    """
    prefix = "validation_"
    known = {name.removeprefix(prefix) for row in rows for name in row}
    terms = [name for name in WORDS if name in known]
    columns = min(4, max(len(terms), 1))
    figure = Figure(figsize=(3.2 * columns, 2.6 * -(-len(terms) // columns)), dpi=110, layout="constrained")
    panels = np.atleast_1d(figure.subplots(-(-len(terms) // columns), columns, squeeze=False)).ravel()
    for axes, term in zip(panels, terms, strict=False):
        _draw(axes, rows, term, f"{prefix}{term}")
    for axes in panels[len(terms) :]:
        axes.set_visible(False)
    return figure


def _draw(axes: Axes, rows: Sequence[dict[str, int | float]], term: str, validation: str) -> None:
    for name, colour, noun in ((term, TRAINING, "training"), (validation, VALIDATION, "validation")):
        points = np.array([(row["step"], row[name]) for row in rows if name in row]).reshape(-1, 2)
        if len(points) == 0:
            continue
        step, value = points.T
        if name == term:
            axes.plot(step, value, color=colour, alpha=0.25, linewidth=0.7)
            value = _running_mean(value, SMOOTHED)
        axes.plot(step, value, color=colour, linewidth=1.4, marker="." if name == validation else "", label=noun)
    axes.set_title(WORDS[term], fontsize=9, color=INK, loc="left")
    axes.set_ylim(bottom=0)
    axes.tick_params(labelsize=7, colors=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)


def _running_mean(value: np.ndarray, width: int) -> np.ndarray:
    """Mean of the last `width` values at each place, of fewer at the beginning."""
    total = np.cumsum(np.concatenate([[0.0], value]))
    last = np.arange(1, len(value) + 1)
    first = np.maximum(last - width, 0)
    return (total[last] - total[first]) / (last - first)
