"""Training: one picture at a time is drawn, compared, and turned back into better Gaussians.

What stands still and the sky are leaves of the drawing; agents are posed into rows behind them, and their gradients
go back through their poses. Everything that happens depends on the seed, the step and the share of the run that is
over, so a run that was cut off goes on as if it had not been.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import KDTree
from torch import Tensor

from simscale.geometry.se3 import inverse
from simscale.scene.seeds import generator_of
from simscale.splats.adam import sparse_adam
from simscale.splats.capture import Capture
from simscale.splats.cloud import Cloud
from simscale.splats.densify import densified, lowered, walk
from simscale.splats.gaussians import SH_RESTS, Gaussians
from simscale.splats.memory import Memory
from simscale.splats.pictures import Picture, seen_agents
from simscale.splats.places import place_order
from simscale.splats.render import limits_on, render
from simscale.splats.row_adam import RowTable
from simscale.splats.settings import ReconstructSettings, falling
from simscale.splats.street import AgentClouds, Exposures, Street, posed
from simscale.splats.street_losses import add_box_slopes, add_shape_slopes, picture_loss
from simscale.splats.view import Drawing, Limits, View, Visible

Array = np.ndarray
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What one step learns from."""

    picture: Picture
    camera: int  # index of its exposure
    traversal: int
    camera_from_world: Float[Tensor, "4 4"]
    world_from_box: Float[Array, "a 4 4"]
    shown: Bool[Array, " a"]  # agents with a node that are there and in view


def lessons_of(
    capture: Capture, frames: Sequence[int], pictures: Sequence[Picture], present: Bool[Array, " a"]
) -> list[Lesson]:
    """Pictures with everything that is known of their moment.

    Args:
        capture: Where they come from.
        frames: Their indices in it.
        pictures: Themselves.
        present: Agents that have a node.
    """
    made = []
    for frame, picture in zip(frames, pictures, strict=True):
        pose, known = capture.agents.at(int(capture.frames.timestamp_us[frame]))
        camera_from_world = inverse(capture.frames.world_from_camera[frame])
        in_view = seen_agents(capture.agents, pose, camera_from_world, picture.lens, picture.size)
        made.append(
            Lesson(
                picture=picture,
                camera=capture.camera_names.index(capture.frames.camera[frame]),
                traversal=int(capture.frames.traversal[frame]),
                camera_from_world=torch.from_numpy(camera_from_world).float(),
                world_from_box=pose,
                shown=known & present & in_view,
            )
        )
    return made


