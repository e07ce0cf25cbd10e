"""Records tests/reference/cases/optim: optimisers of PyTorch under Pointcept's schedules.

PYTHONPATH=<Pointcept> python3 record_optim.py OUT-FOLDER   (needs torch and safetensors)

<run>.pth are checkpoints of float32 runs after CUT steps, as Pointcept's CheckpointSaver writes
them. Gradients are prescribed. Expected parameters are computed in float64 from float32 inputs.
`clip` is that of torch.nn.utils.clip_grad_norm_."""
import importlib.util
import json
import os
import sys

import torch
from safetensors.torch import save_file

utils = [p for p in sys.path if os.path.isdir(os.path.join(p, "pointcept", "utils"))][0]


def load(name):
    """One file of pointcept.utils, without the imports of the others."""
    path = os.path.join(utils, "pointcept", "utils", name + ".py")
    spec = importlib.util.spec_from_file_location("pointcept.utils." + name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


sys.modules["pointcept"] = type(sys)("pointcept")
sys.modules["pointcept.utils"] = type(sys)("pointcept.utils")
for part in ("misc", "registry"):
    load(part)
scheduler = load("scheduler")

STEPS, CUT = 12, 5
SHAPES = {"enc.block0.weight": [3, 5], "enc.block0.bias": [5], "down.weight": [4, 4], "head.bias": [7]}
BLOCK = [{"keyword": "block", "lr": 0.002, "weight_decay": 0.1}]
CYCLE = {"type": "OneCycleLR", "max_lr": [0.02, 0.002], "pct_start": 0.25, "div_factor": 10.0,
         "final_div_factor": 100.0}
AMSGRAD = {"type": "AdamW", "lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-6, "weight_decay": 0.05,
           "amsgrad": True}
ADAM = {"type": "Adam", "lr": 0.01, "weight_decay": 0.1}
SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
RUNS = {
    "adamw_defaults": ({"type": "AdamW"}, None, None, None),
    "adamw_cycle_clip": ({"type": "AdamW", "lr": 0.02, "weight_decay": 0.05}, BLOCK, CYCLE, 3.0),
    "adamw_amsgrad": (AMSGRAD, BLOCK, {"type": "CosineAnnealingLR", "eta_min": 1e-4}, None),
    "adamw_linear": (AMSGRAD, BLOCK, dict(CYCLE, anneal_strategy="linear", three_phase=True,
                                          base_momentum=[0.8, 0.7], max_momentum=0.9), None),
    "adamw_fixed_beta": ({"type": "AdamW", "lr": 0.02}, BLOCK, dict(CYCLE, cycle_momentum=False), None),
    "adam_decay": (ADAM, None, {"type": "MultiStepLR", "milestones": [0.3, 0.5, 0.9], "gamma": 0.5}, None),
    "adam_maximize": (dict(ADAM, maximize=True, amsgrad=True), BLOCK, {"type": "ExpLR", "gamma": 0.3}, None),
    "sgd_plain": ({"type": "SGD", "lr": 0.1}, None, {"type": "PolyLR", "power": 0.8}, None),
    "sgd_nesterov": (dict(SGD, nesterov=True), BLOCK,
                     {"type": "MultiStepWithWarmupLR", "milestones": [0.5, 0.8], "gamma": 0.2,
                      "warmup_rate": 0.3, "warmup_scale": 1e-3}, 1.0),
    "sgd_dampening": (dict(SGD, dampening=0.3, maximize=True), [{"keyword": "block", "momentum": 0.5}], CYCLE, None),
    "sgd_cycled": ({"type": "SGD", "lr": 0.1}, BLOCK, dict(CYCLE, three_phase=True), None),
}
SCHEDULES = {
    "onecycle_100": (CYCLE, 100), "onecycle_7": (dict(CYCLE, pct_start=0.05), 7),
    "onecycle_3phase": (dict(CYCLE, three_phase=True, pct_start=0.35, anneal_strategy="linear"), 50),
    "onecycle_1": (CYCLE, 1), "cosine": ({"type": "CosineAnnealingLR", "eta_min": 1e-5}, 300),
    "multistep": ({"type": "MultiStepLR", "milestones": [0.0, 0.6, 0.8, 0.8]}, 33),
    "warmup": ({"type": "MultiStepWithWarmupLR", "milestones": [0.6, 0.45, 0.9], "gamma": 0.3}, 70),
    "poly": ({"type": "PolyLR"}, 41), "exp": ({"type": "ExpLR"}, 41),
}
SAVED = ["adamw_cycle_clip", "adamw_amsgrad", "adam_decay", "adam_maximize", "sgd_dampening"]
out = {}
gen = torch.Generator().manual_seed(20)
for name, shape in SHAPES.items():
    out["init/" + name] = torch.randn(shape, generator=gen)
    out["grad/" + name] = torch.randn([STEPS] + shape, generator=gen) * torch.tensor(
        [10.0 ** -(k % 4) for k in range(STEPS)]).reshape([STEPS] + [1] * len(shape))


def groups(opt_cfg, dicts, params):
    """What build_optimizer makes of param_dicts."""
    if not dicts:
        return list(params.values())
    made = [{"params": [], "lr": opt_cfg["lr"]}]
    made += [dict({k: v for k, v in d.items() if k != "keyword"}, params=[]) for d in dicts]
    for name, p in params.items():
        hit = [i + 1 for i, d in enumerate(dicts) if d["keyword"] in name]
        made[hit[0] if hit else 0]["params"].append(p)
    return made


def build(opt_cfg, dicts, sched_cfg, total, dtype=torch.float64):
    params = {k: torch.nn.Parameter(out["init/" + k].to(dtype, copy=True)) for k in SHAPES}
    kw = {k: v for k, v in opt_cfg.items() if k != "type"}
    opt = getattr(torch.optim, opt_cfg["type"])(groups(opt_cfg, dicts, params), **kw)
    sched = None
    if sched_cfg:
        kw = {k: v for k, v in sched_cfg.items() if k != "type"}
        sched = getattr(scheduler, sched_cfg["type"])(opt, total_steps=total, **kw)
    return params, opt, sched


def numbers(opt):
    return [[g["lr"], g["betas"][0] if "betas" in g else g["momentum"]] for g in opt.param_groups]


for run, (opt_cfg, dicts, sched_cfg, clip) in RUNS.items():
    params, opt, sched = build(opt_cfg, dicts, sched_cfg, STEPS)
    rows, norms, after = [numbers(opt)], [], {k: [] for k in SHAPES}
    for t in range(STEPS):
        for k, p in params.items():
            p.grad = out["grad/" + k][t].double()
        norms.append(float(torch.nn.utils.clip_grad_norm_(params.values(), clip or 1e30)))
        opt.step()
        if sched:
            sched.step()
        rows.append(numbers(opt))
        for k, p in params.items():
            after[k].append(p.detach().clone())
    out[run + "/numbers"] = torch.tensor(rows, dtype=torch.float64)
    out[run + "/norm"] = torch.tensor(norms, dtype=torch.float64)
    for k, v in after.items():
        out[f"{run}/after/{k}"] = torch.stack(v)
os.makedirs(sys.argv[1], exist_ok=True)
for run in SAVED:
    opt_cfg, dicts, sched_cfg, clip = RUNS[run]
    params, opt, sched = build(opt_cfg, dicts, sched_cfg, STEPS, torch.float32)
    for t in range(CUT):
        for k, p in params.items():
            p.grad = out["grad/" + k][t].clone()
        torch.nn.utils.clip_grad_norm_(params.values(), clip or 1e30)
        opt.step(), sched.step()
    torch.save({"epoch": 1, "state_dict": {k: p.detach() for k, p in params.items()}, "optimizer": opt.state_dict(),
                "scheduler": sched.state_dict(), "scaler": None, "best_metric_value": 0.25},
               os.path.join(sys.argv[1], run + ".pth"))
for name, (cfg, total) in SCHEDULES.items():
    params, opt, sched = build({"type": "AdamW", "lr": 0.02}, BLOCK, cfg, total)
    rows = [numbers(opt)]
    for t in range(total):
        opt.step(), sched.step()
        rows.append(numbers(opt))
    out["schedule/" + name] = torch.tensor(rows, dtype=torch.float64)
save_file(out, os.path.join(sys.argv[1], "data.safetensors"))
meta = {
    "what": "optimisers of PyTorch under Pointcept's schedules",
    "torch": torch.__version__.split("+")[0],
    "steps": STEPS,
    "saved_after": CUT,
    "saved": SAVED,
    "params": SHAPES,
    "runs": {k: dict(zip(("optimizer", "param_dicts", "scheduler", "clip_grad"), v)) for k, v in RUNS.items()},
    "schedules": {k: {"scheduler": c, "total": t} for k, (c, t) in SCHEDULES.items()},
    "note": "numbers [steps + 1, groups, 2]: lr and beta1 (momentum) in force at each step; norm: "
            "of all gradients before clipping; after/*: parameters after each step, float64",
}
with open(os.path.join(sys.argv[1], "meta.json"), "w") as f:
    f.write(json.dumps(meta, indent=1) + "\n")
