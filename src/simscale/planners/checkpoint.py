"""A trained planner as one file: its weights, and everything that the weights cannot say.

The file is a safetensors file. Its header carries, as JSON, the planner's name, its whole configuration (the images'
resolution above all: two published checkpoints differ in nothing else), the cameras it was trained on, and a record of
the training. Nothing in it is ever executed. Loading is strict: all weights, no others, each of its shape.

Published checkpoints are PyTorch files. `read_published` takes the weights out of them with PyTorch's restricted
reader, whatever prefix their training framework gave to the names.
"""

import dataclasses
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from simscale.planners.registry import PLANNERS
from simscale.scene import BadInput

FORMAT = "simscale-checkpoint-1"
STITCHED_CAMERAS = ("CAM_L0", "CAM_F0", "CAM_R0")
"""The cameras of the reference, from left to right in the image."""
PREFIXES = ("agent._transfuser_model.", "agent.model.", "agent.", "module.")
"""What training frameworks put before the names of the weights; the longest that fits is taken off."""
TRACES = {"plan_anchor": "diffusiondrive", "_trajectory_head.vocab": "gtrs", "_trajectory_head._mlp.0.weight": "ltf"}
"""Weights that only one of the published planners has, in the order in which they are looked for."""


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """What a checkpoint says of itself."""

    planner: str  # a name in PLANNERS
    preset: str  # the preset's name; empty where the configuration is none of them
    config: Any  # the planner's configuration
    cameras: tuple[str, ...] = STITCHED_CAMERAS  # from left to right in the image
    training: dict[str, Any] = dataclasses.field(default_factory=dict)  # recipe, mixture, seed, steps, ...; JSON


def write_checkpoint(path: Path, model: nn.Module, info: CheckpointInfo) -> Path:
    """Writes weights and information; the file appears whole or not at all. The same model gives the same bytes."""
    state = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
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
        raise BadInput(path, "the checkpoint", f"no safetensors file ({error})", "one that was written whole") from None
    try:
        said = json.loads(header["simscale"])
        version, planner, preset = str(said["format"]), str(said["planner"]), str(said["preset"])
        cameras, training, config = tuple(said["cameras"]), dict(said["training"]), dict(said["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            path, "header", f"not readable ({error!r})", "planner, preset, config, cameras, training"
        ) from None
    if version != FORMAT:
        raise BadInput(path, "format", version, FORMAT)
    if planner not in PLANNERS:
        raise BadInput(path, "planner", repr(planner), f"one of {', '.join(PLANNERS)}")
    read = _config_of(path, planner, config)
    return CheckpointInfo(planner=planner, preset=preset, config=read, cameras=cameras, training=training)


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
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    return _filled(path, info, state), info


def read_published(path: Path, *, preset: str, cameras: tuple[str, ...] = STITCHED_CAMERAS) -> nn.Module:
    """A planner with published weights, in evaluation mode.

    Args:
        path: A PyTorch file: the weights by name, or such a table under `state_dict`; with any of `PREFIXES`.
        preset: Preset of the planner. It has to be said: the weights do not tell the resolution.
        cameras: What the planner sees, from left to right.

    Raises:
        BadInput: Not such a file, another planner, or weights that do not fit the preset.
    """
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadInput(path, "the checkpoint", f"not readable ({type(error).__name__})", "a file of weights") from None
    held = held.get("state_dict", held) if isinstance(held, dict) else held
    if not isinstance(held, dict) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        raise BadInput(path, "the checkpoint", "no table of weights", "weights by name, or such a table in state_dict")
    state = without_prefix(held)
    planner = next((name for trace, name in TRACES.items() if any(trace in key for key in state)), "no planner's")
    if planner not in PLANNERS or preset not in PLANNERS[planner].presets:
        known = [f"{name} with preset {each}" for name, kind in PLANNERS.items() for each in kind.presets]
        raise BadInput(path, "the planner", f"{planner} with preset {preset}", f"one of {', '.join(known)}")
    config = PLANNERS[planner].presets[preset]
    info = CheckpointInfo(planner=planner, preset=preset, config=config, cameras=cameras)
    return _filled(path, info, state)


def without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights without a prefix that all of their names share; prefixes may be stacked."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return without_prefix({name.removeprefix(prefix): weight for name, weight in state.items()})
    return state


def _filled(path: Path, info: CheckpointInfo, state: dict[str, Tensor]) -> nn.Module:
    model = PLANNERS[info.planner].build(info.config, seed=0)
    expected = model.state_dict()
    named = f"those of {info.planner} {info.preset}".strip()
    for what, names in (("missing", expected.keys() - state.keys()), ("unknown", state.keys() - expected.keys())):
        if names:
            raise BadInput(path, "the weights", f"{len(names)} {what}, {min(names)} for one", named)
    for name, weight in expected.items():
        if state[name].shape != weight.shape:
            raise BadInput(path, name, f"of shape {tuple(state[name].shape)}", f"{tuple(weight.shape)}")
        if state[name].dtype != weight.dtype:
            raise BadInput(path, name, f"of type {state[name].dtype}", f"{weight.dtype}")
    model.load_state_dict(state, strict=True)
    return model.eval()


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
