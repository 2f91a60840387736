"""Recipes: whole runs by name, as functions that return their configuration. A variant calls another and replaces."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from simscale.dataset.mixture import Mixture
from simscale.evaluate.seeds import TRAIN_SEEDS, VALIDATION_SEEDS
from simscale.train.config import TrainConfig
from simscale.train.published_schedules import PUBLISHED_SCHEDULES

ARMS = {"real-only": False, "co-trained": True}
"""What an experiment compares: are simulated examples taught as well? Both train for the same number of steps."""
NANO_AUXILIARY = 0.2
"""A short training of the nano planner has no time for a map that it does not drive by (docs/LOG.md has figures)."""
RULE_AGENTS = ("human", "pdm-closed", "constant-velocity", "stand-still")
"""Rows of every table: what a planner must be held against (pipeline.md, traps)."""


def real_only() -> TrainConfig:
    """LTF nano on what `simscale render --logged SCENES --out real` wrote in this folder."""
    return TrainConfig(mixture=Mixture(real=(Path("real"),)), name="real_only", auxiliary=NANO_AUXILIARY)


def co_trained() -> TrainConfig:
    """... and on as many simulated examples of `simscale render SAMPLES --out simulated`."""
    both = replace(real_only().mixture, simulated=(Path("simulated"),), simulated_per_real=1.0)
    return replace(real_only(), mixture=both, name="co_trained")


def ltf_navsim() -> TrainConfig:
    """The published LTF at 256 x 1024 with its own optimiser (planners.md 2): Adam, 1e-4, batches of 64.

    The number of steps is 100 epochs of the 85,109 real examples of navtrain.
    """
    return replace(
        co_trained(),
        name="ltf_navsim",
        preset="navsim",
        steps=100 * 1330,
        batch=64,
        optimiser="adam",
        learning_rate=PUBLISHED_SCHEDULES["ltf"].peak,
        schedule=PUBLISHED_SCHEDULES["ltf"].course,
        warm_up=0,
        auxiliary=1.0,
        clip=None,
    )


def ltf_simscale() -> TrainConfig:
    """SimScale's LTF at 512 x 2048, as it is co-trained: 8 times 64 a batch, at the root of eight times the rate."""
    rate = PUBLISHED_SCHEDULES["ltf_simscale"].peak
    return replace(ltf_navsim(), name="ltf_simscale", preset="simscale", steps=100 * 167, batch=512, learning_rate=rate)


def diffusiondrive() -> TrainConfig:
    """DiffusionDrive nano on real and simulated examples, as LTF nano is trained."""
    return replace(co_trained(), name="diffusiondrive", planner="diffusiondrive")


def diffusiondrive_simscale() -> TrainConfig:
    """The published DiffusionDrive at 512 x 2048 with its own optimiser (planners.md 3): AdamW, 8 times 64 a batch.

    The number of steps is 100 epochs of the 85,109 real examples of navtrain.
    """
    return replace(
        diffusiondrive(),
        name="diffusiondrive_simscale",
        preset="simscale",
        steps=100 * 167,
        batch=512,
        optimiser="adam",
        learning_rate=PUBLISHED_SCHEDULES["diffusiondrive"].peak,
        weight_decay=1e-4,
        schedule=PUBLISHED_SCHEDULES["diffusiondrive"].course,
        auxiliary=1.0,
        clip=None,
    )


def gtrs() -> TrainConfig:
    """GTRS nano on rewards of both (`simscale rewards SCENES SAMPLES --out rewards`); it imitates real drives alone."""
    both = replace(co_trained().mixture, rewards=(Path("rewards"),))
    return replace(co_trained(), mixture=both, name="gtrs", planner="gtrs", imitate="real")


def gtrs_simscale() -> TrainConfig:
    """SimScale's GTRS-Dense, rewards only, with its own optimiser (planners.md 4): 32 times 11 a batch.

    The number of steps is 50 epochs of the 85,109 real examples of navtrain.
    """
    return replace(
        gtrs(),
        name="gtrs_simscale",
        preset="simscale",
        steps=50 * 242,
        batch=352,
        optimiser="adam",
        learning_rate=PUBLISHED_SCHEDULES["gtrs"].peak,
        schedule=PUBLISHED_SCHEDULES["gtrs"].course,
        auxiliary=1.0,
        legacy_mean=True,
        clip=None,
    )


