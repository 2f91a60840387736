"""A trained planner as one file: its weights, and everything that the weights cannot say.

The file is a safetensors file. Its header carries, as JSON, the planner's name, its whole configuration (the images'
resolution above all: two published checkpoints differ in nothing else), the cameras it was trained on, and a record of
the training. Nothing in it is ever executed. Loading is strict: all weights, no others, each of its shape.

Published checkpoints are PyTorch files; published.py reads and writes them.
"""

import dataclasses
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from simscale.planners.registry import PLANNERS, PlannerKind
from simscale.scene import BadInput

FORMAT = "simscale-checkpoint-1"
STITCHED_CAMERAS = ("CAM_L0", "CAM_F0", "CAM_R0")
"""The cameras of the reference, from left to right in the image."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How published weights were held, so that they can be written back as they came."""

    prefix: str = ""  # before the names of the weights
    table: str = "state_dict"  # under which the file holds them; empty where it holds nothing else
    file: str = ""  # the file's name
    sha256: str = ""  # the file's digest


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """What a checkpoint says of itself."""

    planner: str  # a name in PLANNERS
    preset: str  # the preset's name; empty where the configuration is none of them
    config: Any  # the planner's configuration
    cameras: tuple[str, ...] = STITCHED_CAMERAS  # from left to right in the image
    training: dict[str, Any] = dataclasses.field(default_factory=dict)  # recipe, mixture, seed, steps, ...; JSON
    vocabulary: str = (
        ""  # digest of the planner's fixed trajectories, as `vocabulary_digest` has it; empty: it has none
    )
    origin: Origin | None = None  # where published weights came from; None: trained here


def write_checkpoint(path: Path, model: nn.Module, info: CheckpointInfo) -> Path:
    """Writes weights and information; the file appears whole or not at all. The same model gives the same bytes."""
    return write_weights(path, model.state_dict(), info)


def write_weights(path: Path, weights: Mapping[str, Tensor], info: CheckpointInfo) -> Path:
    """... of a planner's weights by name. The digest of its vocabulary is taken from them, whatever `info` says."""
    # copies: weights that share memory cannot be written
    state = {
        name: weight.detach().cpu().clone(memory_format=torch.contiguous_format) for name, weight in weights.items()
    }
    held = PLANNERS[info.planner].vocabulary
    info = dataclasses.replace(info, vocabulary=vocabulary_digest(state[held]) if held else "")
    # one entry: safetensors writes several in no certain order
    header = {"simscale": json.dumps({"format": FORMAT, **dataclasses.asdict(info)}, sort_keys=True)}
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(save(state, metadata=header))
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return path


def read_info(path: Path) -> CheckpointInfo:
    """Reads what a checkpoint says of itself, without its weights.

    Raises:
        BadInput: No checkpoint of ours, an unknown planner, or a configuration that this version does not know.
    """
    if not path.is_file():
        raise BadInput(path, "the checkpoint", "no file", "a file that `simscale train` wrote")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        wanted = "one that was written whole; `simscale checkpoint convert` makes one of a published checkpoint"
        raise BadInput(path, "the checkpoint", f"no safetensors file ({error})", wanted) from None
    try:
        said = json.loads(header["simscale"])
        version, planner, preset = str(said["format"]), str(said["planner"]), str(said["preset"])
        cameras, training, config = tuple(said["cameras"]), dict(said["training"]), dict(said["config"])
        vocabulary = str(said.get("vocabulary", ""))
        origin = None if said.get("origin") is None else Origin(**{key: str(v) for key, v in said["origin"].items()})
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            path, "header", f"not readable ({error!r})", "planner, preset, config, cameras, training"
        ) from None
    if version != FORMAT:
        raise BadInput(path, "format", version, FORMAT)
    if planner not in PLANNERS:
        raise BadInput(path, "planner", repr(planner), f"one of {', '.join(PLANNERS)}")
    read = _config_of(path, planner, config)
    return CheckpointInfo(
        planner=planner,
        preset=preset,
        config=read,
        cameras=cameras,
        training=training,
        vocabulary=vocabulary,
        origin=origin,
    )


