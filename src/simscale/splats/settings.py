"""Every number that a reconstruction is made with, and where it comes from.

MTGS trains 30,001 steps; its step counts are shares of the whole run here, so that a run of four minutes goes through
the same phases as one of two hours. "MTGS" means its public configuration (splats.md 4.1), "3DGS-MCMC" Kheradmand et
al. 2024 with gsplat's values, "3DGS" Kerbl et al. 2023, "ours" what neither has.
"""

from dataclasses import dataclass, field
from typing import Literal

from simscale.splats.capture_start import StartSettings
from simscale.splats.capture_stereo import StereoSettings

Strategy = Literal["mcmc", "default"]


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rates of Adam; pairs are those of the first and the last step, between which they fall exponentially."""

    means: tuple[float, float] = (8e-4, 8e-6)
    """m a step (MTGS)."""
    log_scales: float = 5e-3
    """MTGS."""
    quats: float = 1e-3
    """MTGS."""
    logit_opacity: float = 5e-2
    """MTGS."""
    sh_dc: float = 2.5e-3
    """MTGS."""
    sh_rest: float = 1.25e-4
    """MTGS."""
    exposure: tuple[float, float] = (1e-3, 1e-4)
    """MTGS."""
    exposure_warm_up: float = 0.17
    """Share of the run (MTGS: 5,000 steps)."""
    camera: tuple[float, float] = (1e-4, 5e-7)
    """rad and m a step (MTGS)."""
    camera_warm_up: float = 0.05
    """Share of the run (MTGS: 1,500 steps)."""
    short_run: float = 2.5
    """Colours, scales and rotations of a run much shorter than MTGS' move so much faster (ours)."""


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Weights and bounds of the terms of the loss."""

    l1: float = 0.8
    """MTGS, 3DGS."""
    ssim: float = 0.2
    """MTGS, 3DGS; on the image before exposure (MTGS)."""
    depth: float = 0.5
    """Of |1/d - 1/d'| with LiDAR (MTGS)."""
    depth_range: tuple[float, float] = (0.1, 80.0)
    """m (MTGS)."""
    flatness: float = 1.0
    """Of the mean of the smallest axis, m (MTGS)."""
    out_of_box: float = 1.0
    """Of the mean distance of an agent's Gaussians outside its box, m (MTGS)."""
    box_tolerance: float = 0.1
    """Outside the box that costs nothing, m (ours; MTGS: 1.5, of boxes drawn by people and a network)."""
    sharpness: float = 1.0
    """Of what the longest axis exceeds `sharpness_ratio` times the next one (MTGS's sharp-shape term; ours compares
    with the middle axis, because the flatness term wants the smallest one small)."""
    sharpness_ratio: float = 10.0
    """MTGS."""
    sharpness_every: int = 10
    """Steps (MTGS)."""
    opacity: float = 0.01
    """Of the mean opacity, with the MCMC strategy (3DGS-MCMC)."""
    scale: float = 0.01
    """Of the mean axis, m, with the MCMC strategy (3DGS-MCMC)."""


@dataclass(frozen=True, kw_only=True)
class DensifySettings:
    """How Gaussians multiply and die."""

    strategy: Strategy = "mcmc"
    """`mcmc` suits a fixed budget best; `default` is 3DGS's with MTGS's numbers."""
    first: float = 0.017
    """Share of the run before it begins (MTGS: step 500)."""
    last: float = 0.5
    """Share of the run after which it ends (MTGS: step 15,000)."""
    every: int = 100
    """Steps (MTGS, 3DGS-MCMC)."""
    least_opacity: float = 0.005
    """Those below are dead (MTGS, 3DGS-MCMC)."""
    growth: float = 0.05
    """Of the number each time (3DGS-MCMC)."""
    by_pull: bool = True
    """Whether copies are drawn by opacity times how much the loss pulls at a centre (ours), so that they come where
    the picture is wrong; by opacity alone otherwise (3DGS-MCMC)."""
    noise: float = 80.0
    """Of the random walk of the transparent, in covariances over the size of the scene, at the first rate of the
    means (3DGS-MCMC: 5e5 times 1.6e-4)."""
    noise_every: int = 10
    """Steps; so much rarer, the walk's steps are larger by the root of it (ours)."""
    absolute_gradient: float = 1e-3
    """Of the centre in the image, half image widths, above which one multiplies (MTGS, with absgrad)."""
    large: float = 0.2
    """Those larger are split, others cloned, m (MTGS)."""
    split_into: int = 2
    """MTGS."""
    split_shrinks: float = 1.6
    """3DGS."""
    split_pixels: float = 100.0
    """Wider ones in the image are split, px at a width of 960 (MTGS)."""
    prune_pixels: float = 150.0
    """Wider ones in the image are removed, px at a width of 960 (MTGS)."""
    prune_size: float = 0.5
    """Larger ones are removed, m (MTGS)."""
    far: float = 100.0
    """Beyond this distance from every camera, m, `prune_size` is 40 times larger (MTGS)."""
    far_factor: float = 40.0
    """MTGS."""
    reset_every: float = 0.1
    """Share of the run after which opacities are lowered to `reset_to` (MTGS: 3,000 steps)."""
    reset_to: float = 0.01
    """MTGS."""