def hydra_mdp() -> TrainConfig:
    """Hydra-MDP on real examples with NVlabs' optimiser (planners.md 4): Adam, 2e-4, 24 times 22 a batch, 20 epochs."""
    return replace(
        gtrs_simscale(),
        mixture=Mixture(real=(Path("real"),), rewards=(Path("rewards"),)),
        name="hydra_mdp",
        preset="hydra_mdp_v99",
        imitate="all",
        steps=20 * 162,
        batch=528,
        learning_rate=PUBLISHED_SCHEDULES["gtrs_nvlabs"].peak,
        schedule=PUBLISHED_SCHEDULES["gtrs_nvlabs"].course,
        warm_up=0,
        legacy_mean=False,
    )


RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "real_only": real_only,
    "co_trained": co_trained,
    "ltf_navsim": ltf_navsim,
    "ltf_simscale": ltf_simscale,
    "diffusiondrive": diffusiondrive,
    "diffusiondrive_simscale": diffusiondrive_simscale,
    "gtrs": gtrs,
    "gtrs_simscale": gtrs_simscale,
    "hydra_mdp": hydra_mdp,
}
"""Trainings that `simscale train` knows by name; a .json file says the same with other folders and numbers."""


@dataclass(frozen=True, kw_only=True)
class StreetRecipe:
    """How streets are reconstructed from what three cameras recorded; planners see 64 x 256 pixels of all three."""

    width: int = 240
    """Of the photographs that are learned from, pixels: twice and a half what planners see."""
    steps: int = 1200
    """About a minute and a half on one core, with the start."""
    gaussians: int = 60_000


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Real only against co-trained in the town, from nothing to a score."""

    name: str
    towns: tuple[int, ...]  # seeds of the training towns
    validation: tuple[int, ...] = ()  # ... and of those that show over-fitting on the learning curves
    drives: int = 3  # through each: many streets teach more than many drives through few (docs/LOG.md)
    rounds: int = 2  # attempts at a perturbed state for each decision point
    experts: tuple[str, ...] = ("recovery",)  # whose answers are taught; docs/LOG.md has why
    planner: str = "ltf"
    preset: str = "nano"
    steps: int = 1200
    batch: int = 16
    learning_rate: float = 1e-3
    auxiliary: float = NANO_AUXILIARY
    seeds: tuple[int, ...] = (0, 1, 2)  # of the pairs of trainings
    splits: tuple[str, ...] = ("towntest", "townhard")
    size: str = "quick"  # of the splits
    agents: tuple[str, ...] = RULE_AGENTS
    streets: StreetRecipe | None = None  # whose splats are the simulated images; ray-cast where None


def quick() -> Experiment:
    """Three paired seeds in a quarter of an hour on two cores."""
    return Experiment(name="quick", towns=TRAIN_SEEDS[100:130], validation=VALIDATION_SEEDS[:1])


def demo() -> Experiment:
    """The whole loop in a few minutes: one seed, few streets, few steps."""
    few = replace(quick(), towns=TRAIN_SEEDS[:6], validation=())
    return replace(few, name="demo", steps=500, seeds=(0,), size="tiny")


def demo_splats() -> Experiment:
    """The demo with simulated images from reconstructed streets: one drive through each town, for the time it takes."""
    return replace(demo(), name="demo-splats", drives=1, streets=StreetRecipe())


DEMOS: dict[str, Callable[[], Experiment]] = {"raycast": demo, "splats": demo_splats}
"""By the renderer of the simulated images; real ones, and all of an evaluation's, are ray-cast."""


def minute() -> Experiment:
    """The study in about a minute, for CI: it shows that everything runs, not that anything helps."""
    return replace(demo(), name="minute", towns=TRAIN_SEEDS[:1], drives=2, steps=20, agents=("stand-still",))


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {"quick": quick, "minute": minute}
"""Studies that `simscale study` knows by name."""
