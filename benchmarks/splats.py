"""Speed and memory of the Gaussian engine on a CPU, forward and backward, degree 3, colour and depth.

The backward pass is given gradients by the picture, and leaves those of the parameters as rows, as training takes them.

The scene is a synthetic street of 160 m: ground, facades, trees, cars, poles and a sky, with 200 thousand and with one
million Gaussians, seen by three cameras (ahead and 55 degrees to both sides). Times are milliseconds an image, means
over the cameras: of the processor on one thread (the least of some repetitions, which neighbours on the machine disturb
little), of the clock on all threads (the median), and as multiples of a fixed small kernel of the same vector type,
measured in the same run. Beside them the same picture by torch, vectorised over the Gaussians and pixels of each tile.

    python benchmarks/splats.py
    NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES= python benchmarks/splats.py --no-torch      # AVX2
    python benchmarks/splats.py --stages
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import no_type_check
from unittest.mock import patch

import numpy as np
import torch
import tyro
from numba import get_num_threads, njit, set_num_threads

from simscale.splats import rasterise
from simscale.splats.adam import Momenta, sparse_adam
from simscale.splats.gaussians import Gaussians
from simscale.splats.lanes import load, multiply_add, store
from simscale.splats.loss import photometric
from simscale.splats.memory import Memory
from simscale.splats.oracle import footprints
from simscale.splats.places import by_place
from simscale.splats.rasterise import Drawn, draw_one, eye_of, raw_of
from simscale.splats.render import render
from simscale.splats.view import Limits, View

LIMITS = Limits(antialiased=False)
"""Without antialiasing, which would hide the smallest Gaussians; it changes nothing else in the time."""
SIZES = {"480x270": (480, 270), "1920x1080": (1920, 1080)}


@dataclass(frozen=True)
class Options:
    """What to measure."""

    repeat: int = 8
    """Repetitions for each camera."""
    torch: bool = True
    """Also the torch tiles, which take seconds an image."""
    cold: bool = True
    """Also the first image of a fresh process, without and with compiled kernels on disk."""
    small: bool = False
    """Leave out the million and the large images."""
    stages: bool = False
    """Only how long each kernel takes on one thread."""


def main() -> None:
    options = tyro.cli(Options)
    unit = kernel_ms()
    result: dict[str, object] = {"threads": get_num_threads(), "kernel_ms": round(unit, 3)}
    if options.stages:
        for count in (200_000, 1_000_000):
            result[f"{count} at 480x270, CPU ms"] = stages_ms(count, options.repeat)
        print(json.dumps(result, indent=1))
        return
    for count in (200_000,) if options.small else (200_000, 1_000_000):
        scene = street(count)
        for name, (width, height) in SIZES.items():
            if options.small and name != "480x270":
                continue
            result[f"{count} at {name}"] = measure(scene, views(width, height), options.repeat, unit)
    result["training step, 150000 at 480x270"] = training(options.repeat, unit)
    if options.torch:
        result["torch tiles, 200000 at 480x270"] = tiles_ms(result)
    if options.cold:
        result["first image, s"] = first_images()
    print(json.dumps(result, indent=1))


def measure(scene: Gaussians, view: View, repeat: int, unit: float) -> dict[str, object]:
    """Forward, and forward with backward, of all cameras."""
    raw = {name: value.requires_grad_() for name, value in scene.tensors().items()}
    seen = [drawn_of(scene, view, camera) for camera in range(len(view))]
    memory = Memory()
    random, size = torch.Generator().manual_seed(0), (1, view.height, view.width)
    pulls = [torch.randn(*shape, generator=random) for shape in ((*size, 3), size, size)]

    def forward(camera: int) -> None:
        with torch.no_grad():
            render(scene, view.at(camera), limits=LIMITS, memory=memory)

    def both(camera: int) -> None:
        for value in raw.values():
            value.grad = None
        drawing = render(scene, view.at(camera), limits=LIMITS, sparse_grad=True, memory=memory)
        torch.autograd.backward([drawing.image, drawing.alpha, drawing.depth], pulls)

    result: dict[str, object] = {
        "visible": int(np.mean([one.used.size for one in seen])),
        "pairs": int(np.mean([one.tiles.pairs.size for one in seen])),
        "bytes": {
            "a Gaussian in training": 4 * sum(value[0].nbytes for value in raw.values()),
            "a visible one": int(sum(one.nbytes for one in seen) / sum(one.used.size for one in seen)),
        },
    }
    for name, job in (("forward", forward), ("forward and backward", both)):
        result[name] = timed(job, len(view), repeat, unit)
    return result


def stages_ms(count: int, repeat: int) -> dict[str, float]:
    """Processor's least on one thread of each kernel, forward and backward, ms, means over the cameras."""
    scene, view, memory = street(count), views(480, 270), Memory()
    for value in scene.tensors().values():
        value.requires_grad_()
    names = ("cull", "project", "list_tiles", "blend", "blend_backward", "project_backward")
    found: dict[str, list[float]] = {name: [] for name in names}

    def clocked(name: str, kernel: Callable) -> Callable:
        def call(*given: object) -> object:
            begun = time.process_time()
            made = kernel(*given)
            found[name].append(1000 * (time.process_time() - begun))
            return made

        return call

    kernels = {name: clocked(name, getattr(rasterise, name)) for name in names}
    set_num_threads(1)
    with patch.multiple(rasterise, **kernels):
        for _ in range(repeat + 1):
            for camera in range(len(view)):
                for value in scene.tensors().values():
                    value.grad = None
                render(scene, view.at(camera), limits=LIMITS, sparse_grad=True, memory=memory).image.sum().backward()
    each = {name: np.reshape(times, (-1, len(view)))[1:].min(axis=0).mean() for name, times in found.items()}
    return {name: round(float(least), 2) for name, least in each.items()}


