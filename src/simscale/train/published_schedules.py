"""Learning rates of the published trainings, epoch by epoch.

DiffusionDrive and GTRS rise to their peak in three epochs and fall on half a cosine (`WarmupCosLR` of the reference);
LTF's and NVlabs' stay where they are. The reference means the image backbone to learn at a share of the rate, but its
scheduler gives every group the same (planners.md, section 0): `image_encoder_share` says what is meant, and counts only
where `share_counts`.
"""

from dataclasses import dataclass
from typing import Literal

from simscale.train.schedule import Epochs


@dataclass(frozen=True, kw_only=True)
class EpochSchedule:
    """A learning rate for each epoch."""

    peak: float
    epochs: int
    warm_up: int = 0  # epochs in which the rate rises to the peak
    floor: float | None = None  # what the cosine falls to at `epochs`; None: the rate stays at the peak
    image_encoder_share: float = 1.0  # of the rate, for the image backbone, where it counts
    share_counts: bool = False  # `lr_mult` has no effect in the reference

    @property
    def course(self) -> Epochs | Literal["constant"]:
        """As `TrainConfig.schedule` has it."""
        if self.floor is None:
            return "constant"
        return Epochs(count=self.epochs, warm_up=self.warm_up, least=self.floor)

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, the first of which is 0."""
        course = self.course
        if course == "constant":
            return self.peak * min((epoch + 1) / max(self.warm_up, 1), 1.0)
        return course.rate_at(epoch, self.peak)

    def image_encoder_rate(self, epoch: int) -> float:
        """... of the image backbone."""
        return self.rate(epoch) * (self.image_encoder_share if self.share_counts else 1.0)


PUBLISHED_SCHEDULES = {
    "ltf": EpochSchedule(peak=1e-4, epochs=100),
    "ltf_simscale": EpochSchedule(peak=2.82e-4, epochs=100),
    "diffusiondrive": EpochSchedule(peak=6e-4, epochs=100, warm_up=3, floor=1e-6, image_encoder_share=0.5),
    "gtrs": EpochSchedule(peak=4e-4, epochs=50, warm_up=3, floor=1e-8),
    "gtrs_nvlabs": EpochSchedule(peak=2e-4, epochs=20),
}
"""By training (planners.md, sections 2 to 4): LTF on real data and co-trained on eight GPUs; DiffusionDrive; GTRS of
SimScale and of NVlabs."""
