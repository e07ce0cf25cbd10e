"""Records tests/reference/cases/micro/*_train: one training step of small networks by Pointcept's
own model code and autograd, with what stands in for other packages in bench/peer/peer.py.

python3 record_train.py POINTCEPT OUT-FOLDER   (POINTCEPT: a checkout; needs torch, numpy, addict
and safetensors)

Loss, gradients and running statistics are computed in float64 from float32 weights and inputs and
stored as float32. Of gradients of more than MOST numbers MOST are stored, drawn at random. For
1.5.1 two lines of Pointcept are put back to what they were (cases/README.md)."""
import inspect
import json
import os
import sys
import textwrap

import numpy as np
import torch
from safetensors.torch import save_file

root, folder = sys.argv[1:3]
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/peer"))
import peer

v3 = peer.load(root, "upstream", False)
for name in ("torch_cluster", "peft"):
    peer.module(name, LoraConfig=None, get_peft_model=None)
import pointcept.models.default as default
import pointcept.models.utils.structure as structure

MOST, CLASSES, CHANNELS = 48, 5, 4
BACKBONE = dict(
    type="PT-v3m1", in_channels=CHANNELS, order=["z", "z-trans", "hilbert", "hilbert-trans"],
    stride=[2, 2], enc_depths=[1, 3, 1], enc_channels=[4, 8, 12], enc_num_head=[1, 2, 2],
    enc_patch_size=[16, 16, 16], dec_depths=[2, 1], dec_channels=[4, 8], dec_num_head=[1, 2],
    dec_patch_size=[16, 16], mlp_ratio=2, qkv_bias=True, qk_scale=None, attn_drop=0.0,
    proj_drop=0.0, drop_path=0.0, shuffle_orders=True, pre_norm=True, enable_rpe=False,
    enable_flash=False, upcast_attention=False, upcast_softmax=False, enc_mode=False)
CRITERIA = [dict(type="CrossEntropyLoss", loss_weight=1.0, ignore_index=-1),
            dict(type="LovaszLoss", mode="multiclass", loss_weight=1.0, ignore_index=-1)]
CASES = {  # name: what differs, channels of the head's input, version, seed
    "enc_mode_train": (dict(enc_mode=True), 24, None, 601),
    "compat_151_train": (dict(), 4, "1.5.1", 602),
}


