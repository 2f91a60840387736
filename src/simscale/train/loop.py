"""The training loop: deal a batch, ask the planner, teach it; save, so that a crash costs a few seconds.

All that the next step depends on is in one file, `state.pt`: weights, the optimiser's memory, torch's random stream,
and the number of steps done, from which the sampler knows what to deal next. A training that was killed and started
again therefore ends in the same weights, to the bit on one thread, as one that nobody disturbed; so does
`metrics.jsonl`, which holds no clock.
"""

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from simscale import __version__
from simscale.dataset.files import sha256_of, write_whole
from simscale.planners import PLANNERS, CheckpointInfo, read_checkpoint, write_checkpoint
from simscale.planners.checkpoint import STITCHED_CAMERAS
from simscale.scene import BadInput
from simscale.train.config import TrainConfig, plain
from simscale.train.data import TrainingData, batch_of, training_data
from simscale.train.optimiser import Optimisers, optimisers_of
from simscale.train.schedule import constant, cosine
from simscale.train.teaching import counts_of

CHECKPOINT, METRICS, STATE, RUN, MANIFEST = (
    "checkpoint.safetensors",
    "metrics.jsonl",
    "state.pt",
    "run.json",
    "manifest.json",
)
VALIDATED_AT_ONCE = 64

Row = dict[str, int | float]
"""Numbers of one step, as `metrics.jsonl` holds them."""


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What a training came to."""

    checkpoint: Path
    sha256: str  # of the checkpoint
    steps: int
    resumed: int  # steps that an earlier run had done
    real: int  # examples
    simulated: int
    streets: tuple[str, ...]
    last: Row  # the last rows of metrics: of the training and of the validation

    def as_json(self) -> dict[str, Any]:
        """What `train --json` prints."""
        return {**vars(self), "checkpoint": str(self.checkpoint), "streets": list(self.streets), "version": __version__}


def train(
    config: TrainConfig,
    out: Path,
    *,
    on_start: Callable[[int, int], None] = lambda total, done: None,
    on_step: Callable[[Row], None] = lambda row: None,
) -> TrainReport:
    """Trains a planner; goes on where an earlier run in `out` was stopped.

    Args:
        config: What to train.
        out: The folder; made when absent.
        on_start: Told the number of steps, and of those that an earlier run has done.
        on_step: Told the metrics of each step.

    Raises:
        BadInput: See `training_data`; or `out` holds something else, or a training by another recipe.
    """
    config = config.checked()
    data = training_data(config)
    _agree(out, config, data)
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        return _trained(config, data, out, on_start, on_step)
    finally:
        torch.set_num_threads(before)


def _trained(
    config: TrainConfig,
    data: TrainingData,
    out: Path,
    on_start: Callable[[int, int], None],
    on_step: Callable[[Row], None],
) -> TrainReport:
    model = _model(config, data)
    optimiser = optimisers_of(model, config, outputs=PLANNERS[config.planner].outputs)
    done = _resumed(out, model, optimiser, seed=config.seed)
    rows = _metrics_until(out / METRICS, done)
    on_start(config.steps, done)
    with (out / METRICS).open("a") as metrics:
        for step in range(done, config.steps):
            row = _step(step, config, data, model, optimiser)
            _write_row(metrics, rows, row)
            on_step(row)
            last = step + 1 == config.steps
            if data.validation is not None and (last or (step + 1) % config.validate_every == 0):
                _write_row(metrics, rows, validated(model, data, config) | {"step": step + 1})
            if last or (step + 1) % config.save_every == 0:
                metrics.flush()
                os.fsync(metrics.fileno())
                _save(out, step + 1, model, optimiser)
    return _finished(config, data, out, model, rows, resumed=done)


def _step(step: int, config: TrainConfig, data: TrainingData, model: nn.Module, optimiser: Optimisers) -> Row:
    """One step of the optimiser, and what it found."""
    kind = PLANNERS[config.planner]
    chosen = data.sampler.rows(step * config.batch, config.batch)
    rgb, status, targets = batch_of(data.examples, chosen, data.teaching, planner=config.planner)
    rate = rate_at(step, config)
    optimiser.set_rate(rate)
    model.train()
    loss = kind.loss(model(rgb, status), targets, config=_loss_config(config))
    if not torch.isfinite(loss.total):
        found = f"{config.learning_rate:g}, with which the loss of step {step + 1} is {float(loss.total)}"
        raise BadInput(f"recipe {config.name}".strip(), "learning_rate", found, "a lower one")
    optimiser.zero_grad()
    loss.total.backward()
    if config.clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimiser.step()
    simulated = float(data.examples.is_sim[chosen].mean())
    return {"step": step + 1, "rate": rate, "simulated": simulated, **_terms(loss)}


def rate_at(step: int, config: TrainConfig) -> float:
    """Learning rate of a step; schedule.py has the courses."""
    if config.schedule == "constant":
        return constant(step, config.learning_rate, warm_up=config.warm_up)
    if config.schedule == "cosine":
        return cosine(step, config.steps, config.learning_rate, warm_up=config.warm_up)
    return config.schedule.at(step, config.steps, config.learning_rate)


def validated(model: nn.Module, data: TrainingData, config: TrainConfig) -> Row:
    """Loss and displacement errors (m) on the examples that are not trained on."""
    kind, examples, teaching = PLANNERS[config.planner], data.validation, data.validation_teaching
    assert examples is not None and teaching is not None
    model.eval()
    sums: Row = {}
    with torch.inference_mode():
        for begin in range(0, len(examples), VALIDATED_AT_ONCE):
            rows = np.arange(begin, min(begin + VALIDATED_AT_ONCE, len(examples)))
            rgb, status, targets = batch_of(examples, rows, teaching, planner=config.planner)
            output = model(rgb, status)
            every = output.trajectory.shape[1] // targets.trajectory.shape[1]  # some plan more finely than is taught
            off = (output.trajectory[:, every - 1 :: every] - targets.trajectory)[..., :2].norm(dim=-1)
            terms = _terms(kind.loss(output, targets, config=_loss_config(config)))
            terms |= {"ade": float(off.mean()), "fde": float(off[:, -1].mean())}
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value * len(rows)
    return {f"validation_{name}": value / len(examples) for name, value in sums.items()}


def _loss_config(config: TrainConfig) -> Any:
    weighted = PLANNERS[config.planner].loss_config.with_auxiliary(config.auxiliary)
    return weighted.with_legacy_mean() if config.legacy_mean else weighted


def _terms(loss: Any) -> Row:
    return {name: float(value.detach()) for name, value in vars(loss).items()}


def _model(config: TrainConfig, data: TrainingData) -> nn.Module:
    kind = PLANNERS[config.planner]
    if config.initial is not None:
        model, _ = read_checkpoint(config.initial, planner=config.planner, preset=config.preset)
        return model
    model = kind.build(kind.presets[config.preset], seed=config.seed)
    if data.words is not None:
        model.use_vocabulary(torch.from_numpy(data.words.poses))  # type: ignore[operator]
    return model


def _agree(out: Path, config: TrainConfig, data: TrainingData) -> None:
    """Writes down what the folder is for, or checks that it is for the same.

    Raises:
        BadInput: It is not.
    """
    asked = {"command": "train", "version": __version__, "config": plain(config), "inputs": list(data.inputs)}
    path = out / RUN
    if not path.exists():
        if (out / MANIFEST).exists():
            raise BadInput(out, "content", "something else", "a folder of its own for the training (another --out)")
        out.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asked, indent=1).encode() + b"\n")
        return
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadInput(path, "content", f"damaged ({error})", "what `simscale train` wrote") from None
    if found != asked:
        raise BadInput(out, "training", f"begun with {_difference(found, asked)}", "the same, or another --out")


def _difference(found: Any, asked: Any, name: str = "") -> str:
    """The first setting that differs."""
    if isinstance(found, dict) and isinstance(asked, dict):
        for key in [*found, *(key for key in asked if key not in found)]:
            if found.get(key) != asked.get(key):
                return _difference(found.get(key), asked.get(key), f"{name}.{key}".lstrip("."))
    return f"{name}={found!r} (asked for now: {asked!r})"


def _save(out: Path, step: int, model: nn.Module, optimiser: Optimisers) -> None:
    stream = io.BytesIO()
    state = {"step": step, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save(state | {"random": torch.get_rng_state()}, stream)
    write_whole(out / STATE, stream.getvalue())


def _resumed(out: Path, model: nn.Module, optimiser: Optimisers, *, seed: int) -> int:
    """Puts back what an earlier run has saved; the number of steps that it did.

    Raises:
        BadInput: The file is damaged.
    """
    path = out / STATE
    if not path.is_file():
        torch.manual_seed(seed)
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        return int(state["step"])
    except Exception as error:
        told = f"damaged ({type(error).__name__})"
        raise BadInput(
            path, "content", told, "what `simscale train` wrote; without it, training starts again"
        ) from None


def _metrics_until(path: Path, step: int) -> list[Row]:
    """Rows up to a step; later ones, and half a row, are cut off: they will be written again."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            break
        if row["step"] <= step:
            rows.append(row)
    write_whole(path, "".join(_line(row) for row in rows).encode())
    return rows


