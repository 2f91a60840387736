"""What the arrays of golden files are (format `epdms-golden/1`): kind and shape by name.

Words are sizes that agree within a file: f frames, n boxes of the log, p and q vertices of the map, k trajectories,
j trajectories at 10 Hz, r reactive rollouts, i of these whose vehicles are stored, v a vocabulary, t tokens.
"""

LOG = {
    "log_timestamp_us": "int f",
    "log_ego_translation": "float f 3",
    "log_ego_quat_wxyz": "float f 4",
    "log_ego_dynamic": "float f 4",
    "log_box": "float n 7",
    "log_vel": "float? n 3",  # not known for what does not move by itself
    "log_type": "int n",
    "log_track": "int n",
    "log_start": "int f1",
    "map_poly_xy": "float p 2",
    "map_poly_start": "int m1",
    "base_xyh": "float q 3",
    "base_start": "int l1",
    "traj_poses": "float k 8 3",
}
"""Without these there is no scene."""
LOG_NAMES = tuple(LOG)

_PROPOSALS = {
    "pdm_prop_states": "float 15 51 3",
    "pdm_prop_idm": "float 15 51 2",
    "pdm_prop_lead": "float 15 51 3",
    "pdm_prop_sim": "float 15 41 11",
    "pdm_prop_multi": "float 4 15",
    "pdm_prop_weighted": "float 5 15",
    "pdm_prop_progress": "float 15",
    "pdm_prop_areas": "bool 15 41 3",
    "pdm_prop_scores": "float 15",
    "pdm_traj_states": "float 51 11",
    "pdm_traj_time_us": "int 51",
}

_INPUTS = {
    "ego_state": "float 11",
    "ego_time_us": "int",
    "ego_center": "float 3",
    "past_states": "float 4 11",
    "past_time_us": "int 4",
    "past_states_10hz": "float h 11",
    "human_poses": "float 8 3",
    "obs_start": "int 42",
    "obs_track": "int o",
    "obs_type": "int o",
    "obs_box": "float o 5",
    "obs_vel": "float? o 2",
    "obs_corners": "float o 4 2",
    "cur_start": "int 2",
    "cur_track": "int c",
    "cur_type": "int c",
    "cur_box": "float c 5",
    "cur_vel": "float? c 2",
    "cur_corners": "float c 4 2",
    "centerline_xyh": "float g 3",
    "centerline_progress": "float g",
}


def _scores(prefix: str, size: str) -> dict[str, str]:
    return {
        f"{prefix}_areas": f"bool {size} 41 3",
        f"{prefix}_multi": f"float {size} 4",
        f"{prefix}_weighted": f"float {size} 5",
        f"{prefix}_progress_raw": f"float {size} 2",
        f"{prefix}_coll_idx": f"float? {size} 2",  # infinite: never
        f"{prefix}_ttc_idx": f"float? {size} 2",
        f"{prefix}_pdm_ref_multi": f"float {size} 4",
        f"{prefix}_pdm_ref_weighted": f"float {size} 5",
        f"{prefix}_pdm_score": f"float {size}",
        f"{prefix}_final": f"float {size} 8",
        f"{prefix}_final_mult": f"float {size}",
        f"{prefix}_final_weighted": f"float {size} 5",
        f"{prefix}_human_multi": "float 4",
        f"{prefix}_human_weighted": "float 5",
        f"{prefix}_human_progress": "float 1",
        f"{prefix}_tie": f"int {size}",
    }


_ROLLOUTS = {
    "nr_ref": "float k 41 3",
    "nr_sim": "float k 41 11",
    "nr_vel_profile": "float k 40",
    "nr_curv_profile": "float k 40",
    "nr_human_sim": "float 41 11",
    "hc_minmax": "float k 6 2",
    "ec_ok": "bool k",
    "ec_rms": "float k 4",
    "r_index": "int r",
    "r_idm_traj": "int i",
    "r_idm_start": "int i 42",
    "r_idm_track": "int w",
    "r_idm_box": "float w 5",
    "r_idm_vel": "float w 2",
    "traj10_poses": "float j 40 3",
    "nr10_ref": "float j 41 3",
    "nr10_sim": "float j 41 11",
}

RESULTS = _INPUTS | _PROPOSALS | _scores("nr", "k") | _scores("r", "r") | _scores("nr10", "j") | _ROLLOUTS
"""What the official code made of a scene; each may be absent."""

SUB_SCORES = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "traffic_light_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "lane_keeping",
    "history_comfort",
)
"""The reference's names of its columns, in its order."""

VOCABULARY = {
    "vocab_poses": "float v 40 3",
    "sim_head": "float 8 41 11",
    "progress_raw": "float v1",
    "legacy_filter_final": "float k 8",
    "legacy_filter_mult": "float k",
    "legacy_filter_weighted": "float k 5",
    "legacy_filter_pdm_score": "float k",
}
for _mode in ("eval", "gen_gt"):
    VOCABULARY |= {f"{_mode}_{name}": "float v" for name in (*SUB_SCORES, "pdm_score")}
    VOCABULARY |= {
        f"{_mode}_raw_multi": "float v1 4",
        f"{_mode}_raw_weighted": "float v1 5",
        f"{_mode}_raw_pdm": "float v1",
    }

RUN = {
    "tokens": "text t",
    "start_time": "float t",
    "start_pose": "float t s",
    "scene_type": "int t",
    "sim_states": "float t 41 11",
    "metrics": "float t 8",
    "endpoint": "float t 2",
    "log_name": "text t",
    "mult_prod": "float t",
    "weighted": "float t 5",
    "pdm_score": "float t",
    "ec": "float? t",  # none where no earlier plan is known
    "score": "float t",
    "weight": "float? t",  # none in the first stage
}
RUN_NEEDED = ("tokens", "start_time", "sim_states", "metrics")
