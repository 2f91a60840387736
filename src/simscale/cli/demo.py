"""`simscale demo`: the whole spine in the town, ending in one report."""

import os
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from simscale.cli.commands import Demo
from simscale.cli.experiment import RECONSTRUCT, STREETS, evaluation_name, steps_of, town_folders, training_name
from simscale.cli.pictures import chosen_samples, scenes_by_id
from simscale.cli.speech import give, say
from simscale.cli.steps import StepFailed
from simscale.cli.study import answer_of, done_steps, lines_of
from simscale.dataset.example import lights_at, pose_of, rig_of
from simscale.dataset.files import write_whole
from simscale.dataset.renderers import RENDERERS
from simscale.generate.sample import HORIZON, Sample, tracks_during
from simscale.recipes import ARMS, DEMOS, Experiment
from simscale.render import scaled
from simscale.render.trust import trust_line
from simscale.scene import Cameras, CarState, Scene, Tracks
from simscale.scene.file import scene_files
from simscale.viz.page import Picture, page_of, picture_html, table_html
from simscale.viz.strips import strip_png

REPORT = "report.html"
NAMES = {"ltf": "LTF", "diffusiondrive": "DiffusionDrive", "gtrs": "GTRS-Dense"}
"""Planners as people call them."""
STRIPS = 3
"""States that the report shows through the cameras."""
SHOWN = ("CAM_L0", "CAM_F0", "CAM_R0")
SIZE = (480, 270)
"""Width and height of a camera in a strip, pixels."""
ABOUT_SCORES = (
    "EPDMS in percent, with 95 % intervals over drives. Standing still is a row of its own: a planner that scores less "
    "has learned nothing. One seed, few steps: <code>simscale study quick</code> repeats it with three."
)
ABOUT_CAMERAS = (
    "Above the state that was logged, below a state that no log holds, at the same instant. Both are ray-cast: real "
    "and simulated images differ in where the car is and in nothing else. <code>simscale demo --renderer splats</code> "
    "draws the simulated ones from reconstructed streets."
)

ABOUT_SPLATS = (
    "The state that was logged, and one that no log holds at the same instant: as the reconstructed street shows it, "
    "which is what the co-trained planner learned from, and as it would be. Real images and all evaluations are "
    "ray-cast."
)


def run(command: Demo) -> int:
    """Leaves `report.html`."""
    experiment = replace(DEMOS[command.renderer](), planner=command.planner)
    try:
        results = done_steps(experiment, command.out, workers=command.workers)
    except StepFailed as failure:
        say(f"simscale: {failure}")
        return 1
    answer = answer_of(experiment, results) | made_up(experiment, results)
    write_whole(command.out / REPORT, _report(experiment, command.out, results, answer).encode())
    for line in [*lines_of(answer), *trust_lines(answer)]:
        say(line)
    say(f"report: {command.out / REPORT}")
    if sys.stderr.isatty() and os.environ.get("DISPLAY"):
        webbrowser.open((command.out / REPORT).resolve().as_uri())
    if command.json:
        give(answer | {"report": str(command.out / REPORT)})
    return 0