class SubMConv3d(peer.SubMConv3d):
    """The weight is spconv's, (out, k, k, k, in), and the gradients are autograd's."""

    def __init__(self, cin, cout, kernel_size, **more):
        super().__init__(cin, cout, kernel_size, **more)
        self.weight = torch.nn.Parameter(torch.zeros(cout, *3 * (kernel_size,), cin))

    def forward(self, s):
        if self.key not in s.tables:
            s.tables[self.key] = peer.neighbour_pairs(s.indices, self.k)
        x, w = s.features, self.weight.flatten(1, 3)
        out = x @ w[:, self.k ** 3 // 2].t()
        for o, pair in enumerate(s.tables[self.key]):
            if pair is not None:
                out = out.index_add(0, pair[0], x[pair[1]] @ w[:, o].t())
        return s.replace_feature(out if self.bias is None else out + self.bias)


v3.spconv.SubMConv3d = SubMConv3d


# ---- v1.5.1 ----

def edited(function, old, new):
    """A function of Pointcept with a line of its source changed."""
    text = textwrap.dedent(inspect.getsource(function))
    assert text.count(old) == 1
    scope = {}
    exec(text.replace(old, new), function.__globals__, scope)
    return scope[function.__name__]


KEPT = "point.sparse_conv_feat = point.sparse_conv_feat.replace_feature(point.feat)"
FORWARD, SERIALIZATION = v3.Block.forward, structure.Point.serialization


def set_version(old):
    v3.Block.forward = edited(FORWARD, KEPT, KEPT.split(" = ")[1]) if old else FORWARD
    structure.Point.serialization = edited(
        SERIALIZATION, "grid_coord.max() + 1)", "grid_coord.max())") if old else SERIALIZATION


# ---- inputs and weights ----

def formula(name, shape, seed):
    """The weight formula (ref_formula in refmodel.c)."""
    h = 0xCBF29CE484222325 ^ seed
    for c in name.encode():
        h = (h ^ c) * 0x100000001B3 % 2 ** 64
    n = int(np.prod(shape)) if shape else 1
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    t = (2 * (z >> np.uint64(40)).astype(np.int64) + 1 - 2 ** 24) / 2.0 ** 24
    add = 1 if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")) else 0
    scale = (0.3 if name.endswith("running_mean") else 0.5 if name.endswith("running_var")
             else 0.2 if name.endswith("bias") else 0.4 if len(shape) == 1
             else (3 / np.prod(shape[-3:] if len(shape) == 5 else shape[1:])) ** 0.5 * (1.5 if ".qkv." in name else 1))
    return torch.from_numpy((add + scale * t).astype(np.float32).reshape(shape))


def fill(model, seed):
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(formula(name, tuple(value.shape), seed))


def surface(rng, n, side):
    """n voxels of a wavy floor and a wall."""
    u, v = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    wave = (2 + 2 * np.sin(0.7 * u + 0.3 * v)).astype(int)
    all = np.unique(np.concatenate([np.stack([u, v, wave], -1).reshape(-1, 3),
                                    np.stack([0 * u, u, v], -1).reshape(-1, 3)]), axis=0)
    return all[rng.permutation(len(all))[:n]]


def make_input(seed):
    rng = np.random.default_rng(seed)
    clouds = [surface(rng, 130, 14), surface(rng, 90, 11)]
    coord = np.concatenate(clouds)
    n = len(coord)
    label = rng.integers(0, CLASSES, n)
    label[rng.random(n) < 0.1] = -1
    return dict(grid_coord=torch.from_numpy(coord.astype(np.int64)),
                feat=torch.from_numpy(rng.normal(size=(n, CHANNELS)).astype(np.float32)),
                offset=torch.tensor(np.cumsum([len(c) for c in clouds])),
                segment=torch.from_numpy(label.astype(np.int64)))


# ---- one step ----

def step(config, batch, seed, dtype):
    """Loss, gradients, running statistics, and the permutations of orders that were drawn."""
    perms, rng, randperm, single = [], np.random.default_rng(seed), torch.randperm, torch.Tensor.float

    def draw(n, **_):
        perms.append(torch.from_numpy(rng.permutation(n)))
        return perms[-1]

    model = default.MODELS.build(config).train()
    fill(model, seed)
    model.to(dtype)
    torch.randperm, torch.Tensor.float = draw, lambda x: x.to(dtype)
    data = {k: v.clone() for k, v in batch.items()}
    data["feat"], data["coord"] = data["feat"].to(dtype), data["grid_coord"].to(dtype) * 0.02
    loss = model(data)["loss"]
    loss.backward()
    torch.randperm, torch.Tensor.float = randperm, single
    grads = {name: p.grad for name, p in model.named_parameters()}
    after = {k: v for k, v in model.state_dict().items() if "running" in k}
    return loss.item(), grads, after, perms


def error(a, b):
    d = (a.double() - b).abs()
    return dict(max_abs=float("%.3g" % d.max()), rms=float("%.3g" % d.pow(2).mean().sqrt()))


def text(meta):
    """JSON, one line for each entry of the first level and of long dicts below it."""
    line = lambda v: "{\n%s\n  }" % ",\n".join(
        "    %s: %s" % (json.dumps(k), json.dumps(x)) for k, x in v.items()) \
        if isinstance(v, dict) and len(v) > 3 else json.dumps(v)
    return "{\n%s\n}\n" % ",\n".join("  %s: %s" % (json.dumps(k), line(v)) for k, v in meta.items())


def record(name, differs, width, version, seed):
    config = dict(type="DefaultSegmentorV2", num_classes=CLASSES, backbone_out_channels=width,
                  backbone=dict(BACKBONE, **differs), criteria=CRITERIA)
    set_version(version == "1.5.1")
    batch = make_input(seed)
    loss, grads, after, perms = step(config, batch, seed, torch.float64)
    loss32, grads32, _, _ = step(config, batch, seed, torch.float32)
    rng = np.random.default_rng(seed)
    out = {"in/grid_coord": batch["grid_coord"].int(), "in/feat": batch["feat"],
           "in/offset": batch["offset"], "in/segment": batch["segment"].int()}
    out.update({"perm/%d" % i: p for i, p in enumerate(perms)})
    for k, g in grads.items():
        if g.numel() <= MOST:
            out["grad/" + k] = g.float()
            continue
        at = torch.from_numpy(np.sort(rng.choice(g.numel(), MOST, replace=False)))
        out["grad_sample_index/" + k] = at.int()
        out["grad_sample/" + k] = g.flatten()[at].float()
    out.update({"after/" + k: v.float() for k, v in after.items()})
    meta = {"what": "train-mode forward + backward (BatchNorm batch statistics)"}
    if version:
        meta["compat"] = version
    meta.update(weights="formula, seed %d" % seed, config=config, loss=loss, loss_float32=loss32,
                float32_error={k: error(grads32[k], g) for k, g in grads.items()},
                torch=torch.__version__)
    path = os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(path, "data.safetensors"))
    with open(os.path.join(path, "meta.json"), "w") as f:
        f.write(text(meta))
    worst = max(meta["float32_error"][k]["rms"] / g.abs().max().clamp(min=1e-3).item()
                for k, g in grads.items())
    print("%s: loss %g, largest error of float32 %.1e" % (name, loss, worst))


for name, what in CASES.items():
    record(name, *what)