def _write_row(metrics: Any, rows: list[Row], row: Row) -> None:
    rows.append(row)
    metrics.write(_line(row))


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"


def _finished(
    config: TrainConfig,
    data: TrainingData,
    out: Path,
    model: nn.Module,
    rows: list[Row],
    *,
    resumed: int,
) -> TrainReport:
    """Writes the checkpoint and, last, the manifest."""
    record = {
        "version": __version__,
        "config": plain(config),
        "inputs": list(data.inputs),
        "streets": list(data.streets),
        "real": data.mixed.real,
        "simulated": data.mixed.simulated,
        **counts_of(data.teaching, data.mixed.chosen),
    }
    info = CheckpointInfo(
        planner=config.planner,
        preset=config.preset,
        config=model.config,
        cameras=STITCHED_CAMERAS,
        training=record,
    )
    path = write_checkpoint(out / CHECKPOINT, model, info)
    report = TrainReport(
        checkpoint=path,
        sha256=sha256_of(path),
        steps=config.steps,
        resumed=resumed,
        real=data.mixed.real,
        simulated=data.mixed.simulated,
        streets=data.streets,
        last={name: value for row in rows[-2:] for name, value in row.items()},
    )
    manifest = {"command": "train", **record, "checkpoint": {"file": path.name, "sha256": report.sha256}}
    write_whole(out / MANIFEST, json.dumps(manifest | {"last": report.last}, indent=1).encode() + b"\n")
    return report