def read_checkpoint(
    path: Path, *, planner: str | None = None, preset: str | None = None
) -> tuple[nn.Module, CheckpointInfo]:
    """A planner with its trained weights, in evaluation mode.

    Args:
        path: What `write_checkpoint` wrote.
        planner: The planner that is asked for; None takes any.
        preset: The preset that is asked for; None takes any.

    Raises:
        BadInput: No checkpoint, one of another planner or preset, or weights that do not fit.
    """
    info = read_info(path)
    if planner is not None and info.planner != planner:
        raise BadInput(path, "planner", info.planner, planner)
    if preset is not None:
        expected = PLANNERS[info.planner].presets[preset]
        if info.config != expected:
            other = info.preset not in ("", preset)  # else its own configuration, or the preset's of another version
            raise BadInput(path, "preset", info.preset if other else _difference(info.config, expected), preset)
    state = read_state(path)
    model = filled(path, info, state)
    held = PLANNERS[info.planner].vocabulary
    if held and info.vocabulary and vocabulary_digest(state[held]) != info.vocabulary:
        raise BadInput(path, held, "another vocabulary than the header says", f"sha256 {info.vocabulary[:16]}")
    return model, info


def has_header(path: Path) -> bool:
    """Whether a file is a checkpoint of ours; another one is somebody else's, or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return "simscale" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint by name."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)


def vocabulary_digest(trajectories: Tensor) -> str:
    """Digest of a planner's fixed trajectories: of the `.npy` file that holds them as float32."""
    stream = io.BytesIO()
    values = trajectories.detach().cpu().contiguous().numpy().astype("<f4")
    np.lib.format.write_array(stream, values, version=(1, 0), allow_pickle=False)
    return hashlib.sha256(stream.getvalue()).hexdigest()


def filled(path: Path, info: CheckpointInfo, state: Mapping[str, Tensor]) -> nn.Module:
    """A planner with these weights, in evaluation mode.

    Raises:
        BadInput: They are not all of its weights, or others, or of another shape or type.
    """
    model = PLANNERS[info.planner].build(info.config, seed=0)
    fault = first_fault(state, model.state_dict())
    if fault is not None:
        what, found, wanted = fault
        raise BadInput(path, what, found, wanted or f"those of {info.planner} {info.preset}".strip())
    model.load_state_dict(dict(state), strict=True)
    return model.eval()


def outline(kind: PlannerKind, config: Any) -> nn.Module:
    """A planner whose weights have names and shapes, and no numbers."""
    with torch.device("meta"):
        return kind.build(config)


def shapes_of(kind: PlannerKind, config: Any) -> dict[str, Tensor]:
    """Weights of a planner without their numbers."""
    return outline(kind, config).state_dict()


def first_fault(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[str, str, str] | None:
    """What is wrong with weights: what, found, and expected (empty: the planner's); None where all is right."""
    for what, names in (("missing", expected.keys() - state.keys()), ("unknown", state.keys() - expected.keys())):
        if names:
            return "the weights", f"{len(names)} {what}, {min(names)} for one", ""
    for name, weight in expected.items():
        if state[name].shape != weight.shape:
            return name, f"of shape {tuple(state[name].shape)}", f"{tuple(weight.shape)}"
        if state[name].dtype != weight.dtype:
            return name, f"of type {state[name].dtype}", f"{weight.dtype}"
    return None


def _config_of(path: Path, planner: str, said: dict[str, Any]) -> Any:
    kind = type(next(iter(PLANNERS[planner].presets.values())))
    known = {field.name for field in dataclasses.fields(kind)}
    if said.keys() != known:
        odd = min(said.keys() ^ known)
        raise BadInput(path, f"config.{odd}", "absent" if odd in known else "unknown", f"the fields of {kind.__name__}")
    try:
        return TypeAdapter(kind).validate_json(json.dumps(said))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(path, f"config.{where}", repr(first["input"]), first["msg"]) from None


def _difference(config: Any, expected: Any) -> str:
    """What makes a configuration another one, in words."""
    found, wanted = _flat(dataclasses.asdict(config)), _flat(dataclasses.asdict(expected))
    odd = [f"{name} {value}" for name, value in found.items() if wanted.get(name) != value]
    return f"another configuration ({', '.join(odd)})"


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested table as one with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