def timed(job: Callable[[int], None], cameras: int, repeat: int, unit: float) -> dict[str, float]:
    """Processor's least on one thread and clock's median on all, ms, means over the cameras."""
    cpu, wall = np.empty((cameras, repeat)), np.empty((cameras, repeat))
    threads = get_num_threads(), torch.get_num_threads()
    for found, clock, count in ((cpu, time.process_time, (1, 1)), (wall, time.perf_counter, threads)):
        # threads that wait for each other spin, which is no work, so the processor's time is of one thread alone
        set_num_threads(count[0])
        torch.set_num_threads(count[1])
        time.sleep(0.1)
        for camera in range(cameras):
            job(camera)
            for k in range(repeat):
                begun = clock()
                job(camera)
                found[camera, k] = clock() - begun
    least, median = 1000 * cpu.min(axis=1).mean(), 1000 * np.median(wall, axis=1).mean()
    return {"cpu_ms": round(least, 1), "wall_ms": round(median, 1), "kernels": round(least / unit, 1)}


def drawn_of(scene: Gaussians, view: View, camera: int) -> Drawn:
    raw, none = raw_of(scene.tensors().values()), np.zeros((len(scene), 0), np.float32)
    return draw_one(raw, eye_of(view, camera, LIMITS, 3), none, 0.999, Memory())


def training(repeat: int, unit: float) -> dict[str, float]:
    """One step: an image, its loss, the gradients, and Adam on what was seen."""
    scene, view = street(150_000), views(480, 270)
    raw = {name: value.requires_grad_() for name, value in scene.tensors().items()}
    memory, momenta, rates = Memory(), Momenta.of(scene), dict.fromkeys(raw, 1e-4)
    target = torch.rand(1, 270, 480, 3, generator=torch.Generator().manual_seed(0))

    def step(camera: int) -> None:
        for value in raw.values():
            value.grad = None
        drawing = render(scene, view.at(camera), limits=LIMITS, absgrad=True, sparse_grad=True, memory=memory)
        photometric(drawing.image, target).backward()
        seen = drawing.visible
        sparse_adam(scene, momenta, seen.gaussian, seen.slopes(scene), rates=rates, step=1)

    return timed(step, len(view), repeat, unit)


