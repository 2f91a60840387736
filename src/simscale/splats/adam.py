"""Adam that moves only the Gaussians that were seen: the rest costs no memory traffic and keeps its momentum.

Runs of neighbours are one flat loop, so it is fastest when Gaussians stand by place in memory.
"""

import math
from dataclasses import dataclass
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Int64
from numba import get_num_threads, prange
from torch import Tensor

from simscale.splats.gaussians import Gaussians
from simscale.splats.kernels import contracted_part, kernel
from simscale.splats.lanes import take_ticket

CHUNK = 4096
"""Rows that one thread takes at a time."""


@dataclass(frozen=True, kw_only=True)
class Momenta:
    """What Adam remembers: running means of the gradients and of their squares, by name of the parameter."""

    first: dict[str, Tensor]
    second: dict[str, Tensor]

    @classmethod
    def of(cls, gaussians: Gaussians) -> "Momenta":
        """Those of a fresh start."""
        zeros = [{name: torch.zeros_like(value) for name, value in gaussians.tensors().items()} for _ in range(2)]
        return cls(first=zeros[0], second=zeros[1])

    def at(self, index: Tensor) -> "Momenta":
        """Those of some Gaussians, by indices or by a mask."""
        first, second = ({name: value[index] for name, value in kind.items()} for kind in (self.first, self.second))
        return type(self)(first=first, second=second)


def sparse_adam(
    gaussians: Gaussians,
    momenta: Momenta,
    rows: Int64[Tensor, " m"],
    slopes: dict[str, Tensor],
    *,
    rates: dict[str, float],
    step: int,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-15,
) -> None:
    """One step of Adam in place, on the Gaussians that were seen.

    Args:
        gaussians: Parameters.
        momenta: What earlier steps left, changed in place.
        rows: Which Gaussians to move, none twice; `Visible.gaussian` of one camera, say.
        slopes: Their gradients [m ...] by the parameter's name; others stay as they are.
        rates: Learning rate of each parameter; one that is missing stays as it is.
        step: Steps done so far, this one included; corrects the start as torch's Adam does, for all Gaussians alike.
        beta1: Memory of the gradients' mean.
        beta2: Memory of their squares' mean.
        eps: Added to the root of the squares' mean; INRIA's value.
    """
    correction = math.sqrt(1 - beta2**step)
    for name, slope in slopes.items():
        if not slope.numel() or name not in rates:
            continue
        moved = (getattr(gaussians, name).detach(), slope.contiguous(), momenta.first[name], momenta.second[name])
        assert all(tensor.is_contiguous() for tensor in moved), name
        size = rates[name] * correction / (1 - beta1**step)
        numbers = tuple(np.float32(number) for number in (size, beta1, beta2, eps * correction))
        if slope.device.type == "cpu":
            step_numba(moved, rows, numbers)
        else:
            step_torch(moved, rows, numbers)


def step_numba(moved: tuple[Tensor, ...], rows: Int64[Tensor, " m"], numbers: tuple[np.float32, ...]) -> None:
    """Adam on some rows of one parameter, their gradients, and the parameter's momenta, on a CPU."""
    flat = tuple(tensor.numpy().reshape(-1) for tensor in moved)
    _step(flat, rows.numpy(), numbers, get_num_threads())


def step_torch(moved: tuple[Tensor, ...], rows: Int64[Tensor, " m"], numbers: tuple[np.float32, ...]) -> None:
    """The same in plain torch: for CUDA, and what tests compare with. It waits for no device."""
    value, slope, first, second = moved
    size, beta1, beta2, eps = map(float, numbers)
    mean = beta1 * first[rows] + (1 - beta1) * slope
    square = beta2 * second[rows] + (1 - beta2) * slope * slope
    first[rows], second[rows] = mean, square
    value[rows] -= size * mean / (square.sqrt() + eps)


@contracted_part
@no_type_check
def _move(value, slope, first, second, numbers):
    """Adam on flat arrays."""
    size, beta1, beta2, eps = numbers
    rest1, rest2 = np.float32(1) - beta1, np.float32(1) - beta2
    for i in range(value.size):
        g = slope[i]
        m = beta1 * first[i] + rest1 * g
        v = beta2 * second[i] + rest2 * g * g
        first[i], second[i] = m, v
        value[i] -= size * m / (np.sqrt(v) + eps)


@kernel
@no_type_check
def _step(flat, rows, numbers, threads):
    value, slope, first, second = flat
    each = slope.size // rows.size
    chunks = (rows.size + CHUNK - 1) // CHUNK
    ticket = np.zeros(1, np.int64)
    for _ in prange(threads):
        while True:
            chunk = take_ticket(ticket)
            if chunk >= chunks:
                break
            i, end = chunk * CHUNK, min((chunk + 1) * CHUNK, rows.size)
            while i < end:
                begun = i
                i += 1
                while i < end and rows[i] == rows[i - 1] + 1:
                    i += 1
                a, b = rows[begun] * each, (rows[i - 1] + 1) * each
                _move(value[a:b], slope[begun * each : i * each], first[a:b], second[a:b], numbers)