@dataclass(frozen=True, kw_only=True)
class SkySettings:
    """The sky's Gaussians."""

    count: int = 8000
    """On the whole upper half of the sphere, at most a tenth of all (ours; MTGS: 100,000, for 960x540 images)."""
    radius: float = 1000.0
    """m (MTGS)."""
    lowest: float = -0.05
    """Elevation at which it ends, rad (ours: the street hides what is below)."""
    opacity: float = 0.95
    """At the start (ours: nothing is behind it)."""


@dataclass(frozen=True, kw_only=True)
class ReconstructSettings:
    """All of them."""

    seed: int = 0
    width: int = 480
    """Of the photographs that are trained on, pixels; never more than the files have (ours, for two cores)."""
    gaussians: int = 200_000
    """The most there may be (ours: 150,000 to 300,000 reach 26 to 29 dB on real clips of this size, splats.md 2.2)."""
    steps: int = 8000
    """Of a run without a budget of minutes (ours)."""
    budget_minutes: float | None = None
    """Where said, the run is as many steps long as fit; its phases then follow the time."""
    sh_degree: int = 1
    """Of what stands still (ours: more is slower and extrapolates worse to shifted lanes; MTGS 3)."""
    sh_every: float = 0.1
    """Share of the run after which the degree in use grows by one (ours; MTGS: 1,000 steps)."""
    coarse: tuple[tuple[float, int], ...] = ((0.1, 4), (0.2, 2))
    """Until which share of the run images are how many times smaller (MTGS_ST: 3,000 steps each)."""
    start: StartSettings = field(
        default_factory=lambda: StartSettings(near=10.0, stereo=StereoSettings(photographs=24))
    )
    start_share: float = 0.75
    """Of the budget that the start may take (ours)."""
    fill_in: bool = True
    """Whether photographs add points where a LiDAR had none (MTGS: points of structure from motion)."""
    fill_in_side: float = 0.5
    """Side of these points' voxels, m; none lies nearer than twice that to a LiDAR's (ours)."""
    clear: float = 1.2
    """Nothing starts nearer than this to where a camera was, m (ours: a car was there; points of photographs alone
    are sometimes wrong, and there they hide everything)."""
    start_angle: float = 0.1
    """At the start no Gaussian is larger than this share of its distance from the nearest camera (ours)."""
    plane_neighbours: int = 12
    """In whose plane a Gaussian lies at the start (ours)."""
    plane_thinness: float = 0.15
    """At the start no Gaussian is thinner than this share of its width (ours)."""
    start_opacity: float = 0.5
    """3DGS-MCMC; MTGS 0.1, with 30,001 steps to raise it."""
    agent_share: float = 0.2
    """Of the budget that agents may take together (ours)."""
    least_points: int = 30
    """Start points of an agent that makes a node (ours, at voxels of 5 cm; MTGS: 100 LiDAR points before filtering)."""
    moved: float = 3.0
    """An agent that travelled farther moves, m (MTGS). One that did not and has no node is part of the street."""
    near_plane: float = 0.2
    """m (splats.md 3.5)."""
    sort_every: int = 1000
    """Steps after which Gaussians are put along Morton's curve again; also after every growth (ours)."""
    save_every: int = 500
    """Steps after which a run that was cut off goes on (ours)."""
    save_seconds: float = 20.0
    """Or seconds, whichever comes first (ours)."""
    rates: Rates = field(default_factory=Rates)
    losses: LossSettings = field(default_factory=LossSettings)
    densify: DensifySettings = field(default_factory=DensifySettings)
    sky: SkySettings = field(default_factory=SkySettings)


def falling(ends: tuple[float, float], share: float) -> float:
    """A rate that falls exponentially from the first to the last."""
    return ends[0] * (ends[1] / ends[0]) ** min(max(share, 0.0), 1.0)