def tiles_ms(others: dict) -> dict[str, object]:
    """Forward and backward by torch, one tile after another, beside ours in the same units.

    With each Gaussian in all tiles of its square of three standard deviations, as published torch rasterisers have it,
    and with it only in those that its own box touches, which is ours.
    """
    scene, view = street(200_000), views(480, 270)
    for value in scene.tensors().values():
        value.requires_grad_()
    threads, ours = torch.get_num_threads(), others["200000 at 480x270"]["forward and backward"]
    result: dict[str, object] = {}
    for kind in ("squares", "boxes"):
        row = {}
        for name, clock, count in (("cpu", time.process_time, 1), ("wall", time.perf_counter, threads)):
            torch.set_num_threads(count)
            begun = clock()
            for camera in range(len(view)):
                torch_tiles(scene, view, camera, squares=kind == "squares").sum().backward()
            mean = 1000 * (clock() - begun) / len(view)
            row |= {f"{name}_ms": round(mean, 1), f"{name}, times ours": round(mean / ours[f"{name}_ms"], 1)}
        result[kind] = row
    return result


def torch_tiles(scene: Gaussians, view: View, camera: int, *, squares: bool) -> torch.Tensor:
    """Colours, depth and alpha, float32; each tile takes the Gaussians whose squares or boxes touch it."""
    none = torch.zeros(len(scene), 0)
    one = footprints(scene, view, camera, LIMITS, none, 3, torch.float32)
    reach = three_sigma(one.conic.detach()) if squares else one.reach
    low, high = one.mean.detach() - reach, one.mean.detach() + reach
    rows = []
    for top in range(0, view.height, 16):
        tiles = []
        for left in range(0, view.width, 16):
            corner = torch.tensor([left, top])
            mine = ((low < corner + 16) & (high > corner)).all(-1).nonzero()[:, 0]
            y, x = torch.meshgrid(torch.arange(16) + top + 0.5, torch.arange(16) + left + 0.5, indexing="ij")
            offset = torch.stack([x, y], dim=-1).reshape(1, -1, 2) - one.mean[mine][:, None]
            sigma = 0.5 * (offset @ one.conic[mine] * offset).sum(-1)
            alpha = (one.opacity[mine][:, None] * torch.exp(-sigma)).clamp(max=0.999)
            alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)
            after = torch.cumprod(1 - alpha, dim=0)
            before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
            weight = torch.where(after > 1e-4, alpha * before, 0.0)
            tiles.append((weight.T @ one.values[mine]).reshape(16, 16, -1))
        rows.append(torch.cat(tiles, dim=1))
    return torch.cat(rows)[: view.height]


def three_sigma(conic: torch.Tensor) -> torch.Tensor:
    """Half the side of INRIA's square around each footprint, px, [n 1]."""
    spread = torch.linalg.inv(conic)
    mid = (spread[:, 0, 0] + spread[:, 1, 1]) / 2
    widest = mid + (mid.square() - torch.linalg.det(spread)).clamp(min=0.1).sqrt()
    return (3 * widest.sqrt()).ceil()[:, None]


FIRST = """
import time, torch
clock, begun = time.perf_counter(), time.process_time()
import sys; sys.path.insert(0, {here!r})
from splats import street, views
from simscale.splats.render import render
scene = street(2000)
for value in scene.tensors().values(): value.requires_grad_()
clock, begun = time.perf_counter(), time.process_time()
with torch.no_grad(): render(scene, views(480, 270).at(0))
image = time.process_time() - begun
render(scene, views(480, 270).at(0)).image.sum().backward()
print(image, time.process_time() - begun, time.perf_counter() - clock)
"""


