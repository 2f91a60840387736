"""`simscale show`: a picture of a scene, of a sample, or of a dataset as a contact sheet."""

from pathlib import Path

from matplotlib.figure import Figure

from simscale.cli.commands import Show
from simscale.cli.pictures import chosen_rejections, chosen_samples, scenes_of_dataset
from simscale.cli.speech import say
from simscale.dataset.files import write_whole
from simscale.dataset.manifest import read_manifest
from simscale.dataset.recipe import sample_of
from simscale.dataset.shards import read_member, read_members, read_rejections
from simscale.generate.settings import GenerateSettings
from simscale.scene import BadInput
from simscale.scene.file import read_scene
from simscale.viz.contact_sheet import sheet_of_rejections, sheet_of_samples
from simscale.viz.image import bytes_of
from simscale.viz.pictures import sample_picture, scene_picture

FORMATS = (".png", ".svg", ".pdf")


def run(command: Show) -> int:
    """Writes the picture."""
    if command.out.suffix not in FORMATS:
        raise BadInput("command line", "--out", str(command.out), f"a file that ends in {' or '.join(FORMATS)}")
    figure = _of_dataset(command) if command.thing.is_dir() else _of_scene(command)
    command.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(command.out, bytes_of(figure, kind=command.out.suffix[1:]))
    say(str(command.out))
    return 0


def _of_scene(command: Show) -> Figure:
    scene = read_scene(command.thing)
    last = (len(scene) - 1) * scene.dt
    at = last / 2 if command.at is None else command.at
    if not 0 <= at <= last:
        raise BadInput("command line", "--at", at, f"0 to {last:.1f} s, the length of {scene.id}")
    return scene_picture(scene, instant=round(at / scene.dt))


def _of_dataset(command: Show) -> Figure:
    folder = command.thing
    read_manifest(folder)  # refuses what is no dataset, in one sentence
    scene_of = scenes_of_dataset(folder, command.scenes)
    if command.token:
        return _of_sample(command, folder)
    if command.rejected:
        vehicle_of = GenerateSettings(ego=_ego_of(folder)).vehicle_of
        return sheet_of_rejections(chosen_rejections(folder), scene_of, vehicle_of=vehicle_of)
    return sheet_of_samples(chosen_samples(folder), scene_of)


def _of_sample(command: Show, folder: Path) -> Figure:
    members = {member.member.removesuffix(".npz"): member for member in read_members(folder)}
    if command.token not in members:
        near = ", ".join(name for name in sorted(members)[:3])
        raise BadInput(folder, "--token", repr(command.token), f"one of its {len(members)} samples, such as {near}")
    sample = sample_of(read_member(folder, members[command.token]), name=command.token)
    refused = [
        rejection
        for rejection in read_rejections(folder)
        if (rejection.token, rejection.round, rejection.expert) == (sample.parent_token, sample.round, "")
    ]
    return sample_picture(scenes_of_dataset(folder, command.scenes)(sample.log), sample, refused=refused)


def _ego_of(folder: Path) -> str:
    return str(read_manifest(folder).configuration.get("ego", "auto"))
