"""Time of Pointcept's own PT-v3m1 in PyTorch on the CPU, on bench_net's inputs.

    peer.py --pointcept FOLDER --input PREFIX [--train] [--precision fp32|bf16]
            [--attention upstream|chunked|sdpa] [--reps N] [--threads N]

FOLDER is a checkout of Pointcept, PREFIX.coord.npy and PREFIX.feat.npy what `bench_net --save`
wrote. Prints one JSON line. Needs torch, numpy and addict; README.md says how to compare.

The model code runs as it is. What it imports and a CPU has no (or only a slower) version of
is stood in for:
  spconv         a submanifold convolution: gather, matrix product, scatter for each kernel
                 offset, with the neighbours found once for each stage
  torch_scatter  segment_csr: maximum or mean of runs of rows
  timm           DropPath, which does nothing outside training
  flash_attn     only with --attention chunked or sdpa, in place of upstream's
                 [patches, heads, K, K] tensors: exact attention patch by patch in buffers that
                 are kept (chunked; not for training), or PyTorch's own flash attention for CPUs
                 (sdpa), all whole patches at once

--precision bf16 is autocast. A step of training is forward, cross entropy and Lovasz-softmax,
backward, clearing of gradients and AdamW (fused).
"""
import argparse
import importlib.machinery
import json
import os
import resource
import sys
import time
import types

import numpy as np
import torch
from torch import nn


# ---- spconv ----

class SparseConvTensor:
    def __init__(self, features, indices, spatial_shape, batch_size, tables=None):
        self.features, self.indices, self.tables = features, indices, tables or {}
        self.spatial_shape, self.batch_size = spatial_shape, batch_size

    def replace_feature(self, features):
        return SparseConvTensor(features, self.indices, self.spatial_shape, self.batch_size,
                                self.tables)


