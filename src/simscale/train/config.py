"""What a training is: everything that decides the weights, as one frozen noun, and its form as a file."""

import math
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from simscale.dataset.mixture import Mixture, with_folders
from simscale.planners import PLANNERS
from simscale.scene import BadInput
from simscale.train.schedule import Epochs

SCHEMA_VERSION = 1
MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training."""

    mixture: Mixture
    name: str = ""  # of the recipe, for people
    planner: str = "ltf"
    preset: str = "nano"
    initial: Path | None = None  # a checkpoint to start from; random weights where not said
    steps: int = 800
    batch: int = 32
    optimiser: Literal["muon", "adam"] = "muon"  # muon.py says why (ours); LTF's own is Adam
    learning_rate: float = 1e-3  # at its highest (ours, for nano; LTF's own is 1e-4)
    schedule: Literal["cosine", "constant"] | Epochs = "cosine"  # ours; LTF's own is constant, others' goes by epochs
    warm_up: int = 50  # steps in which the rate rises from 0 (ours); `Epochs` have their own
    lr_mult: float = 0.5  # of the image encoder's rate, if it were effective
    lr_mult_effective: bool = False  # DiffusionDrive's and GTRS's recipes ask for it, and their scheduler forgets it
    weight_decay: float = 0.0  # decoupled; LTF's is 0
    auxiliary: float = 1.0  # share of the planner's own weights of its auxiliary losses
    imitate: Literal["all", "real"] = "all"  # whose drives are imitated; with "real", simulated examples teach rewards
    #   (and auxiliary losses) alone
    auxiliary_from: Literal["all", "real"] = "all"  # who teaches the auxiliary losses
    legacy_mean: bool = False  # an example that is left out of a loss dilutes it, as in the reference
    vocabulary: Path | None = None  # trajectories to choose from; the shipped ones where not said
    legacy_last_round_only: bool = False  # of simulated examples, rewards are those of the last store alone, as the
    #   reference reads its last round's file for every round
    clip: float | None = 1.0  # largest norm of the gradient (ours)
    seed: int = 0
    validation: tuple[Path, ...] = ()  # rendered examples of other streets
    test: tuple[Path, ...] = ()  # scenes (or rendered examples) that the planner will be tested on: checked, not read
    validate_every: int = 100  # steps
    save_every: int = 100  # steps; what a crash costs at most
    threads: int = 1  # on one, the same recipe gives the same weights

    def checked(self) -> "TrainConfig":
        """This configuration, if it is possible.

        Raises:
            BadInput: An unknown planner or preset, or a number below its least.
        """
        what = f"recipe {self.name}".strip()
        if self.planner not in PLANNERS:
            raise BadInput(what, "planner", repr(self.planner), " or ".join(PLANNERS))
        presets = PLANNERS[self.planner].presets
        if self.preset not in presets:
            raise BadInput(what, "preset", repr(self.preset), " or ".join(presets))
        for name in ("steps", "batch", "validate_every", "save_every", "threads"):
            if getattr(self, name) < 1:
                raise BadInput(what, name, getattr(self, name), "1 or more")
        if not self.learning_rate > 0 or self.weight_decay < 0 or self.warm_up < 0:
            raise BadInput(
                what,
                "learning_rate, weight_decay, warm_up",
                (self.learning_rate, self.weight_decay, self.warm_up),
                "a positive rate, the others 0 or more",
            )
        if isinstance(self.schedule, Epochs) and not 0 <= self.schedule.warm_up < self.schedule.count:
            raise BadInput(what, "schedule.warm_up", self.schedule.warm_up, f"0 to {self.schedule.count - 1} epochs")
        if not self.lr_mult > 0:
            raise BadInput(what, "lr_mult", self.lr_mult, "more than 0")
        if not 0 <= self.auxiliary < math.inf:
            raise BadInput(what, "auxiliary", self.auxiliary, "0 or more")
        if not PLANNERS[self.planner].chooses and (self.mixture.rewards or self.vocabulary):
            raise BadInput(what, "rewards, vocabulary", f"for {self.planner}", "a planner that chooses trajectories")
        if not self.mixture.real and not self.mixture.simulated:
            raise BadInput(what, "mixture", "empty", "at least one folder of rendered examples")
        return self


for _noun in (TrainConfig, Mixture, Epochs):
    _noun.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]


def read_config(path: Path) -> TrainConfig:
    """Reads a recipe file: JSON with `schema_version` and fields of `TrainConfig`; folders are relative to the file.

    Raises:
        BadInput: No such file, no JSON, an unknown field, a value of another type, or an impossible training.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(path, "size", f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(path, "recipe", "missing", "a .json file") from None
    try:
        read = TypeAdapter(_RecipeFile).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "content"
        raise BadInput(path, where, _told(first), first["msg"].lower()) from None
    if read.schema_version != SCHEMA_VERSION:
        raise BadInput(path, "schema_version", read.schema_version, SCHEMA_VERSION)
    config, base = read.train, path.parent
    return replace(
        config,
        mixture=with_folders(config.mixture, base),
        initial=None if config.initial is None else base / config.initial,
        vocabulary=None if config.vocabulary is None else base / config.vocabulary,
        validation=tuple(base / folder for folder in config.validation),
        test=tuple(base / folder for folder in config.test),
    ).checked()


def plain(config: Any) -> Any:
    """A configuration as plain data for JSON."""
    if is_dataclass(config):
        return {field.name: plain(getattr(config, field.name)) for field in fields(config)}
    if isinstance(config, tuple | list):
        return [plain(item) for item in config]
    if isinstance(config, dict):
        return {str(key): plain(value) for key, value in config.items()}
    return str(config) if isinstance(config, Path) else config


@dataclass(frozen=True, kw_only=True)
class _RecipeFile:
    """The file."""

    schema_version: int
    train: TrainConfig


_RecipeFile.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]


def _told(error: Any) -> str:
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return "unknown"
    return "absent" if error["type"] in ("missing", "missing_argument") else repr(error["input"])[:80]