class Training:
    """The state of a run, and its steps."""

    def __init__(
        self, street: Street, lessons: Sequence[Lesson], settings: ReconstructSettings, device: torch.device = CPU
    ):
        """Begins at step 0.

        Args:
            street: Before its first step, on the CPU.
            lessons: On the CPU too; what a step needs of one is copied for it.
            settings: Numbers.
            device: Where everything else lies, and where it is drawn.
        """
        self.settings, self.street, self.lessons, self.device = settings, street, list(lessons), device
        self.limits = limits_on(device, Limits(near=settings.near_plane))
        self.step, self.resets, self.error = 0, 0, 0.0
        self.world, self.sky = Cloud.of(street.world.to(device)), Cloud.of(street.sky.to(device))
        self.agents = Cloud.of(street.clouds.gaussians.to(device), street.clouds.agent)
        self.exposure = RowTable.of(street.exposures.affine.flatten(0, 1).to(device))
        self.twist = RowTable.of(torch.zeros(len(self.lessons), 6, device=device))
        centres = np.stack([np.linalg.inv(lesson.camera_from_world.numpy())[:3, 3] for lesson in self.lessons])
        self.drive = KDTree(centres)
        self.reach = max(float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max()), 1.0)
        self._smaller: dict[tuple[int, int], Picture] = {}
        self._memory = Memory()
        self.lay_out()

    def lay_out(self) -> None:
        """Puts the leaves of the drawing side by side, with room for posed agents behind them."""
        degree = SH_RESTS[self.settings.sh_degree]
        own = self.agents.owner.cpu().numpy()
        drawn = len(own) + int(self.street.clouds.mirrored[own].sum()) if len(own) else 0
        still = [self.world.gaussians, self.sky.gaussians]
        room: dict[str, Tensor] = {}
        for name, value in self.world.gaussians.tensors().items():
            parts = [part.tensors()[name] for part in still]
            shape = (drawn, degree, 3) if name == "sh_rest" else (drawn, *value.shape[1:])
            room[name] = torch.cat([*parts, value.new_zeros(shape)]).contiguous()
        self._room = room
        count = len(self.world)
        self.world = replace(self.world, gaussians=_rows(room, 0, count))
        self.sky = replace(self.sky, gaussians=_rows(room, count, count + len(self.sky)))

    def __len__(self) -> int:
        """How many Gaussians there are."""
        return len(self.world) + len(self.sky) + len(self.agents)

    def learn(self, share: float) -> float:
        """One step.

        Args:
            share: Of the run that is over.

        Returns:
            Mean squared error of the picture.
        """
        which = self._turn()
        lesson, settings = self.lessons[which], self.settings
        picture = self._picture(which, share)
        row = lesson.camera * self.street.exposures.affine.shape[1] + lesson.traversal
        affine, twist = self.exposure.leaf(row), self.twist.leaf(which)
        local = Gaussians(**{n: v.detach().requires_grad_() for n, v in self.agents.gaussians.tensors().items()})
        clouds = AgentClouds(gaussians=local, agent=self.agents.owner, mirrored=self.street.clouds.mirrored)
        placed, source = posed(clouds, lesson.world_from_box, lesson.shown)
        leaf = self._leaf(placed)
        drawing = render(
            leaf,
            view_of(picture, corrected(lesson.camera_from_world.to(self.device), twist)[None]),
            sh_degree=min(int(share / settings.sh_every), settings.sh_degree),
            absgrad=self._watched(share),
            sparse_grad=True,
            limits=self.limits,
            memory=self._memory,
        )
        loss, error = picture_loss(drawing, picture, affine, settings.losses)
        loss.backward()
        self.step += 1
        with torch.no_grad():
            slopes = drawing.visible.slopes(leaf)
            self._shape(leaf, drawing.visible, slopes)
            self._turn_back(local, placed, source, drawing.visible, slopes)
            self._move(local, drawing.visible, slopes, source, share)
            rise = min(share / settings.rates.exposure_warm_up, 1.0)
            self.exposure.move(row, affine.grad, falling(settings.rates.exposure, share) * rise)
            rise = min(share / settings.rates.camera_warm_up, 1.0)
            self.twist.move(which, twist.grad, falling(settings.rates.camera, share) * rise)
            if self._watched(share):
                self._remember(drawing, source, picture.size[0])
            self._grow(share)
        self.error += 0.02 * (float(error) - self.error) if self.step > 1 else float(error)
        return float(error)

    def _turn(self) -> int:
        """Whose turn it is: everybody's once before anybody's twice."""
        count = len(self.lessons)
        order = generator_of(self.settings.seed, "reconstruct", "order", self.step // count).permutation(count)
        return int(order[self.step % count])

    def _picture(self, which: int, share: float) -> Picture:
        times = next((times for until, times in self.settings.coarse if share < until), 1)
        picture = self.lessons[which].picture
        if times == 1 or min(picture.size) < 16 * times:
            return picture.to(self.device)
        if (which, times) not in self._smaller:
            self._smaller[which, times] = picture.reduced(times)
        return self._smaller[which, times].to(self.device)

    def _leaf(self, placed: Gaussians) -> Gaussians:
        """World, sky and posed agents, to differentiate by."""
        still = len(self.world) + len(self.sky)
        rows = still + len(placed)
        for name, value in placed.tensors().items():
            if name != "sh_rest":  # agents have one colour from all sides, see `street_start`
                self._room[name][still:rows] = value.detach()
        return Gaussians(**{name: value[:rows].requires_grad_() for name, value in self._room.items()})

    def _shape(self, leaf: Gaussians, visible: Visible, slopes: dict[str, Tensor]) -> None:
        """Adds what shapes should be like to the slopes of the world and the agents."""
        losses, count, rows = self.settings.losses, len(self.world), visible.gaussian
        counted = (rows < count) | (rows >= count + len(self.sky))
        sharp = self.step % losses.sharpness_every == 0
        mcmc = self.settings.densify.strategy == "mcmc"
        add_shape_slopes(leaf, rows, slopes, counted, losses, sharp=sharp, mcmc=mcmc)

    def _turn_back(
        self, local: Gaussians, placed: Gaussians, source: Tensor, visible: Visible, slopes: dict[str, Tensor]
    ) -> None:
        """Gradients of posed agents become gradients in their boxes."""
        for value in local.tensors().values():
            value.grad = torch.zeros_like(value)
        if not len(source):
            return
        still = len(self.world) + len(self.sky)
        mine = (visible.gaussian >= still).nonzero()[:, 0]
        rows, pairs = visible.gaussian[mine] - still, []
        for name, value in placed.tensors().items():
            if name != "sh_rest":
                slope = torch.zeros_like(value)
                slope[rows] = slopes[name][mine]
                pairs.append((value, slope))
        torch.autograd.backward([value for value, _ in pairs], [slope for _, slope in pairs])
        counted = torch.zeros(len(self.agents), dtype=torch.bool, device=self.device)
        counted[source] = True
        half = torch.from_numpy(self.street.agents.size / 2).float().to(self.device)[self.agents.owner]
        add_box_slopes(local.means, half, counted, self.settings.losses)

    def _move(
        self, local: Gaussians, visible: Visible, slopes: dict[str, Tensor], source: Tensor, share: float
    ) -> None:
        rates, count = self.settings.rates, len(self.world)
        still, rows = count + len(self.sky), visible.gaussian
        names = {
            "means": falling(rates.means, share),
            "log_scales": rates.log_scales,
            "quats": rates.quats,
            "logit_opacity": rates.logit_opacity,
            "sh_dc": rates.sh_dc,
            "sh_rest": rates.sh_rest,
        }
        faster = 1 if self.settings.steps > 25_000 else rates.short_run
        names |= {name: names[name] * faster for name in ("sh_dc", "sh_rest")}
        sky = {name: names[name] for name in ("log_scales", "sh_dc", "logit_opacity")}
        for cloud, first, last, own in ((self.world, 0, count, names), (self.sky, count, still, sky)):
            mine = slice(*(int((rows < bound).sum()) for bound in (first, last)))  # rows are in order
            part = {name: slope[mine] for name, slope in slopes.items()}
            sparse_adam(cloud.gaussians, cloud.momenta, rows[mine] - first, part, rates=own, step=self.step)
        moved = source[rows[rows >= still] - still].unique()
        part = {name: value.grad[moved] for name, value in local.tensors().items() if value.grad is not None}
        sparse_adam(local, self.agents.momenta, moved, part, rates=names, step=self.step)

    def _watched(self, share: float) -> bool:
        """Whether densification will ask who was pulled at."""
        densify = self.settings.densify
        return share < densify.last and (densify.by_pull or densify.strategy == "default")

    def _remember(self, drawing: Drawing, source: Tensor, width: int) -> None:
        """What densification by gradients needs."""
        visible, still = drawing.visible, len(self.world) + len(self.sky)
        pull = visible.absolute_grad.norm(dim=1) * (width / 2)
        wide = visible.radius / width
        for cloud, own, index in (
            (self.world, visible.gaussian < len(self.world), visible.gaussian),
            (self.agents, visible.gaussian >= still, visible.gaussian - still),
        ):
            rows = index[own] if cloud is self.world else source[index[own]]
            cloud.pull.index_add_(0, rows, pull[own])
            cloud.looks.index_add_(0, rows, torch.ones_like(pull[own]))
            cloud.widest.scatter_reduce_(0, rows, wide[own], "amax")

    def _grow(self, share: float) -> None:
        """Densifies, walks, lowers opacities and sorts, each when it is due."""
        densify, step = self.settings.densify, self.step
        on = densify.first <= share < densify.last
        if densify.strategy == "mcmc" and step % densify.noise_every == 0:
            rates = self.settings.rates.means
            size = densify.noise / self.reach * falling(rates, share) / rates[0] * math.sqrt(densify.noise_every)
            for name, cloud in (("world", self.world), ("agents", self.agents)):
                walk(cloud, size=size, random=self._random("walk", name))
        if on and step % densify.every == 0:
            self.world = self._denser("world", self.world, self._cap() - len(self.agents))
            most = max(int(self._cap() * self.settings.agent_share), len(self.agents))
            self.agents = self._denser("agents", self.agents, min(most, self._cap() - len(self.world)))
        if on and densify.strategy == "default" and share >= (self.resets + 1) * densify.reset_every:
            self.resets += 1
            lowered(self.world, to=densify.reset_to)
            lowered(self.agents, to=densify.reset_to)
        if (on and step % densify.every == 0) or step % self.settings.sort_every == 0:
            self.world = self.world.at(place_order(self.world.gaussians.means))
            order = place_order(self.agents.gaussians.means)
            self.agents = self.agents.at(order[torch.argsort(self.agents.owner[order], stable=True)])
            self.lay_out()

    def _denser(self, name: str, cloud: Cloud, cap: int) -> Cloud:
        distance = torch.zeros(len(cloud), device=self.device)
        if name == "world" and self.settings.densify.strategy == "default":
            far = self.drive.query(cloud.gaussians.means.cpu().numpy())[0]
            distance = torch.from_numpy(far).float().to(self.device)
        random = self._random("densify", name)
        return densified(cloud, cap=cap, settings=self.settings.densify, random=random, distance=distance)

    def _cap(self) -> int:
        return max(self.settings.gaussians - len(self.sky), 0)

    def _random(self, *purpose: str) -> np.random.Generator:
        return generator_of(self.settings.seed, "reconstruct", *purpose, self.step)

    def result(self) -> Street:
        """The street as it is now, on the CPU."""
        order = torch.argsort(self.agents.owner, stable=True)
        agents = self.agents.at(order)
        affine = self.exposure.value.reshape(self.street.exposures.affine.shape)
        return replace(
            self.street,
            world=_copied(self.world.gaussians),
            sky=_copied(self.sky.gaussians),
            clouds=replace(self.street.clouds, gaussians=_copied(agents.gaussians), agent=agents.owner.cpu()),
            exposures=Exposures(camera=self.street.exposures.camera, affine=affine.cpu().clone()),
            drive=replace(self.street.drive, world_from_camera=self.world_from_camera()),
        )

    def world_from_camera(self) -> Float[Array, "f 4 4"]:
        """Corrected poses of the pictures."""
        pairs = zip(self.lessons, self.twist.value.cpu(), strict=True)
        return np.stack(
            [inverse(corrected(lesson.camera_from_world, twist).double().numpy()) for lesson, twist in pairs]
        )


def view_of(picture: Picture, camera_from_world: Float[Tensor, "1 4 4"]) -> View:
    """The camera of a picture."""
    width, height = picture.size
    lens = torch.from_numpy(picture.lens).float().to(camera_from_world.device)[None]
    return View(camera_from_world=camera_from_world, intrinsics=lens, width=width, height=height)


def corrected(camera_from_world: Float[Tensor, "4 4"], twist: Float[Tensor, "6"]) -> Float[Tensor, "4 4"]:
    """A pose with a small motion in the camera's own frame: a shift, m, and a rotation vector, rad (SO3 x R3)."""
    zero = torch.zeros((), dtype=twist.dtype, device=twist.device)
    x, y, z = twist[3:].unbind()
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    top = torch.cat([torch.linalg.matrix_exp(skew), twist[:3, None]], dim=1)
    bottom = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=twist.dtype, device=twist.device)
    return torch.cat([top, bottom]) @ camera_from_world


def _rows(room: dict[str, Tensor], first: int, last: int) -> Gaussians:
    return Gaussians(**{name: value[first:last] for name, value in room.items()})


def _copied(gaussians: Gaussians) -> Gaussians:
    return Gaussians(**{name: value.detach().cpu().clone() for name, value in gaussians.tensors().items()})
