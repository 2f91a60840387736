"""What traffic goes by: the intelligent driver's constants, and the choices that make it sound."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrafficRules:
    """Constants of traffic; the first block is NAVSIM's (`navsim_IDM_traffic_agents.yaml`), the rest is ours."""

    min_gap: float = 1.0  # bumper to bumper at standstill, m
    headway: float = 1.5  # time behind a leader, s
    accel: float = 1.0  # comfortable acceleration, m/s^2
    decel: float = 2.0  # comfortable deceleration, m/s^2
    exponent: float = 4.0  # how late acceleration fades on the way to the free speed
    radius: float = 100.0  # agents farther from the ego take no part, m

    horizon: float = 10.0  # who comes within `radius` in this time takes part, s (ours)
    departure: float = 0.3  # an agent or the ego this far from its logged place departs from the log, m (ours)
    departure_yaw: float = 0.05  # so does an ego turned this far from its logged heading, rad (ours)
    side_margin: float = 0.2  # free space beside a vehicle that belongs to its corridor, m (ours)
    hard_braking: float = 8.0  # strongest deceleration, where less would mean contact, m/s^2 (ours)
    firm_braking: float = 3.0  # strongest deceleration otherwise, m/s^2 (ours)
    catch_up: float = 1.2  # a late agent drives at most this times the log's own speed thereabouts (ours)
    catch_up_accel: float = 1.5  # its acceleration, and its deceleration on to the log's timing, m/s^2 (ours)
    curve_accel: float = 3.0  # lateral acceleration that bounds speed off the log's timing, m/s^2 (ours)
    bridged_gap: float = 2.0  # a vehicle unseen for at most this long was there all the same, s (ours)
    free_speed_factor: float = 1.3  # free speed without log and limit: this times the fastest ego nearby (ours)
    free_speed_radius: float = 50.0  # "nearby", m (ours)
