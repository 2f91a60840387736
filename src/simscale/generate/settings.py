"""Settings of generation, and the named presets: everything that decides what a dataset contains."""

from dataclasses import dataclass, field

from simscale.experts.recovery import RecoveryRules
from simscale.perturb.candidates import PRESETS, PerturbSettings
from simscale.scene import PACIFICA, BadInput, EgoVehicle, Scene
from simscale.traffic.policy import POLICIES
from simscale.traffic.rules import TrafficRules

EXPERTS = ("planner", "recovery")
"""Pseudo-experts by name: PDM-Closed from `s`, and the vocabulary entry that leads back to the human."""
EGOS = ("auto", "navsim")
"""Whose box the ego has: the logged vehicle's own, or NAVSIM's Pacifica."""
LARGEST_SEED = 2**63 - 1
"""Seeds are stored as int64."""


@dataclass(frozen=True, kw_only=True)
class GenerateSettings:
    """What to generate. `rounds` is the one dial for scale."""

    experts: tuple[str, ...] = EXPERTS
    traffic: str = "idm"
    rounds: int = 5  # attempts for each token (published: 5)
    seed: int = 0
    preset: str = "default"  # of the perturbation
    ego: str = "auto"
    token_spacing: float = 0.5  # between decision points, s (ours)
    history: float = 2.0  # of log that a token needs before it, s
    planner_tries: int = 5  # best proposals of the planner that are driven in true traffic (ours)
    standing: float = 0.5  # a human who moves less than this in the 8 s after a token stands and stays, m (ours)
    recovery: RecoveryRules = field(default_factory=RecoveryRules)
    traffic_rules: TrafficRules = field(default_factory=TrafficRules)

    @property
    def perturb(self) -> PerturbSettings:
        """Window, tube, cells and limits of the preset."""
        return PRESETS[self.preset]

    def vehicle_of(self, scene: Scene) -> EgoVehicle:
        """The ego's dimensions in this scene."""
        return PACIFICA if self.ego == "navsim" else scene.vehicle


def check_settings(settings: GenerateSettings) -> None:
    """Refuses settings that name what there is not.

    Raises:
        BadInput: An unknown expert, traffic, preset or ego, or a number below its least.
    """
    for option, found, known in (
        *(("--experts", expert, EXPERTS) for expert in settings.experts or ("",)),
        ("--traffic", settings.traffic, tuple(POLICIES)),
        ("--preset", settings.preset, tuple(PRESETS)),
        ("--ego", settings.ego, EGOS),
    ):
        if found not in known:
            raise BadInput("command line", option, repr(found), " or ".join(known))
    if len(set(settings.experts)) != len(settings.experts):
        raise BadInput("command line", "--experts", ",".join(settings.experts), "each expert once")
    if settings.rounds < 1:
        raise BadInput("command line", "--rounds", settings.rounds, "1 or more")
    if not 0 <= settings.seed <= LARGEST_SEED:
        raise BadInput("command line", "--seed", settings.seed, f"0 to {LARGEST_SEED}")
