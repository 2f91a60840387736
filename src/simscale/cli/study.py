"""`simscale study`: paired trainings with and without simulated data, and what the second ones gain."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from simscale import __version__
from simscale.cli.commands import Study
from simscale.cli.experiment import evaluation_name, steps_of, training_name
from simscale.cli.speech import give, say
from simscale.cli.steps import Step, StepFailed, run_steps
from simscale.dataset.files import write_whole
from simscale.engine.progress import progress
from simscale.recipes import EXPERIMENTS, Experiment
from simscale.scene import BadInput
from simscale.study import PairedGain, paired_gain

MANIFEST = "manifest.json"
MEASURES = (("townhard", "stage_two"), ("townhard", "combined"), ("townhard", "stage_one"), ("towntest", "epdms"))
"""What the arms are compared by; the first is the study's answer."""


def run(command: Study) -> int:
    """Writes results and manifest."""
    if command.recipe not in EXPERIMENTS:
        raise BadInput("command line", "RECIPE", repr(command.recipe), " or ".join(EXPERIMENTS))
    experiment = EXPERIMENTS[command.recipe]()
    begun = time.monotonic()
    try:
        results = done_steps(experiment, command.out, workers=command.workers)
    except StepFailed as failure:
        say(f"simscale: {failure}")
        return 1
    answer = answer_of(experiment, results) | {"minutes": round((time.monotonic() - begun) / 60, 1)}
    write_whole(command.out / MANIFEST, json.dumps(answer, indent=1).encode() + b"\n")
    for line in lines_of(answer):
        say(line)
    say(f"study: {command.out}")
    if command.json:
        give(answer)
    return 0


def done_steps(experiment: Experiment, out: Path, *, workers: int | None) -> dict[str, dict[str, Any]]:
    """Runs an experiment's steps with progress on stderr; results by name."""
    cores = len(os.sched_getaffinity(0)) if workers is None else workers
    if cores < 1:
        raise BadInput("command line", "--workers", cores, "1 or more")
    out.mkdir(parents=True, exist_ok=True)
    steps = steps_of(experiment, out, cores=cores)
    with progress(experiment.name, total=len(steps), noun="steps") as advance:

        def told(step: Step, seconds: float) -> None:
            advance(1, f"{step.name} {seconds:.0f} s" if seconds else f"{step.name} done before")

        return run_steps(steps, out / "steps", cores=cores, on_done=told)


def answer_of(experiment: Experiment, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the study says: the gain on the second stage, with its interval over seeds, and every table beside it."""
    gains = {
        f"{split}.{key}": _gain(experiment, results, split, key)
        for split, key in MEASURES
        if split in experiment.splits
    }
    main = gains["townhard.stage_two"]
    return {
        "study": experiment.name,
        "version": __version__,
        "measure": "EPDMS of the second stage of townhard, co-trained minus real only",
        "gain": main.gain,
        "interval": [_finite(main.low), _finite(main.high)],
        "seeds": list(experiment.seeds),
        "gains": {
            name: {"gain": g.gain, "interval": [_finite(g.low), _finite(g.high)], "differences": list(g.differences)}
            for name, g in gains.items()
        },
        "scores": {
            split: {agent: _row(results[evaluation_name(split, agent)], _keys(split)) for agent in _agents(experiment)}
            for split in experiment.splits
        },
    }


def lines_of(answer: dict[str, Any]) -> list[str]:
    """The answer for people."""
    lines = []
    width = 2 + max(len(agent) for agents in answer["scores"].values() for agent in agents)
    for split, agents in answer["scores"].items():
        keys = _keys(split)
        lines.append(split.ljust(width) + "".join(f"{key:>20s}" for key in keys))
        for agent, row in agents.items():
            lines.append(f"  {agent}".ljust(width) + "".join(f"{_cell(row, key):>20s}" for key in keys))
    for name, gain in answer["gains"].items():
        low, high = (_number(bound) for bound in gain["interval"])
        over = f"95 % over seeds [{low}, {high}]" if len(gain["differences"]) > 1 else "one seed, which proves nothing"
        lines.append(f"co-trained minus real only, {name}: {gain['gain']:+.1f}, {over}")
    return lines


def _gain(experiment: Experiment, results: dict[str, dict[str, Any]], split: str, key: str) -> PairedGain:
    def scores(arm: str) -> np.ndarray:
        trained = [training_name(arm, seed, planner=experiment.planner) for seed in experiment.seeds]
        names = [evaluation_name(split, name) for name in trained]
        return np.array([results[name][key] for name in names], dtype=np.float64)

    return paired_gain(scores("real-only"), scores("co-trained"))


def _agents(experiment: Experiment) -> list[str]:
    arms = ("real-only", "co-trained")
    trained = [training_name(arm, seed, planner=experiment.planner) for arm in arms for seed in experiment.seeds]
    return [*experiment.agents, *trained]


def _keys(split: str) -> tuple[str, ...]:
    return ("epdms", "ade") if split == "towntest" else ("stage_one", "stage_two", "combined", "ade")


def _row(found: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Scores, and their intervals over drives."""
    intervals = {key: found["interval"] if key == "epdms" else found["intervals"].get(key) for key in keys}
    return {key: found[key] for key in keys} | {"intervals": {k: v for k, v in intervals.items() if v is not None}}


def _cell(row: dict[str, Any], key: str) -> str:
    low, high = row["intervals"].get(key) or (None, None)
    return _number(row[key]) + (f" [{low:.1f}, {high:.1f}]" if low is not None and high is not None else "")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
