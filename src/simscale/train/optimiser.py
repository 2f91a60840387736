"""Which parameters are taught by which optimiser, behind the face of one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from simscale.train.config import TrainConfig
from simscale.train.muon import Muon

MUON_TIMES = 5.0
"""Muon's rate in learning rates: with steps of length 1 it is another measure than Adam's (ours)."""


class Optimisers:
    """Several optimisers that each teach a part of a model; what the loop needs of one."""

    def __init__(self, parts: tuple[torch.optim.Optimizer, ...]):
        self.parts = parts

    def set_rate(self, rate: float) -> None:
        """Learning rate of the next step."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group["times"]

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """One step of all."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """All that the next step depends on."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Puts it back."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def optimisers_of(model: nn.Module, config: TrainConfig, *, outputs: tuple[str, ...]) -> Optimisers:
    """What `config.optimiser` says.

    Args:
        model: Whose parameters.
        config: The training.
        outputs: Names of the layers whose outputs are the planner's, in metres and logits; steps of equal length in
            all directions would not suit them.
    """
    inner = _inner_matrices(model, outputs) if config.optimiser == "muon" else []
    known = {id(parameter) for parameter in inner}
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    how: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    adam = torch.optim.AdamW(_groups(others, 1.0, model, config), **how, fused=True)
    muon = [Muon(_groups(inner, MUON_TIMES, model, config), **how)] if inner else []
    return Optimisers((adam, *muon))


def _groups(parameters: Sequence[Tensor], times: float, model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """One group; two where the image encoder has a rate of its own."""
    if not config.lr_mult_effective:
        return [{"params": parameters, "times": times}]
    encoder = {id(parameter) for name, parameter in model.named_parameters() if "image_encoder." in name}
    rest, apart = ([p for p in parameters if (id(p) in encoder) == inside] for inside in (False, True))
    return [{"params": rest, "times": times}, {"params": apart, "times": times * config.lr_mult}]


def _inner_matrices(model: nn.Module, outputs: tuple[str, ...]) -> list[Tensor]:
    """Weights of linear layers, convolutions and attention that are not output layers."""
    modules = dict(model.named_modules())
    assert all(name in modules for name in outputs), f"{outputs} of {type(model).__name__}"
    found = []
    for name, module in modules.items():
        if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            found.append(module.in_proj_weight)
        elif isinstance(module, nn.Linear | nn.Conv2d) and name not in outputs:
            found.append(module.weight)
    return found
