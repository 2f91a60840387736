"""An experiment as commands: towns, samples, images, trainings, evaluations."""

import json
from dataclasses import replace
from pathlib import Path

from simscale.cli.steps import Step
from simscale.dataset.files import write_whole
from simscale.dataset.mixture import Mixture
from simscale.planners import PLANNERS
from simscale.recipes import ARMS, Experiment
from simscale.scene.file import SUFFIX
from simscale.train.config import SCHEMA_VERSION, TrainConfig, plain

CHECKPOINT = "checkpoint.safetensors"
REWARDS = "rewards"
"""Folder and step of the rewards of planners that choose."""
STREETS = "streets"
"""Folder of the reconstructions."""
RECONSTRUCT = "reconstruct-"
"""What the names of their steps begin with; the street's follows."""


def steps_of(experiment: Experiment, out: Path, *, cores: int) -> list[Step]:
    """The commands of an experiment, each after those that it needs. Writes the recipes of its trainings.

    Args:
        experiment: What to do.
        out: Folder of the experiment; made when absent.
        cores: That a command of several processes may use.
    """
    return [*_data(experiment, out, cores), *_trainings(experiment, out), *_evaluations(experiment, out)]


def training_name(arm: str, seed: int, *, planner: str = "ltf") -> str:
    """Name of a training's step, and of its folder."""
    return f"train-{arm}-{seed}" if planner == "ltf" else f"train-{planner}-{arm}-{seed}"


def evaluation_name(split: str, agent: str) -> str:
    """Name of an evaluation's step, and of its folder; `agent` is a rule or a training's name."""
    return f"{split}-{agent}"


def town_folders(experiment: Experiment, out: Path) -> list[Path]:
    """Folders of the training towns."""
    return [out / "towns" / str(seed) for seed in experiment.towns]


def street_name(town: int, drive: int) -> str:
    """Name of a drive, of its street's folder, and of the end of the step that reconstructs it."""
    return f"town-{town}-{drive}"


def _data(experiment: Experiment, out: Path, cores: int) -> list[Step]:
    towns = town_folders(experiment, out)
    recorded = ("--record",) if experiment.streets else ()
    check = [out / "towns" / str(seed) for seed in experiment.validation]
    made = [
        Step(
            name=f"town-{folder.name}",
            arguments=("town", "--out", str(folder), "--seed", folder.name, "--drives", str(experiment.drives))
            + (recorded if folder in towns else ()),
        )
        for folder in [*towns, *check]
    ]
    names = tuple(step.name for step in made)
    where = tuple(map(str, towns))
    many = ("--workers", str(cores))
    asked = ("--rounds", str(experiment.rounds), "--experts", ",".join(experiment.experts))
    streets = _streets(experiment, out)
    drawn_by = ("--renderer", "splats", "--assets", str(out / STREETS)) if streets else ()
    steps = [
        *made,
        *streets,
        Step(
            name="generate",
            arguments=("generate", *where, "--out", str(out / "samples"), *asked, *many),
            needs=names,
            cores=cores,
        ),
        Step(
            name="render-real",
            arguments=("render", *where, "--logged", "--out", str(out / "real"), *many),
            needs=names,
            cores=cores,
        ),
        Step(
            name="render-simulated",
            arguments=("render", str(out / "samples"), "--out", str(out / "simulated"), *drawn_by, *many),
            needs=("generate", *(step.name for step in streets)),
            cores=cores,
        ),
    ]
    if check:
        arguments = ("render", *map(str, check), "--logged", "--out", str(out / "validation"), *many)
        steps.append(Step(name="render-validation", arguments=arguments, needs=names, cores=cores))
    return steps