def first_images() -> dict[str, float]:
    """Of a fresh process that has imported torch, without and with kernels on disk; processor's seconds."""
    found = {}
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "cached"):
            out = subprocess.run(
                [sys.executable, "-c", FIRST.format(here=os.path.dirname(__file__))],  # noqa: PTH120
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            found |= dict(zip((name, f"{name}, with gradients"), map(float, out), strict=False))
    return {name: round(seconds, 2) for name, seconds in found.items()}


def street(n: int) -> Gaussians:
    """A street along x from 0 to 160 m, 24 m wide; the more Gaussians, the smaller they are."""
    rng = np.random.default_rng(0)
    size, parts = 25 / math.sqrt(n), []
    for share, low, high, thin in (
        (0.30, (0, -20, -0.02), (160, 20, 0.02), (1, 1, 0.15)),  # ground
        (0.17, (0, 12, 0), (160, 13, 14), (1, 0.15, 1)),  # facades
        (0.17, (0, -13, 0), (160, -12, 14), (1, 0.15, 1)),
        (0.16, (-2.2, -2.2, 3), (2.2, 2.2, 7.5), (0.5, 0.5, 0.5)),  # crowns of trees
        (0.08, (-2.3, -0.9, 0.2), (2.3, 0.9, 1.5), (0.6, 0.6, 0.2)),  # cars
        (0.02, (-0.1, -0.1, 0), (0.1, 0.1, 6), (0.1, 0.1, 1.0)),  # poles
    ):
        count = int(share * n)
        means = rng.uniform(low, high, (count, 3))
        if high[0] < 160:  # many of them, along both sides
            means[:, 0] += rng.integers(0, 16, count) * 10 + 5
            means[:, 1] += rng.choice([-8.0, 8.0] if share != 0.08 else [-5.5, 5.5], count)
        parts.append((means, np.broadcast_to(thin, (count, 3)) * size))
    count = n - sum(len(means) for means, _ in parts)
    sky = rng.normal(size=(count, 3))
    sky[:, 2] = np.abs(sky[:, 2])
    parts.append((350 * sky / np.linalg.norm(sky, axis=1, keepdims=True), np.full((count, 3), 130 * size)))
    means, sizes = (np.concatenate(kind) for kind in zip(*parts, strict=True))
    solid = rng.random(n) < 0.6
    arrays = {
        "means": means,
        "log_scales": np.log(sizes) + rng.normal(0, 0.8, (n, 1)) + rng.normal(0, 0.3, (n, 3)),
        "quats": np.array([1.0, 0, 0, 0]) + rng.normal(0, 0.15, (n, 4)),
        "logit_opacity": np.where(solid, rng.normal(3, 1, n), rng.normal(-2, 1, n)),
        "sh_dc": rng.normal(0, 0.8, (n, 3)),
        "sh_rest": rng.normal(0, 0.1, (n, 15, 3)),
    }
    return by_place(Gaussians(**{name: torch.from_numpy(value.astype(np.float32)) for name, value in arrays.items()}))


def views(width: int, height: int) -> View:
    """Ahead and 55 degrees to both sides, 61 degrees wide, near the street's beginning."""
    poses = torch.zeros(3, 4, 4)
    poses[:, 3, 3] = 1
    for camera, yaw in enumerate((0.0, math.radians(55), -math.radians(55))):
        c, s = math.cos(yaw), math.sin(yaw)
        poses[camera, :3, :3] = torch.tensor([[s, -c, 0], [0, 0, -1], [c, s, 0]])
        poses[camera, :3, 3] = -poses[camera, :3, :3] @ torch.tensor([46.0, 0, 1.6])
    focal = 0.5 * width / math.tan(math.radians(30.5))
    lens = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return View(camera_from_world=poses, intrinsics=lens.expand(3, 3, 3), width=width, height=height)


@njit(cache=True)
@no_type_check
def _kernel(x, rounds):
    """Multiplications and additions of vectors in the first cache: what one core does in a time of its own."""
    for _ in range(rounds):
        for i in range(0, x.size, 64):
            for at in (i, i + 16, i + 32, i + 48):
                a = load(x, at)
                store(x, at, multiply_add(a, np.float32(0.5), multiply_add(a, a, np.float32(0.1))))


def kernel_ms() -> float:
    x = Memory().array(4096)
    x[:] = 0.3
    _kernel(x, 1)
    times = []
    for _ in range(9):
        begun = time.process_time()
        _kernel(x, 20000)
        times.append(time.process_time() - begun)
    return 1000 * min(times)


if __name__ == "__main__":
    main()
