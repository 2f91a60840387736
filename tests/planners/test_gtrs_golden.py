"""GTRS-Dense under the reference's weights says what the reference says, number by number."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from simscale.planners.gtrs import NVLABS_V99, SIMSCALE, SIMSCALE_V99, Gtrs, total_score
from simscale.planners.gtrs_head import IMITATION, METRICS

PUBLISHED = {
    "gtrs_resnet34_simscale": replace(SIMSCALE, vocabulary=256),
    "gtrs_resnet34_simscale_v8192": replace(SIMSCALE, vocabulary=8192),
    "gtrs_vov_simscale": replace(SIMSCALE_V99, vocabulary=256),
    "gtrs_vov_nvlabs": replace(NVLABS_V99, vocabulary=256),
}


@pytest.mark.shared
@pytest.mark.parametrize("case", PUBLISHED)
def test_published_presets_have_the_references_weights_by_name_order_and_shape(golden, case):
    manifest = golden.read(f"{case}.manifest.json")
    with torch.device("meta"):
        model = Gtrs(PUBLISHED[case])
    taught = {name: weight.requires_grad for name, weight in model.named_parameters()}
    ours = [
        (name, list(weight.shape), str(weight.dtype).removeprefix("torch."), name in taught, taught.get(name, False))
        for name, weight in model.state_dict().items()
    ]
    names = ("key", "shape", "dtype", "kind", "requires_grad")
    rows = [[row[name] for name in names] for row in manifest["state_dict"]]
    assert ours == [(key, shape, dtype, kind == "parameter", grad) for key, shape, dtype, kind, grad in rows]
    assert sum(weight.numel() for weight in model.parameters()) == manifest["n_params"]


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("case", PUBLISHED)
def test_published_presets_say_what_the_reference_says_under_the_same_weights(golden, case):
    config, expected = PUBLISHED[case], golden.numbers(case)
    with torch.device("meta"):
        model = Gtrs(config)
    model.load_state_dict(golden.weights(case), strict=True, assign=True)
    model.eval()
    name, count = golden.prefix + case, len(expected["status_feature"])
    rgb = torch.from_numpy(golden.recipe.camera(name, count, *config.trunk.image_size))
    status = torch.from_numpy(golden.recipe.status(name, count))
    np.testing.assert_array_equal(status, expected["status_feature"])
    head, seen = model._trajectory_head, {}
    head.encoder.register_forward_hook(lambda module, args, result: seen.update(encoder=result))
    model._status_encoding.register_forward_hook(lambda module, args, result: seen.update(status_encoding=result))
    decoded, memory = head.decoded, model.memory
    head.decoded = lambda *args: seen.setdefault("tr_out", decoded(*args))
    model.memory = lambda *args: seen.setdefault("keyval", memory(*args))
    with torch.inference_mode():
        output = model(rgb, status)
    every = 32 if config.vocabulary == 8192 else 4
    found = {
        "keyval": seen["keyval"][:, :: seen["keyval"].shape[1] // 64, ::4],
        "status_encoding": seen["status_encoding"],
        "encoder": seen["encoder"][:, ::every, ::4],
        "tr_out": seen["tr_out"][:, ::every, ::4],
        "scores": output.total,
        "trajectory": output.trajectory,
        f"head_{IMITATION}": output.imitation,
    }
    found |= {f"head_{key}": output.metrics[:, place] for place, key in enumerate(METRICS.values())}
    assert found.keys() | {"status_feature", "selected_indices"} == expected.keys()
    for key, value in found.items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=2e-4, err_msg=key)
    np.testing.assert_array_equal(output.choice, expected["selected_indices"])
    torch.testing.assert_close(total_score(output.metrics, output.imitation, config.score), output.total)