def neighbour_pairs(indices, k):
    """For each of the k^3 offsets (rows out, rows in); the second half mirrors the first."""
    p = k // 2
    b, x, y, z = indices.long().unbind(1)
    nx, ny, nz = (int(v.max()) + 1 + 2 * p for v in (x, y, z))
    key, row = torch.sort(((b * nx + x + p) * ny + y + p) * nz + z + p)
    pairs = [None] * k ** 3
    for o in range(k ** 3 // 2):
        step = ((o // (k * k) - p) * ny + o // k % k - p) * nz + o % k - p
        at = torch.searchsorted(key, key + step).clamp_(max=len(key) - 1)
        hit = torch.nonzero(key[at] == key + step).squeeze(1)
        if len(hit):
            pairs[o] = row[hit], row[at[hit]]
            pairs[-1 - o] = row[at[hit]], row[hit]
    return pairs


class Convolution(torch.autograd.Function):
    """One product for each offset, forward and back, in the type of x; sums are float32."""

    @staticmethod
    def forward(ctx, x, weight, pairs):
        mid = len(pairs) // 2
        out = (x @ weight[mid]).float()
        for o, pair in enumerate(pairs):
            if pair is not None and o != mid:
                v = (x.index_select(0, pair[1]) @ weight[o]).float()
                v += out.index_select(0, pair[0])  # faster than index_add_, rows are distinct
                out[pair[0]] = v
        ctx.save_for_backward(x, weight)
        ctx.pairs = pairs
        return out

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad, mid = grad.to(x.dtype), len(ctx.pairs) // 2
        dx = (grad @ weight[mid].t()).float()
        dw = torch.zeros(weight.shape)
        dw[mid] = x.t() @ grad
        for o, pair in enumerate(ctx.pairs):
            if pair is not None and o != mid:
                g = grad.index_select(0, pair[0])
                v = (g @ weight[o].t()).float()
                v += dx.index_select(0, pair[1])
                dx[pair[1]] = v
                dw[o] = x.index_select(0, pair[1]).t() @ g
        return dx.to(x.dtype), dw.to(weight.dtype), None


class SubMConv3d(nn.Module):
    def __init__(self, cin, cout, kernel_size, padding=0, bias=True, indice_key=None):
        super().__init__()
        self.k, self.key = kernel_size, indice_key
        self.weight = nn.Parameter(torch.randn(kernel_size ** 3, cin, cout) * cin ** -0.5 / 5)
        self.bias = nn.Parameter(torch.zeros(cout)) if bias else None

    def forward(self, s):
        if self.key not in s.tables:
            s.tables[self.key] = neighbour_pairs(s.indices, self.k)
        x, w = s.features, self.weight
        if torch.is_autocast_enabled("cpu"):
            x, w = x.to(torch.bfloat16), w.to(torch.bfloat16)
        out = Convolution.apply(x, w, s.tables[self.key])
        return s.replace_feature(out if self.bias is None else out + self.bias)


# ---- the rest ----

def segment_csr(src, indptr, reduce="sum"):
    lengths = indptr.diff()
    return torch.segment_reduce(src, {"max": "max", "mean": "mean"}[reduce], lengths=lengths)


class DropPath(nn.Module):
    def __init__(self, drop_prob=0.0):
        super().__init__()

        self.p = drop_prob

    def forward(self, x):
        assert not self.training or not self.p
        return x


BUFFERS = {}


def chunked_attention(qkv, cu_seqlens, max_seqlen, dropout_p=0.0, softmax_scale=None):
    total, _, h, d = qkv.shape
    x = qkv.permute(1, 2, 0, 3)
    out = torch.empty(total, h, d)
    cu = cu_seqlens.tolist()
    for b, e in zip(cu, cu[1:]):
        n = e - b
        if (h, n) not in BUFFERS:
            BUFFERS[h, n] = torch.empty(h, n, n), torch.empty(h, n, n)
        scores, weights = BUFFERS[h, n]
        torch.bmm(x[0, :, b:e] * softmax_scale, x[1, :, b:e].transpose(1, 2), out=scores)
        torch.softmax(scores, -1, out=weights)
        out[b:e] = torch.bmm(weights, x[2, :, b:e].contiguous()).transpose(0, 1)
    return out


def flash_attention(qkv, cu_seqlens, max_seqlen, dropout_p=0.0, softmax_scale=None):
    """Patches of equal length that follow one another go to the kernel together."""
    h, d = qkv.shape[2:]
    cu, parts, i = cu_seqlens.tolist(), [], 0
    while i + 1 < len(cu):
        n, j = cu[i + 1] - cu[i], i + 1
        while j + 1 < len(cu) and cu[j + 1] - cu[j] == n:
            j += 1
        q, k, v = qkv[cu[i]:cu[j]].view(j - i, n, 3, h, d).permute(2, 0, 3, 1, 4)
        o = nn.functional.scaled_dot_product_attention(q, k, v, scale=softmax_scale)
        parts.append(o.transpose(1, 2).reshape(-1, h, d))
        i = j
    return torch.cat(parts)


def module(name, path=None, **members):
    m = types.ModuleType(name)
    m.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=path is not None)
    if path is not None:
        m.__path__ = [path]
    m.__dict__.update(members)
    sys.modules[name] = m
    return m


def load(root, attention, bf16):
    """The module point_transformer_v3m1_base, without what the packages around it import."""
    conv = module("spconv.pytorch", SparseConvTensor=SparseConvTensor, SubMConv3d=SubMConv3d)
    conv.modules = module("spconv.pytorch.modules",
                          is_spconv_module=lambda m: isinstance(m, SubMConv3d))
    module("spconv", "", pytorch=conv)
    module("torch_scatter", segment_csr=segment_csr)
    module("timm", "")
    module("timm.layers", DropPath=DropPath)
    sys.modules["ocnn"] = None
    sys.modules["flash_attn"] = None
    if attention != "upstream":
        module("flash_attn", flash_attn_varlen_qkvpacked_func=chunked_attention
               if attention == "chunked" else flash_attention)
        if not bf16:
            torch.bfloat16 = torch.float32  # flash attention's rounding is not wanted
    for name in ("pointcept", "pointcept.utils", "pointcept.models",
                 "pointcept.models.point_prompt_training", "pointcept.engines",
                 "pointcept.models.point_transformer_v3"):
        module(name, os.path.join(root, *name.split(".")))
    module("pointcept.engines.hooks", HookBase=object)
    sys.modules["pointcept.models.point_prompt_training"].PDNorm = None
    import pointcept.models.point_transformer_v3.point_transformer_v3m1_base as v3
    return v3


def make_model(v3, flash):
    torch.manual_seed(1)
    backbone = v3.PointTransformerV3(
        in_channels=6, order=("z", "z-trans", "hilbert", "hilbert-trans"), stride=(2, 2, 2, 2),
        enc_depths=(2, 2, 2, 6, 2), enc_channels=(32, 64, 128, 256, 512),
        enc_num_head=(2, 4, 8, 16, 32), enc_patch_size=(1024,) * 5,
        dec_depths=(2, 2, 2, 2), dec_channels=(64, 64, 128, 256), dec_num_head=(4, 4, 8, 16),
        dec_patch_size=(1024,) * 4, mlp_ratio=4, shuffle_orders=False, enable_rpe=False,
        enable_flash=flash, drop_path=0.0, upcast_attention=False, upcast_softmax=False)
    return backbone, nn.Linear(64, 13)


def resident(key):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(key))


def lovasz(root):
    name = "pointcept.models.losses.lovasz"
    module("pointcept.models.losses", os.path.join(root, "pointcept", "models", "losses"))
    module("pointcept.models.losses.builder",
           LOSSES=types.SimpleNamespace(register_module=lambda *a: lambda cls: cls))
    __import__(name)
    return sys.modules[name].LovaszLoss(mode="multiclass", ignore_index=-1)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--pointcept", required=True)
    ap.add_argument("--input", required=True)
    ap.add_argument("--train", action="store_true")
    ap.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    ap.add_argument("--attention", choices=("upstream", "chunked", "sdpa"), default="upstream")
    ap.add_argument("--reps", type=int, default=3)
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    bf16 = torch.bfloat16
    backbone, head = make_model(load(a.pointcept, a.attention, a.precision == "bf16"),
                                a.attention != "upstream")
    model = nn.ModuleList([backbone, head]).train(a.train)
    coord = torch.from_numpy(np.load(a.input + ".coord.npy").astype(np.int64))
    feat = torch.from_numpy(np.load(a.input + ".feat.npy"))
    n = len(coord)
    label = torch.from_numpy(np.random.default_rng(1).integers(0, 13, n))
    if a.train:
        criteria = nn.CrossEntropyLoss(ignore_index=-1), lovasz(a.pointcept)
        optimiser = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.05, fused=True)

    def run():
        batch = dict(coord=coord * 0.02, grid_coord=coord, feat=feat, offset=torch.tensor([n]))
        with torch.set_grad_enabled(a.train):
            with torch.autocast("cpu", bf16, enabled=a.precision == "bf16"):
                out = head(backbone(batch).feat).float()
            if a.train:
                sum(c(out, label) for c in criteria).backward()
                optimiser.step()
                optimiser.zero_grad()
        assert out.shape == (n, 13) and bool(torch.isfinite(out).all())

    before = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    runs = []
    for _ in range(a.reps):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        runs.append((time.perf_counter() - wall, time.process_time() - cpu))
    print(json.dumps({
        "torch": torch.__version__, "train": a.train, "precision": a.precision,
        "attention": a.attention, "voxels": n,
        "malloc": "tuned" if "MALLOC_MMAP_THRESHOLD_" in os.environ else "default",
        "threads": a.threads, "seconds": round(min(runs)[0], 3),
        "cpu": round(min(r[1] for r in runs), 3),
        "all": [[round(v, 3) for v in r] for r in runs],
        "grown_mb": round((resident("VmHWM") - before) / 1e6),
        "faults": resource.getrusage(resource.RUSAGE_SELF).ru_minflt}), flush=True)


if __name__ == "__main__":
    main()
