"""Records tests/reference/cases/ops/losses: criteria of Pointcept with options its own
configurations do not use.

PYTHONPATH=<Pointcept> python3 record_loss.py OUT-FOLDER   (needs torch and safetensors)

Expected values and gradients are computed in float64 from float32 logits."""
import importlib.util
import json
import os
import sys

import torch
from safetensors.torch import save_file

root = [p for p in sys.path if os.path.isdir(os.path.join(p, "pointcept", "models"))][0]


def load(name):
    """One file of pointcept, without the imports of the others."""
    path = os.path.join(root, *name.split(".")) + ".py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


for package in ("pointcept", "pointcept.utils", "pointcept.models", "pointcept.models.losses"):
    sys.modules[package] = type(sys)(package)
    sys.modules[package].__path__ = []
for part in ("utils.misc", "utils.registry", "models.losses.builder", "models.losses.misc",
             "models.losses.lovasz"):
    load("pointcept." + part)
builder = sys.modules["pointcept.models.losses.builder"]
torch.Tensor.cuda = lambda self, *a, **k: self
single = torch.Tensor.float

C, N = 7, 90
WEIGHT = [0.5, 1.0, 2.5, 0.0, 1.5, 0.75, 3.0]
CE = {"type": "CrossEntropyLoss", "loss_weight": 1.0, "ignore_index": -1}
LOVASZ = {"type": "LovaszLoss", "mode": "multiclass", "loss_weight": 1.0, "ignore_index": -1}
RUNS = {
    "weight": [dict(CE, weight=WEIGHT)],
    "smoothing": [dict(CE, label_smoothing=0.2)],
    "weight_smoothing": [dict(CE, weight=WEIGHT, label_smoothing=0.3, loss_weight=0.4)],
    "sum": [dict(CE, reduction="sum", weight=WEIGHT, label_smoothing=0.1)],
    "ignore_class": [dict(CE, ignore_index=2, weight=WEIGHT)],
    "all_smooth": [dict(CE, label_smoothing=1.0)],
    "seen": [dict(LOVASZ, class_seen=[0, 3, 5], loss_weight=2.0)],
    "none_seen": [dict(LOVASZ, class_seen=[5])],
    "lovasz_ignore_class": [dict(LOVASZ, ignore_index=1)],
    "no_ignore": [{"type": "CrossEntropyLoss"}, {"type": "LovaszLoss", "mode": "multiclass"}],
    "four": [dict(CE, weight=WEIGHT, label_smoothing=0.1), dict(LOVASZ, loss_weight=0.5),
             dict(LOVASZ, class_seen=[1, 2], ignore_index=0), dict(CE, loss_weight=0.25)],
}
WITHOUT = ("ignore_class", "lovasz_ignore_class", "no_ignore", "four")  # no label -1

gen = torch.Generator().manual_seed(31)
out = {"logits": torch.randn(N, C, generator=gen) * 3}
labels = torch.randint(0, C, (N,), generator=gen)
labels[labels == 5] = 6  # nobody has class 5
out["labels_all"] = labels.clone()
labels[torch.rand(N, generator=gen) < 0.2] = -1
out["labels"] = labels


def run(cfg, target, dtype):
    torch.Tensor.float = (lambda self: self.double()) if dtype is torch.float64 else single
    logits = out["logits"].to(dtype, copy=True).requires_grad_()
    values = []
    for one in cfg:
        loss = builder.LOSSES.build(cfg=one)
        if one["type"] == "CrossEntropyLoss" and loss.loss.weight is not None:
            loss.loss.weight = loss.loss.weight.to(dtype)
        values.append(torch.as_tensor(loss(logits, target), dtype=dtype))
    total = sum(values)
    if total.requires_grad:
        total.backward()
    torch.Tensor.float = single
    grad = logits.grad if logits.grad is not None else torch.zeros_like(logits)
    return torch.stack([total] + values).detach(), grad


def error(a, b):
    d = (a.double() - b).abs()
    return {"max_abs": d.max().item(), "rms": d.pow(2).mean().sqrt().item()}


errors = {}
for name, cfg in RUNS.items():
    target = out["labels_all" if name in WITHOUT else "labels"]
    value, grad = run(cfg, target, torch.float64)
    value32, grad32 = run(cfg, target, torch.float32)
    out[name + "/value"], out[name + "/grad"] = value, grad
    errors[name + "/value"], errors[name + "/grad"] = error(value32, value), error(grad32, grad)
meta = {"what": "criteria of several options", "classes": C, "runs": RUNS, "without_ignored": WITHOUT,
        "float32_error": errors, "torch": torch.__version__}
os.makedirs(sys.argv[1], exist_ok=True)
save_file(out, os.path.join(sys.argv[1], "data.safetensors"))
with open(os.path.join(sys.argv[1], "meta.json"), "w") as f:
    json.dump(meta, f, indent=1)