def made_up(experiment: Experiment, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How good the reconstructed streets are, and what simulated images can be trusted with; nothing without splats."""
    if experiment.streets is None:
        return {}
    streets = {
        name.removeprefix(RECONSTRUCT): {key: found[key] for key in ("heldout", "gaussians", "seconds")}
        for name, found in results.items()
        if name.startswith(RECONSTRUCT)
    }
    return {"streets": streets, "trust": results["render-simulated"]["trust"]}


def trust_lines(answer: dict[str, Any]) -> list[str]:
    """The same for people."""
    if "trust" not in answer:
        return []
    quality = [street["heldout"]["psnr"] for street in answer["streets"].values()]
    words = f"{len(quality)} streets reconstructed: held-out PSNR {min(quality):.1f} to {max(quality):.1f} dB"
    return [words, trust_line(answer["trust"])]


def _streets(answer: dict[str, Any]) -> list[str]:
    """The reconstructions of the report."""
    if "trust" not in answer:
        return []
    rows = [
        [name, f"{s['heldout']['psnr']:.1f} dB", f"{s['heldout']['ssim']:.3f}", f"{s['gaussians']:,}"]
        for name, s in answer["streets"].items()
    ]
    table = table_html(["street", "held-out PSNR", "SSIM", "Gaussians"], rows)
    return ["<h2>Reconstructed streets</h2>", f"<p>{escape(trust_line(answer['trust']))}</p>", table]


def _report(experiment: Experiment, out: Path, results: dict[str, dict[str, Any]], answer: dict[str, Any]) -> str:
    made = results["generate"]
    commands = [" ".join(("simscale", *step.arguments)) for step in steps_of(experiment, out, cores=1)]
    body = [
        "<h1>SimScale: the whole loop in small</h1>",
        f"<p>{escape(_lead(experiment, made))}</p>",
        "<h2>Scores on unseen streets</h2>",
        f"<p>{ABOUT_SCORES}</p>",
        *(_scores(experiment, results, split) for split in experiment.splits),
        *_streets(answer),
        "<h2>What the cameras see</h2>",
        f"<p>{ABOUT_SPLATS if experiment.streets else ABOUT_CAMERAS}</p>",
        *(picture_html(strip) for strip in _strips(experiment, out)),
        *(picture_html(picture) for picture in _kept_pictures(experiment, out)),
        "<h2>How to get this again</h2>",
        f"<pre>{escape(chr(10).join(commands))}</pre>",
    ]
    return page_of("SimScale demo", body)


def _lead(experiment: Experiment, made: dict[str, Any]) -> str:
    perturb = made["perturb"]
    answers = " and ".join(f"{made['experts'][name]['accepted']} by the {name} expert" for name in experiment.experts)
    return (
        f"{len(experiment.towns)} towns, {len(experiment.towns) * experiment.drives} drives of 20 s; "
        f"{perturb['rounds']} attempts to lead the ego away from its human, of which {perturb['passed']} found a state "
        f"that the log does not hold; answers that hold in reactive traffic: {answers}. "
        f"{NAMES[experiment.planner]} ({experiment.preset}) was trained for {experiment.steps} steps on logged states "
        "alone, and for as many on logged and simulated ones."
    )


def _scores(experiment: Experiment, results: dict[str, dict[str, Any]], split: str) -> str:
    keys = ("stage_one",) if split == "towntest" else ("stage_one", "stage_two", "combined")
    named = {agent: agent for agent in experiment.agents}
    named |= {_training(experiment, arm): f"{NAMES[experiment.planner]}, {arm}" for arm in ARMS}
    rows = []
    for agent, name in named.items():
        found = results[evaluation_name(split, agent)]
        cells = [_with_interval(found, key) for key in keys]
        rows.append([name, *cells, f"{found['ade']:.2f} m"])
    protocol = results[evaluation_name(split, experiment.agents[0])]["protocol"]
    head = [split, *(key.replace("_", " ") for key in keys), "from the human"]
    return f"{table_html(head, rows)}<p><small>{escape(protocol)}</small></p>"


def _with_interval(found: dict[str, Any], key: str) -> str:
    low, high = found["intervals"].get(key) or found["interval"]
    return f"{found[key]:.1f} [{low:.1f}, {high:.1f}]" if low is not None else f"{found[key]:.1f}"


def _training(experiment: Experiment, arm: str) -> str:
    return training_name(arm, experiment.seeds[0], planner=experiment.planner)


def _kept_pictures(experiment: Experiment, out: Path) -> list[Picture]:
    """Pictures that the commands left."""
    alone, both = (_training(experiment, arm) for arm in ("real-only", "co-trained"))
    worst = sorted((out / "evaluations" / evaluation_name("townhard", both)).glob("worst-*.png"))
    wanted = [
        (out / "samples" / "accepted.png", "Simulated samples", "From the perturbed state on; faint: 4 s later."),
        (out / "samples" / "funnel.png", "Funnel", "What was tried, and the first reason against the rest."),
        (out / alone / "curves.png", "Learning curves, real only", ""),
        (out / both / "curves.png", "Learning curves, co-trained", ""),
        *((path, "One of the co-trained planner's worst drives", "") for path in worst[:2]),
    ]
    return [
        Picture(title=title, caption=caption, png=path.read_bytes())
        for path, title, caption in wanted
        if path.is_file()
    ]


def _strips(experiment: Experiment, out: Path) -> list[Picture]:
    """Logged beside simulated, through the cameras."""
    assets = out / STREETS if experiment.streets else None
    folders = town_folders(experiment, out)
    scene_of = scenes_by_id(folders)
    folder_of = {path.name.split(".")[0]: folder for folder in folders for path in scene_files(folder)}
    pictures = []
    for sample in _farthest(chosen_samples(out / "samples"), STRIPS):
        scene = scene_of(sample.log)
        lon, lat, yaw = sample.deviation
        t1 = sample.t0 + HORIZON
        logged = scene.tracks.at(t1, t1 + 1)
        simulated = tracks_during(scene, sample.agents, t0=sample.t0).at(HORIZON, HORIZON + 1)
        folder = folder_of[sample.log]
        rows = [
            ("logged", _seen(scene, folder, scene.ego[t1], logged, t1)),
            ("simulated", _seen(scene, folder, sample.state, simulated, t1)),
        ]
        if assets is not None:
            splat = _seen(scene, folder, sample.state, simulated, t1, assets=assets)
            rows = [rows[0], ("simulated, as splats draw it", splat), ("the same as it would be", rows[1][1])]
        words = f"{lon:+.1f} m along, {lat:+.1f} m to the left, turned by {yaw * 57.2958:+.0f} degrees"
        pictures.append(Picture(title=sample.token, caption=words, png=strip_png(rows)))
    return pictures


def _farthest(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Samples of different logs that are farthest aside, which shows best."""
    chosen: dict[str, Sample] = {}
    for sample in sorted(samples, key=lambda s: -abs(float(s.deviation[1]))):
        chosen.setdefault(sample.log, sample)
    return list(chosen.values())[:count]


def _seen(
    scene: Scene, folder: Path, state: CarState, tracks: Tracks, instant: int, *, assets: Path | None = None
) -> list[Any]:
    """Images by splats of these assets, or by the ray caster where there are none."""
    rig = _of_names(scaled(rig_of(scene), size=SIZE), SHOWN)
    draws = RENDERERS["raycast" if assets is None else "splats"](scene, folder, rays=2, assets=assets)
    images = draws.render(rig, pose_of(scene, instant, state), tracks, lights_at(scene, instant))
    return [image.rgb for image in images]


def _of_names(rig: Cameras, names: Sequence[str]) -> Cameras:
    index = [rig.name.index(name) for name in names]
    return Cameras(
        name=tuple(names),
        intrinsics=rig.intrinsics[index],
        distortion=rig.distortion[index],
        ego_from_camera=rig.ego_from_camera[index],
        size_px=rig.size_px[index],
    )
