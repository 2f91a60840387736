"""`simscale train`: a recipe becomes a checkpoint, with metrics and learning curves beside it."""

import json
from pathlib import Path

from simscale.cli.commands import Train
from simscale.cli.speech import give, say
from simscale.dataset.files import write_whole
from simscale.engine.progress import LateProgress
from simscale.scene import BadInput
from simscale.train import TrainConfig, read_config
from simscale.train.loop import METRICS, TrainReport, train
from simscale.viz.curves import learning_curves
from simscale.viz.image import png_of

CURVES = "curves.png"


def run(command: Train) -> int:
    """Writes the checkpoint."""
    report = trained(config_of(command.recipe), command.out)
    say(f"{report.real} real and {report.simulated} simulated examples, {report.steps} steps: {report.checkpoint}")
    for line in _lines(report):
        say(line)
    if command.json:
        give(report.as_json())
    return 0


def config_of(recipe: str) -> TrainConfig:
    """The recipe in a file.

    Raises:
        BadInput: There is none.
    """
    if not recipe.endswith(".json"):
        raise BadInput("command line", "RECIPE", repr(recipe), "a recipe file (.json)")
    return read_config(Path(recipe))


def trained(config: TrainConfig, out: Path) -> TrainReport:
    """Trains with progress on stderr, and draws the learning curves."""
    with LateProgress("train", noun="steps") as watch:
        report = train(
            config, out, on_start=watch.start, on_step=lambda row: watch.advance(1, f"loss {row['total']:.2f}")
        )
    rows = [json.loads(line) for line in (out / METRICS).read_text().splitlines()]
    write_whole(out / CURVES, png_of(learning_curves(rows)))
    return report


def _lines(report: TrainReport) -> list[str]:
    words = {"validation_ade": "mean displacement", "validation_fde": "final displacement"}
    return [f"validation: {noun} {report.last[key]:.2f} m" for key, noun in words.items() if key in report.last]
