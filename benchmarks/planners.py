"""What the planners cost on one core: seconds and memory to plan and to learn, beside the reference's own.

    python benchmarks/planners.py
    python benchmarks/planners.py --only nano

CPU seconds of one thread, the best of several tries; every planner has a process of its own, so that peak memory is its
own too. Beside the forward pass and forward with backward pass of one sample stand the figures of the official
classes (docs/planners.md, section 8, as far as it has some), and a fixed product of matrices that is measured in
the same run: seconds differ between machines, ratios to it little. Then the nano planners' whole training step of 16
examples, and what keeping and fusing saves the attention of 8,192 trajectories to each other.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import tyro

from simscale.dataset.mixture import Mixture
from simscale.planners import PLANNERS, LtfTargets
from simscale.planners.gtrs_head import METRICS, fused_attention
from simscale.planners.gtrs_loss import GtrsTargets
from simscale.train import TrainConfig
from simscale.train.optimiser import optimisers_of


@dataclass(frozen=True)
class Case:
    """A planner, and what the official class was measured at: CPU seconds of one sample."""

    planner: str
    preset: str
    forward: float | None = None
    both: float | None = None
    vocabulary: int | None = None


CASES = {
    "LTF 512x2048": Case("ltf", "simscale", 1.28, 3.73),
    "LTF 256x1024": Case("ltf", "navsim", 0.41, 1.47),
    "TransFuser 256x1024": Case("ltf", "navsim_lidar", 0.4),
    "DiffusionDrive 512x2048": Case("diffusiondrive", "simscale", 1.35, 4.20),
    "DiffusionDrive LiDAR 256x1024": Case("diffusiondrive", "hustvl_lidar", 0.48, 1.54),
    "GTRS R34 V=256": Case("gtrs", "simscale", 1.61, 5.22, vocabulary=256),
    "GTRS R34 V=8192": Case("gtrs", "simscale", vocabulary=8192),
    "GTRS V2-99 V=256": Case("gtrs", "simscale_v99", 5.7, 22.3, vocabulary=256),
    "nano LTF": Case("ltf", "nano"),
    "nano DiffusionDrive": Case("diffusiondrive", "nano"),
    "nano GTRS": Case("gtrs", "nano"),
}
STEP_GOALS = {"nano LTF": 100, "nano DiffusionDrive": 100, "nano GTRS": 190}
"""Milliseconds of a training step of 16 examples."""
TRAJECTORIES, WIDTH, HEADS = 8192, 256, 8
ATTENTIONS, KEPT = 4, 2
"""Times that trajectories attend to each other in a plan: encoder and three decoder layers; the first two are kept."""


@dataclass(frozen=True)
class Options:
    """What to measure."""

    only: str = ""
    """Cases whose name holds this; "attention" is the one of the vocabulary."""
    batches: tuple[int, ...] = (1, 8)
    tries: int = 3
    child: str = ""
    """A case to measure in this process, as JSON."""


def main() -> None:
    options = tyro.cli(Options)
    if options.child:
        torch.set_num_threads(1)
        print(json.dumps(measured(options)))
        return
    chosen = [name for name in CASES if options.only in name]
    if chosen:
        print(f"{'CPU seconds of one thread':30s} {'params':>8s} {'loop':>6s} " + heads_of(options.batches))
    steps = {}
    for name in chosen:
        found = asked(name, options)
        print(line_of(name, found, options.batches), flush=True)
        if "step" in found:
            steps[name] = 1e3 * found["step"]
    for name, milliseconds in steps.items():
        print(f"{name}: {milliseconds:.0f} ms a training step of 16 (goal {STEP_GOALS[name]})")
    if options.only in "attention":
        tell_attention(options)


def heads_of(batches: tuple[int, ...]) -> str:
    parts = [f"{f'forward x{n}':>22s} {f'and backward x{n}':>22s}" for n in batches]
    return " ".join([*parts, f"{'peak':>9s}"])


def line_of(name: str, found: dict[str, Any], batches: tuple[int, ...]) -> str:
    case, cells = CASES[name], []
    for n in batches:
        for key, figure in (("forward", case.forward), ("both", case.both)):
            seconds = found[key][str(n)]
            beside = f" ({figure} ref, {seconds / figure:.2f}x)" if n == 1 and figure else ""
            cells.append(f"{seconds:.3f}{beside}".rjust(22))
    return (
        f"{name:30s} {found['parameters'] / 1e6:6.2f} M {found['loop']:6.3f} {' '.join(cells)} {found['peak']:6.0f} MB"
    )


def tell_attention(options: Options) -> None:
    """Per plan: the reference's four attentions against our two, whose weights are never all in memory."""
    plain, fused = asked("attention plain", options), asked("attention fused", options)
    theirs, ours = ATTENTIONS * plain["seconds"], (ATTENTIONS - KEPT) * fused["seconds"]
    print(
        f"{TRAJECTORIES} trajectories to each other, a plan: plain {theirs:.2f} s and {plain['peak']:.0f} MB, "
        f"kept and fused {ours:.2f} s and {fused['peak']:.0f} MB: {theirs / ours:.1f}x (goal 5x); "
        f"one attention alone {plain['seconds'] / fused['seconds']:.1f}x"
    )


