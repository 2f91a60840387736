"""`simscale reconstruct`: photographs of a street become a street that can be drawn from anywhere."""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from simscale import __version__
from simscale.cli.commands import Reconstruct
from simscale.cli.speech import give, say
from simscale.dataset.files import write_whole
from simscale.engine.progress import Advance, progress
from simscale.scene import BadInput
from simscale.splats.capture import Capture
from simscale.splats.capture_source import capture_of
from simscale.splats.files_writing import write_bytes
from simscale.splats.gsplat_backend import missing_gsplat
from simscale.splats.held_out import Perceptual
from simscale.splats.lpips import perceptual_of
from simscale.splats.preview import preview_rows
from simscale.splats.reconstruct import News, Reconstruction, as_plain, key_of, reconstruct
from simscale.splats.settings import ReconstructSettings
from simscale.splats.street_file import write_street
from simscale.viz.strips import strip_png

MANIFEST = "manifest.json"
PREVIEW = "preview.png"
UNFINISHED = "unfinished"
"""Folder of the checkpoint, which goes when the run is done."""


def run(command: Reconstruct) -> int:
    """Writes one asset folder."""
    settings, device = settings_of(command), device_of(command.device)
    capture = capture_of(command.src, hold_out_every=command.hold_out_every)
    say(sentence_of(capture))
    result = _kept(command.out, key_of(capture, settings))
    if result is None:
        perceptual = None if command.lpips is None else perceptual_of(command.lpips)
        made = _reconstructed(capture, settings, command.out, perceptual, device)
        result = _written(made, capture, settings, command, device)
    for line in lines_of(result):
        say(line)
    say(f"{command.out}: asset and {PREVIEW}")
    if command.json:
        give(result)
    return 0


def settings_of(command: Reconstruct) -> ReconstructSettings:
    """What was asked for.

    Raises:
        BadInput: A number makes no sense.
    """
    settings = ReconstructSettings(seed=command.seed)
    for option, found, least in (
        ("--budget-minutes", command.budget_minutes, 0.05),
        ("--budget-gaussians", command.budget_gaussians, 1000),
        ("--width", command.width, 32),
        ("--steps", command.steps, 1),
        ("--seed", command.seed, 0),
    ):
        if found is not None and not found >= least:
            raise BadInput("command line", option, found, f"{least} or more")
    if command.budget_minutes is not None and command.steps is not None:
        raise BadInput("command line", "--steps", command.steps, "no --budget-minutes beside it")
    return replace(
        settings,
        budget_minutes=command.budget_minutes,
        gaussians=command.budget_gaussians or settings.gaussians,
        width=command.width or settings.width,
        steps=command.steps or settings.steps,
        densify=replace(settings.densify, strategy=command.strategy),
    )


def device_of(asked: str) -> torch.device:
    """Where to train.

    Raises:
        BadInput: CUDA was asked for, and cannot be used.
    """
    reason = missing_gsplat() if asked != "cpu" else None
    if asked == "cuda" and reason is not None:
        raise BadInput("command line", "--device", asked, f"auto or cpu: {reason}")
    return torch.device("cpu" if asked == "cpu" or reason is not None else "cuda")


def sentence_of(capture: Capture) -> str:
    """What was recognised."""
    frames, held = capture.frames, int(capture.frames.held_out.sum())
    return (
        f"{capture.name}, {capture.form}: {len(frames)} photographs of {len(capture.camera_names)} cameras "
        f"({held} held out), {len(capture.sweeps)} LiDAR sweeps, {len(capture.agents)} agents"
    )


def _reconstructed(
    capture: Capture, settings: ReconstructSettings, out: Path, perceptual: Perceptual | None, device: torch.device
) -> Reconstruction:
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as open_bars:
        return reconstruct(
            capture,
            settings,
            clock=time.monotonic,
            device=device,
            kept=out / UNFINISHED,
            perceptual=perceptual,
            tell=_teller(open_bars, settings),
        )


def _teller(open_bars: ExitStack, settings: ReconstructSettings) -> Callable[[News], None]:
    """Shows the training as a bar of steps, or of seconds where there is a budget of minutes."""
    advance: Advance | None = None
    at = 0

    def tell(news: News) -> None:
        nonlocal advance, at
        if news.phase != "train" or news.psnr is None:
            return
        budget = settings.budget_minutes
        noun, total = ("steps", settings.steps) if budget is None else ("seconds", max(round(budget * 60), 1))
        now = news.done if budget is None else min(int(news.seconds), total)
        if advance is None:
            advance = open_bars.enter_context(progress("reconstruct", total=total, noun=noun, done=now))
            at = now
        words = f"PSNR {news.psnr:.2f} dB, {news.gaussians:,} Gaussians, step {news.done:,}"
        advance(now - at, words)
        at = now

    return tell


def _written(
    made: Reconstruction, capture: Capture, settings: ReconstructSettings, command: Reconstruct, device: torch.device
) -> dict[str, Any]:
    result = {
        "command": "reconstruct",
        "version": __version__,
        "source": {"path": str(command.src), "name": capture.name, "form": capture.form},
        "heldout": made.score.as_json(),
        "training": {"psnr": round(made.training_psnr, 3), "steps": made.steps},
        "gaussians": len(made.street),
        "agents": int(made.street.clouds.present.sum()),
        "seconds": round(made.seconds, 1),
        "units_per_source_unit": made.scale,
        "start": {"from": made.start, "points": made.start_points},
        "settings": as_plain(settings),
    }
    digest = write_street(made.street, command.out, made=result)
    rows = preview_rows(made.street, made.held_out, near=settings.near_plane)
    if rows:
        write_bytes(command.out / PREVIEW, strip_png(rows))
    result |= {"asset": digest, "key": key_of(capture, settings), "device": device.type}
    write_whole(command.out / MANIFEST, json.dumps(result, indent=1).encode() + b"\n")
    shutil.rmtree(command.out / UNFINISHED, ignore_errors=True)
    return result


def _kept(out: Path, key: str) -> dict[str, Any] | None:
    """What a finished run of the same source and settings came to.

    Raises:
        BadInput: The folder holds another run's asset.
    """
    path = out / MANIFEST
    if not path.is_file():
        return None
    try:
        kept = json.loads(path.read_bytes())
    except ValueError:
        raise BadInput(path, "file", "not JSON", "a manifest, or no file") from None
    if not isinstance(kept, dict) or kept.get("key") != key:
        raise BadInput(path, "run", "of another source or other settings", "the same command, or another --out")
    return kept


def lines_of(result: dict[str, Any]) -> list[str]:
    """The numbers in words."""
    held = result["heldout"]
    parts = [f"{result['gaussians']:,} Gaussians ({result['agents']} agents) in {result['seconds']:.0f} s"]
    parts.append(f"training PSNR {result['training']['psnr']:.2f} dB after {result['training']['steps']:,} steps")
    if held["psnr"] is not None:
        parts.append(
            f"held out: PSNR {held['psnr']:.2f} dB, SSIM {held['ssim']:.3f} over {held['pictures']} photographs"
        )
    if held["depth_error"] is not None:
        parts.append(f"depth error {held['depth_error']:.2f} m, {100 * held['depth_relative']:.1f} %")
    return parts
