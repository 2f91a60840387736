"""What can be asked for: one frozen dataclass a command. Inputs are positional, the output is `--out`.

Nothing here imports more than the command line itself, so that `--help` answers at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, subcommand


@dataclass(frozen=True, kw_only=True)
class Town:
    """Makes a small world with known truth, and writes drives through it as scenes."""

    out: Path
    """Folder for the scene files."""
    seed: int = 0
    """Which town; towns of different seeds share no street."""
    size: float = 400.0
    """Side of the town's square, in metres; at least 240."""
    drives: int = 6
    """How many drives of 20 s."""
    record: bool = False
    """Also record what three cameras (480 x 270) and a LiDAR see on each drive: a log to reconstruct."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """Turns driving logs into scenes."""

    kind: Positional[Literal["argoverse2", "argoverse2-motion", "scenarionet", "commonroad"]]
    """What the logs are."""
    src: Positional[Path]
    """One log, or a folder that holds logs at any depth."""
    out: Path
    """Folder for the scene files."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Clusters what people did into a vocabulary of trajectories."""

    action: Positional[Literal["build"]]
    """What to do."""
    scenes: Positional[tuple[Path, ...]]
    """Folders of scenes."""
    out: Path
    """The .npy file to write: [size, 40, 3] poses every 0.1 s in the ego frame."""
    size: int = 2048
    """How many trajectories."""
    seed: int = 0
    """Of the clustering."""
    agents: bool = False
    """Learn from the vehicles around the ego too."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Turns scenes into simulated scenes: perturbs the ego, lets traffic react, asks experts for the way back."""

    scenes: Positional[tuple[Path, ...]]
    """Folders of scenes, or scene files."""
    out: Path
    """Folder for the dataset and its report."""
    experts: str = "planner,recovery"
    """Who answers, separated by commas."""
    traffic: Literal["idm", "replay", "constant_velocity"] = "idm"
    """How others move."""
    rounds: int = 5
    """Attempts for each decision point."""
    seed: int = 0
    """The result depends on it, not on the number of workers."""
    workers: int | None = None
    """Processes; as many as there are cores where not said."""
    vocabulary: Path | None = None
    """Trajectories as a .npy file; the package's own where not said."""
    preset: Literal["default", "wide", "lateral"] = "default"
    """How far from the human the ego may be put."""
    ego: Literal["auto", "navsim"] = "auto"
    """Whose box the ego has: the logged vehicle's own, or NAVSIM's."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Show:
    """Draws a scene, a sample or a dataset from above."""

    thing: Positional[Path]
    """A scene file, or the folder of a dataset."""
    out: Path
    """The picture to write (.png, .svg or .pdf)."""
    at: float | None = None
    """Which moment of a scene, in seconds; the middle where not said."""
    token: str = ""
    """Which sample of a dataset; all of them as a contact sheet where not said."""
    scenes: tuple[Path, ...] = ()
    """Where the scenes of a dataset lie now, should they have moved."""
    rejected: bool = False
    """A contact sheet of what was rejected."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Says what a dataset holds, or checks every file and member of it."""

    action: Positional[Literal["info", "verify"]]
    """What to do."""
    folder: Positional[Path]
    """Folder of the dataset."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Render:
    """Renders camera images ahead of time: of the perturbed states of a dataset, or of logs' own decision points."""

    samples: Positional[tuple[Path, ...]]
    """A dataset of generate; with --logged, folders of scenes."""
    out: Path
    """Folder for images and what they teach."""
    renderer: Literal["raycast", "splats"] = "raycast"
    """Who draws: the town's ray caster, or streets reconstructed from photographs."""
    assets: Path | None = None
    """With splats, what reconstruct wrote: the asset of each log in a folder of its own, or a single asset."""
    logged: bool = False
    """Render what the logs' own cameras saw."""
    sensors: Literal["ltf", "full"] = "ltf"
    """LTF's view, or all cameras of the rig."""
    size: tuple[int, int] | None = None
    """Height and width of an image; 64 256 for ltf and 270 480 for full where not said."""
    scenes: tuple[Path, ...] = ()
    """Where the scenes of a dataset lie now, should they have moved."""
    workers: int | None = None
    """Processes; as many as there are cores where not said."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Rewards:
    """Scores every trajectory of a vocabulary at every token; or reads, or writes, SimScale's reward pickles."""

    src: Positional[tuple[Path, ...]]
    """Folders of scenes and datasets of generate; pickles with --from-pickles; a store of rewards with --to-pickles."""
    out: Path
    """Folder for the rewards; with --to-pickles a .pkl file, or a folder with a pickle a token."""
    vocabulary: Path | None = None
    """Trajectories as a .npy file; the package's own where not said."""
    progress: Literal["eval", "gen_gt"] | None = None
    """How progress is measured: gen_gt, against PDM-Closed as for training, where not said; a store keeps both."""
    human_filter: Literal["off", "fixed", "legacy"] = "legacy"
    """With --to-pickles: what becomes of sub-scores that the human fails; legacy is SimScale's own."""
    from_pickles: bool = False
    """Read reward pickles: files of a run, or folders of <token>/tmp.pkl."""
    to_pickles: bool = False
    """Write reward pickles."""
    scenes: tuple[Path, ...] = ()
    """Where the scenes of a dataset lie now, should they have moved."""
    workers: int | None = None
    """Processes; as many as there are cores where not said."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Trains a planner on rendered examples; the same command goes on where it was stopped."""

    recipe: Positional[str]
    """A recipe file (.json)."""
    out: Path
    """Folder for the checkpoint, its metrics and its curves."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Drives an agent through unseen streets of the town, and scores it as NAVSIM does."""

    agent: Positional[str]
    """A checkpoint, or human, pdm-closed, constant-velocity or stand-still."""
    split: Literal["towntest", "townhard"]
    """Logged starts, in one stage; or logged and then perturbed starts, in two."""
    out: Path
    """Folder for scores, tables and pictures."""
    size: Literal["tiny", "quick", "default", "full"] = "default"
    """How many towns, drives and starts."""
    cache: Path | None = None
    """Folder where splits are kept, so that other agents find them made; below --out where not said."""
    traffic: Literal["auto", "replay", "idm-sound", "idm-navsim"] = "auto"
    """How others move; the log's replay in towntest and sound reactive traffic in townhard where not said."""
    pictures: int = 6
    """How many of the worst drives are drawn."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """Trains on real data alone and on real and simulated data, in paired seeds, and says what the second one gains."""

    recipe: Positional[str]
    """Name of the study: quick, or minute."""
    out: Path
    """Folder for everything that the study makes; the same command goes on where it was stopped."""
    workers: int | None = None
    """Processes; as many as there are cores where not said."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Scores plans against scenes as NAVSIM's own scripts do, quirks included, and writes their table."""

    plans: Positional[str]
    """Plans (.npz), a submission (.pkl), a checkpoint, or human, pdm-closed, constant-velocity or stand-still."""
    scenes: Positional[tuple[Path, ...]]
    """Folders of scenes."""
    out: Path
    """Folder for table and numbers; the same command goes on where it was stopped."""
    stages: Literal["one", "two"] = "one"
    """Tokens by themselves, or groups of two stages."""
    groups: Path | None = None
    """JSON file of the groups of two stages: [[now, prev, [[now2, prev2], ...]], ...]."""
    traffic: Literal["auto", "log-replay", "reactive"] = "auto"
    """How others move; log-replay in one stage and reactive in two where not said."""
    filter: Literal["fixed", "legacy"] = "fixed"
    """Human filter; legacy is that of SimScale's published tables."""
    protocol: Literal["epdms", "pdms-v1"] = "epdms"
    """The score of NAVSIM v2, or that of v1."""
    exact: bool = False
    """Ask the geometry library everything: slow, and decides ties between equally near objects as the reference."""
    workers: int | None = None
    """Processes; as many as there are cores where not said."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Reconstruct:
    """Makes a street that can be drawn from anywhere out of photographs, poses, LiDAR and boxes."""

    src: Positional[Path]
    """A scene with images, a KITTI sequence, a DGP scene, a COLMAP model or a nerfstudio folder; its content tells."""
    out: Path
    """Folder for the asset; the same command goes on where it was stopped."""
    budget_minutes: float | None = None
    """Minutes that it may take; 8,000 steps, and the same bytes every time, where not said."""
    budget_gaussians: int | None = None
    """The most Gaussians there may be; 200,000 where not said."""
    width: int | None = None
    """Of the photographs that are learned from, in pixels; 480 where not said, never more than they have."""
    steps: int | None = None
    """Steps of a run without a budget of minutes."""
    hold_out_every: int = 8
    """Every n-th instant is kept from training and scored; 0 trains on all."""
    strategy: Literal["mcmc", "default"] = "mcmc"
    """How Gaussians multiply."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it trains; auto is cuda where there is one and gsplat is installed, which gives other bytes each time."""
    lpips: Path | None = None
    """Folder with the weights of LPIPS, where a user has them: alexnet-owt-7be5be79.pth and alex.pth."""
    seed: int = 0
    """Of everything random."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """Recomputes a published table of scores, and says which human filter it was made with."""

    csv: Positional[Path]
    """The table (.csv or .csv.gz), as NAVSIM's scripts write it: EPDMS in one stage or two, or PDMS of v1."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """Checks on golden numbers that this installation computes what the official code does."""

    action: Positional[Literal["scoring", "planners"]]
    """What to check."""
    folder: Positional[Path]
    """Folder of golden numbers. For scoring: scenes, and where there are any vocab and two_stage."""
    exact: bool = False
    """With scoring, ask the geometry library everything: slow, and right in ties too."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Turns published checkpoints into ours and back, or says what one holds."""

    action: Positional[Literal["convert", "info"]]
    """What to do."""
    src: Positional[Path]
    """A published checkpoint (PyTorch), or one of ours (safetensors)."""
    to: Positional[Path | None] = None
    """With convert, the same as --out."""
    out: Path | None = None
    """With convert, the file to write: ours of a published checkpoint, and the published form of one of ours."""
    preset: str | None = None
    """Which preset of the planner, where several have these weights."""
    resolution: tuple[int, int] | None = None
    """Height and width of the planner's image, which weights do not tell."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The whole of SimScale in small: town, samples, images, two trainings, scores, one report."""

    out: Path
    """Folder for everything; the report is report.html in it."""
    planner: Literal["ltf", "diffusiondrive", "gtrs"] = "ltf"
    """Who is trained; another planner in the same folder finds everything else made."""
    renderer: Literal["raycast", "splats"] = "raycast"
    """Who draws simulated states: the ray caster, or streets reconstructed from what its cameras recorded."""
    workers: int | None = None
    """Processes; as many as there are cores where not said."""
    json: bool = False
    """One JSON object as the last line on stdout."""
    debug: bool = False
    """Show where an error came from."""


Command = (
    Town
    | Ingest
    | Vocabulary
    | Generate
    | Reconstruct
    | Render
    | Rewards
    | Train
    | Evaluate
    | Study
    | Demo
    | Show
    | Dataset
    | Aggregate
    | Score
    | Check
    | Checkpoint
)
Parsed = (
    Annotated[Town, subcommand("town")]
    | Annotated[Ingest, subcommand("ingest")]
    | Annotated[Vocabulary, subcommand("vocabulary")]
    | Annotated[Generate, subcommand("generate")]
    | Annotated[Reconstruct, subcommand("reconstruct")]
    | Annotated[Render, subcommand("render")]
    | Annotated[Rewards, subcommand("rewards")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Study, subcommand("study")]
    | Annotated[Demo, subcommand("demo")]
    | Annotated[Score, subcommand("score")]
    | Annotated[Aggregate, subcommand("aggregate")]
    | Annotated[Check, subcommand("check")]
    | Annotated[Checkpoint, subcommand("checkpoint")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Dataset, subcommand("dataset")]
)
