"""What passes by inside a planner, under the names and with the strides of the golden numbers (planners.md 7.2).

Each function runs a planner with hooks on its parts and gives back everything by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simscale.planners.diffusiondrive import DiffusionDrive
from simscale.planners.diffusiondrive_loss import DiffusionDriveLossConfig, diffusiondrive_loss
from simscale.planners.gtrs import Gtrs
from simscale.planners.gtrs_head import IMITATION, METRICS
from simscale.planners.ltf import Ltf
from simscale.planners.ltf_loss import LtfTargets
from simscale.planners.perception import PerceptionOutput

Array = np.ndarray
Inputs = tuple[Tensor, ...]
"""Image, status and, where the planner has LiDAR, the histogram."""


class Shelf:
    """Collects what modules are given and what they give back."""

    def __init__(self, **modules: nn.Module):
        self.given: dict[str, list[Any]] = {name: [] for name in modules}
        self.results: dict[str, list[Any]] = {name: [] for name in modules}
        self._hooks = [module.register_forward_hook(self._keeper(name)) for name, module in modules.items()]

    def _keeper(self, name: str) -> Callable[..., None]:
        def keep(module: nn.Module, given: Any, result: Any) -> None:
            self.given[name].append(given)
            self.results[name].append(result)

        return keep

    def __enter__(self) -> "Shelf":
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()


def seen_in_ltf(model: Ltf, inputs: Inputs, expected: Mapping[str, Array]) -> dict[str, Tensor]:
    """Trunk, decoder and outputs."""
    with Shelf(trunk=model._backbone, decoder=model._tf_decoder) as shelf:
        output = model(*inputs)
    neck, fused = shelf.results["trunk"][0]
    inside = {"backbone_fused": fused[:, ::8]}
    return inside | _perceived(neck, shelf.results["decoder"][0], output)


def seen_in_diffusiondrive(model: DiffusionDrive, inputs: Inputs, expected: Mapping[str, Array]) -> dict[str, Tensor]:
    """Trunk, decoders, every pass of the diffusion; and the one of training, where the folder has it."""
    head, drawn = model._trajectory_head, torch.from_numpy(expected["noise"])
    with Shelf(
        trunk=model._backbone,
        decoder=model._tf_decoder,
        bev=model.bev_proj,
        time=head.time_mlp,
        passes=head.diff_decoder,
    ) as shelf:
        output = model(*inputs, noise=drawn)
    found = _perceived(shelf.results["trunk"][0][0], shelf.results["decoder"][0], output)
    found["bev_proj"] = shelf.results["bev"][0].flatten(1, 2)[:, ::64, ::4]
    steps = zip(shelf.given["passes"], shelf.results["time"], shelf.results["passes"], strict=True)
    for step, (given, time, (poses, logits)) in enumerate(steps):
        found |= {f"step{step}_noisy_points": given[1], f"step{step}_time_embed": time[:, None]}
        for layer in range(len(poses)):
            found[f"step{step}_layer{layer}_poses_reg"] = poses[layer]
            found[f"step{step}_layer{layer}_poses_cls"] = logits[layer]
    if "train_timesteps" in expected:
        found |= _taught_diffusiondrive(model, inputs, drawn, expected)
    return found


def seen_in_gtrs(model: Gtrs, inputs: Inputs, expected: Mapping[str, Array]) -> dict[str, Tensor]:
    """Image tokens, vocabulary tokens before and after the image, every head, the score and the choice."""
    head = model._trajectory_head
    decoded: list[Tensor] = []
    with Shelf(encoder=head.encoder, status=model._status_encoding) as shelf:
        memory = model.memory(inputs[0])
        keep = head.decoded
        head.decoded = lambda ready, memory: decoded.append(keep(ready, memory)) or decoded[0]  # type: ignore[method-assign]
        try:
            output = model(*inputs)
        finally:
            del head.decoded
    encoded = shelf.results["encoder"][0]
    every = max(encoded.shape[1] // expected["encoder"].shape[1], 1) if "encoder" in expected else 4
    found = {
        "keyval": memory[:, :: memory.shape[1] // 64, ::4],
        "status_encoding": shelf.results["status"][0],
        "encoder": encoded[:, ::every, ::4],
        "tr_out": decoded[0][:, ::every, ::4],
        "scores": output.total,
        "selected_indices": output.choice,
        "trajectory": output.trajectory,
        f"head_{IMITATION}": output.imitation,
    }
    return found | {f"head_{key}": output.metrics[:, place] for place, key in enumerate(METRICS.values())}


def _perceived(neck: Tensor, answers: Tensor, output: PerceptionOutput) -> dict[str, Tensor]:
    return {
        "backbone_bev_upscale": neck[:, ::4, ::8, ::8],
        "tf_decoder": answers[:, :6, ::2],
        "trajectory": output.trajectory,
        "agent_states": output.agent_states,
        "agent_labels": output.agent_labels,
        "bev_semantic_map": output.bev_semantic[..., ::8, ::8],
    }


def _taught_diffusiondrive(
    model: DiffusionDrive, inputs: Inputs, drawn: Tensor, expected: Mapping[str, Array]
) -> dict[str, Tensor]:
    """The pass of training, without dropout, and its loss, whole and layer by layer."""
    output = model(*inputs, noise=drawn, step=torch.from_numpy(expected["train_timesteps"]))
    targets = _targets(output, torch.from_numpy(expected["train_target"]))

    def loss(layers: Sequence[int]) -> Tensor:
        chosen = list(layers)
        part = replace(output, mode_poses=output.mode_poses[chosen], mode_logits=output.mode_logits[chosen])
        return diffusiondrive_loss(part, targets, config=DiffusionDriveLossConfig()).trajectory

    count = range(len(output.mode_poses))
    found = {"train_trajectory": output.trajectory, "train_trajectory_loss": loss(count)}
    return found | {f"train_trajectory_loss_{layer}": loss([layer]) for layer in count}


def _targets(output: PerceptionOutput, trajectory: Tensor) -> LtfTargets:
    """A drive to imitate, and nothing else to learn."""
    count, agents = output.agent_labels.shape
    return LtfTargets(
        trajectory=trajectory,
        agent_states=torch.zeros(count, agents, 5),
        agent_labels=torch.zeros(count, agents, dtype=torch.bool),
        bev_semantic=torch.zeros(count, *output.bev_semantic.shape[-2:], dtype=torch.uint8),
    )


SEEN: dict[str, Callable[[Any, Inputs, Mapping[str, Array]], dict[str, Tensor]]] = {
    "ltf": seen_in_ltf,
    "diffusiondrive": seen_in_diffusiondrive,
    "gtrs": seen_in_gtrs,
}
"""By planner."""