def _streets(experiment: Experiment, out: Path) -> list[Step]:
    """Reconstructions of all drives through the training towns, one core each."""
    recipe = experiment.streets
    if recipe is None:
        return []
    asked = ("--width", recipe.width, "--steps", recipe.steps, "--budget-gaussians", recipe.gaussians)
    steps = []
    for town, folder in zip(experiment.towns, town_folders(experiment, out), strict=True):
        for name in (street_name(town, drive) for drive in range(experiment.drives)):
            scene, asset = folder / f"{name}{SUFFIX}", out / STREETS / name
            arguments = ("reconstruct", str(scene), "--out", str(asset), *map(str, asked))
            steps.append(Step(name=f"{RECONSTRUCT}{name}", arguments=arguments, needs=(f"town-{town}",)))
    return steps


def _trainings(experiment: Experiment, out: Path) -> list[Step]:
    (out / "recipes").mkdir(parents=True, exist_ok=True)
    rendered = ("render-real", "render-simulated", *(("render-validation",) if experiment.validation else ()))
    steps = _rewards(experiment, out) if PLANNERS[experiment.planner].chooses else []
    rendered = (*rendered, *(step.name for step in steps))
    for seed in experiment.seeds:
        for arm, simulated in ARMS.items():
            name = training_name(arm, seed, planner=experiment.planner)
            recipe = out / "recipes" / f"{name.removeprefix('train-')}.json"
            config = _recipe(experiment, arm, seed, simulated=simulated)
            content = {"schema_version": SCHEMA_VERSION, "train": plain(config)}
            write_whole(recipe, json.dumps(content, indent=1).encode() + b"\n")
            arguments = ("train", str(recipe), "--out", str(out / name))
            steps.append(Step(name=name, arguments=arguments, needs=rendered))
    return steps


def _rewards(experiment: Experiment, out: Path) -> list[Step]:
    """What a planner that chooses is taught by: every trajectory's scores at every token, logged or not."""
    where = (*map(str, town_folders(experiment, out)), str(out / "samples"))
    arguments = ("rewards", *where, "--out", str(out / REWARDS), "--workers", "1")
    return [Step(name=REWARDS, arguments=arguments, needs=("generate",))]


def _recipe(experiment: Experiment, arm: str, seed: int, *, simulated: bool) -> TrainConfig:
    rewards = (Path("..") / REWARDS,) if PLANNERS[experiment.planner].chooses else ()
    real = Mixture(real=(Path("../real"),), rewards=rewards)
    both = replace(real, simulated=(Path("../simulated"),), experts=experiment.experts)
    return TrainConfig(
        mixture=both if simulated else real,
        name=f"{experiment.name}-{arm}",
        planner=experiment.planner,
        preset=experiment.preset,
        steps=experiment.steps,
        batch=experiment.batch,
        learning_rate=experiment.learning_rate,
        auxiliary=experiment.auxiliary,
        seed=seed,
        validation=(Path("../validation"),) if experiment.validation else (),
    )


def _evaluations(experiment: Experiment, out: Path) -> list[Step]:
    """The first agent of a split makes it; the others find it made."""
    steps = []
    for split in experiment.splits:
        first: tuple[str, ...] = ()
        for agent in experiment.agents:
            steps.append(_evaluation(experiment, out, split, agent, agent=agent, needs=first))
            first = first or (evaluation_name(split, agent),)
        for seed in experiment.seeds:
            for arm in ARMS:
                name = training_name(arm, seed, planner=experiment.planner)
                checkpoint = str(out / name / CHECKPOINT)
                steps.append(_evaluation(experiment, out, split, name, agent=checkpoint, needs=(*first, name)))
    return steps


def _evaluation(
    experiment: Experiment, out: Path, split: str, name: str, *, agent: str, needs: tuple[str, ...]
) -> Step:
    arguments = ("evaluate", agent, "--split", split, "--size", experiment.size, "--cache", str(out / "splits"))
    folder = str(out / "evaluations" / evaluation_name(split, name))
    return Step(name=evaluation_name(split, name), arguments=(*arguments, "--out", folder), needs=needs)