def asked(name: str, options: Options) -> dict[str, Any]:
    """A case in a process of its own."""
    arguments = ["--child", name, "--tries", str(options.tries), "--batches", *map(str, options.batches)]
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(options: Options) -> dict[str, Any]:
    if options.child.startswith("attention"):
        return measured_attention(fused=options.child.endswith("fused"), tries=options.tries)
    case = CASES[options.child]
    kind = PLANNERS[case.planner]
    config = kind.presets[case.preset]
    if case.vocabulary:
        config = replace(config, vocabulary=case.vocabulary)
    model = kind.build(config, seed=0)
    found: dict[str, Any] = {"parameters": sum(p.numel() for p in model.parameters()), "forward": {}, "both": {}}
    a = torch.randn(1024, 1024)
    found["loop"] = best(lambda: a @ a, 8)
    for count in options.batches:
        given = inputs_of(model, count)
        model.eval()
        with torch.inference_mode():
            model(*given)  # what is kept for all plans
            found["forward"][count] = best(lambda given=given: model(*given), options.tries)
        model.train()
        found["both"][count] = best(lambda given=given: backward(model, given), options.tries)
    if case.preset == "nano":
        found["step"] = training_step(case.planner, max(options.tries, 8))
    return found | {"peak": peak()}


def inputs_of(model: Any, count: int) -> tuple[torch.Tensor, ...]:
    """Images, status, and LiDAR where it is read."""
    height, width = model.config.trunk.image_size
    rgb = torch.rand(count, 3, height, width).contiguous(memory_format=torch.channels_last)
    given = rgb, torch.randn(count, 8)
    if getattr(model.config.trunk, "latent", True):
        return given
    return *given, torch.rand(count, 1, 256, 256)


def backward(model: Any, given: tuple[torch.Tensor, ...]) -> None:
    """Forward, and backward from everything that is put out."""
    output = vars(model(*given)).values()
    torch.stack([x.mean() for x in output if isinstance(x, torch.Tensor) and x.requires_grad]).sum().backward()
    model.zero_grad(set_to_none=True)


def training_step(planner: str, tries: int, count: int = 16) -> float:
    """Forward, loss, backward and the optimiser's step."""
    kind = PLANNERS[planner]
    model = kind.build(kind.presets["nano"], seed=0).train()
    optimiser = optimisers_of(model, TrainConfig(mixture=Mixture(real=()), planner=planner), outputs=kind.outputs)
    given, targets = inputs_of(model, count), targets_of(model, count, chooses=kind.chooses)

    def step() -> None:
        optimiser.set_rate(1e-4)
        loss = kind.loss(model(*given), targets, config=kind.loss_config)
        optimiser.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return best(step, tries)


def targets_of(model: Any, count: int, *, chooses: bool) -> Any:
    trajectory = torch.randn(count, 8, 3)
    if chooses:
        return GtrsTargets(trajectory=trajectory, rewards=torch.rand(count, len(METRICS), model.config.vocabulary))
    return LtfTargets(
        trajectory=trajectory,
        agent_states=10 * torch.randn(count, 30, 5),
        agent_labels=torch.rand(count, 30) < 0.3,
        bev_semantic=torch.randint(0, 7, (count, 128, 256), dtype=torch.uint8),
    )


def measured_attention(*, fused: bool, tries: int) -> dict[str, Any]:
    q, k, v = (torch.randn(1, TRAJECTORIES, WIDTH) for _ in range(3))
    with torch.inference_mode():
        attend = fused_attention if fused else plain_attention
        return {"seconds": best(lambda: attend(q, k, v, heads=HEADS), tries), "peak": peak()}


def plain_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, heads: int) -> torch.Tensor:
    """All weights written down."""
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def best(work: Callable[[], Any], tries: int) -> float:
    seconds = []
    for _ in range(tries):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return min(seconds)


def peak() -> float:
    """MB of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
