"""The objectives against numbers of the public reference implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from golden.fill import fill, load_case
from mfv2a.flow.guidance import guided_target
from mfv2a.flow.objective import adaptive_weight, flow_matching_loss, meanflow_loss, meanflow_terms
from mfv2a.flow.path import interpolate

FOLDER = "tests/golden/meanflow"


@pytest.fixture
def folder(request):
    return str(request.config.rootpath / FOLDER)


class TinyNetwork:
    """u = W2 tanh(W1 z + b1 + a t + b r + Wc text_c + Wt mean(text)) + b2 for each token."""

    def __init__(self):
        shapes = {"W1": (16, 6), "Wc": (16, 4), "Wt": (16, 5), "W2": (6, 16), "b2": (6,)}
        shapes |= dict.fromkeys(("b1", "a", "b"), (16,))
        self.w = {k: torch.from_numpy(fill(f"tiny.{k}", s)).requires_grad_() for k, s in shapes.items()}

    def __call__(self, z, *, r, t, text, text_c):
        w = self.w
        hidden = z @ w["W1"].T + w["b1"] + (t[:, None] * w["a"] + r[:, None] * w["b"])[:, None]
        hidden = hidden + (text_c @ w["Wc"].T + text.mean(1) @ w["Wt"].T)[:, None]
        return torch.tanh(hidden) @ w["W2"].T + w["b2"]


def tensors(arrays):
    return {k: torch.from_numpy(np.asarray(v)) for k, v in arrays.items()}


@pytest.mark.parametrize("case", ["meanaudio_noguidance", "meanaudio_guidance"])
def test_meanflow_gives_the_reference_values_and_gradients(folder, case):
    inputs, outputs, spec = load_case(folder, case)
    i, net = tensors(inputs), TinyNetwork()

    def velocity(z, *, r, t, empty=False):
        text = i["empty_text_f"].expand(len(z), -1, -1) if empty else i["text_f"]
        text_c = i["empty_text_f_c"].expand(len(z), -1) if empty else i["text_f_c"]
        return net(z, r=r, t=t, text=text, text_c=text_c)

    r, t = i["r"], i["t"]
    z, v = interpolate(i["x"], i["e"], t)
    if spec["options"]["w"] is not None:
        with torch.no_grad():
            conditional, empty = velocity(z, r=t, t=t), velocity(z, r=t, t=t, empty=True)
        v = guided_target(v, conditional, empty, omega=spec["options"]["w"], kappa=spec["options"]["k"])
    rows = (r < t).nonzero()[:, 0]

    def frozen(zs, *, r, t):
        return net(zs, r=r, t=t, text=i["text_f"][rows], text_c=i["text_f_c"][rows])

    terms = meanflow_terms(velocity, frozen, z, v, r, t)
    weighted, error = meanflow_loss(velocity, frozen, z, v, r, t, power=1.0)
    weighted.mean().backward()
    found = {"z": z, "v_hat": v, "u": terms.u, "u_target": terms.target, "loss": weighted}
    for name, tensor in found.items():
        assert np.abs(tensor.detach().numpy() - outputs[name][0]).max() < 1e-5, name
    for name, weight in net.w.items():
        golden = outputs[f"grad:tiny.{name}"][0]
        assert np.linalg.norm(weight.grad.numpy() - golden) < 1e-4 * np.linalg.norm(golden), name
    assert torch.allclose(error, terms.u.sub(terms.target).square().flatten(1).mean(1))


def test_flow_matching_gives_the_reference_values(folder):
    inputs, outputs, _ = load_case(folder, "fluxaudio_flow_matching")
    i = tensors(inputs)
    z, v = interpolate(i["data"], i["noise"], i["t"])
    loss = flow_matching_loss(lambda *_, **__: i["prediction"], z, v, i["t"])
    assert np.abs(z.numpy() - outputs["x_t"][0]).max() < 1e-6
    assert np.abs(loss.numpy() - outputs["loss"][0]).max() < 1e-5


def test_adaptive_weight_matches_the_summed_form_of_py_meanflow(folder):
    inputs, outputs, spec = load_case(folder, "py_meanflow")
    i = tensors(inputs)
    w1, w2 = (torch.from_numpy(fill(f"tiny2.{k}", s)) for k, s in (("W1", (16, 6)), ("W2", (6, 16))))
    a, b = (torch.from_numpy(fill(f"tiny2.{k}", (16,))) for k in ("a", "b"))

    def net(z, *, r, t):
        hidden = torch.einsum("oc,bchw->bohw", w1, z) + (t[:, None] * a + (t - r)[:, None] * b)[..., None, None]
        return torch.einsum("co,bohw->bchw", w2, torch.tanh(hidden))

    z, v = interpolate(i["x"], i["e"], i["t"])
    rows = (i["r"] < i["t"]).nonzero()[:, 0]
    assert len(rows)
    terms = meanflow_terms(net, net_on(rows, net), z, v, i["r"], i["t"])
    summed = (terms.u - terms.target).square().flatten(1).sum(1)
    loss = adaptive_weight(summed, power=spec["options"]["norm_p"], eps=spec["options"]["norm_eps"]).mean()
    assert np.abs(terms.u.numpy() - outputs["u"][0]).max() < 1e-5
    assert abs(loss.item() - outputs["loss"][0].item()) < 1e-4


def net_on(rows, net):
    """The network has no conditions, so the rows need no selection."""
    assert rows.dim() == 1
    return net
