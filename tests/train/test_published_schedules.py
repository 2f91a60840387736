import itertools

import pytest

from simscale.train.published_schedules import PUBLISHED_SCHEDULES, EpochSchedule


def test_a_rate_rises_to_its_peak_and_falls_to_its_floor():
    schedule = EpochSchedule(peak=1.0, epochs=10, warm_up=2, floor=0.1)
    rates = [schedule.rate(epoch) for epoch in range(11)]
    assert rates[:3] == [0.5, 1.0, 1.0] and rates[10] == pytest.approx(0.1)
    assert rates[6] == pytest.approx(0.55)
    assert all(a >= b for a, b in itertools.pairwise(rates[2:]))


def test_without_a_floor_it_stays():
    assert {EpochSchedule(peak=1e-4, epochs=100).rate(epoch) for epoch in range(100)} == {1e-4}


def test_the_image_encoders_share_is_dead_unless_asked_for():
    published = PUBLISHED_SCHEDULES["diffusiondrive"]
    assert published.image_encoder_rate(5) == published.rate(5)
    meant = EpochSchedule(peak=1.0, epochs=10, image_encoder_share=0.5, share_counts=True)
    assert meant.image_encoder_rate(5) == 0.5 * meant.rate(5)
