#!/usr/bin/env python3
"""Writes tests/golden/*.safetensors: what PyTorch computes, for soma's tests to compare with.

    python3 scripts/make-golden.py [FOLDER]

Needs PyTorch 2 and onnxruntime. tests/golden/README.md names the tensors. Everything is computed
in f64 from inputs that are exact in f32, and stored in f32: the files hold the true values to the last
digit. Images are N H W C and conv weights O kh kw C, as soma keeps them; the conversion is part of each
function, so gradients come out in soma's layout by themselves.
"""
import json
import math
import pathlib
import struct
import sys
import zlib

import onnxruntime
import torch
import torch.nn.functional as F

torch.manual_seed(20240611)


# --- files ------------------------------------------------------------------------------------------

def write(path, tensors):
    """The safetensors format: header size, JSON header, bytes."""
    header, blobs, at = {"__metadata__": {"torch": torch.__version__}}, [], 0
    # The larger elements first, so that each array is aligned.
    for name, value in sorted(tensors.items(), key=lambda item: item[1].is_floating_point()):
        value = value.detach().contiguous()
        flat = value.reshape(-1).tolist()
        if value.is_floating_point():
            kind, blob = "F32", struct.pack(f"<{len(flat)}f", *flat)
        else:
            kind, blob = "I64", struct.pack(f"<{len(flat)}q", *flat)
        header[name] = {"dtype": kind, "shape": list(value.shape),
                        "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


def rand(*shape, low=-1.0, high=1.0):
    """Uniform numbers that f32 holds exactly."""
    return (torch.rand(shape, dtype=torch.float64) * (high - low) + low).float().double()


def spread(*shape):
    """Numbers of which no two are near each other: for max and min."""
    count = torch.Size(shape).numel()
    return ((torch.randperm(count).double() - count / 2 + 0.25) / 16).reshape(shape)


# --- ops --------------------------------------------------------------------------------------------

OPS = {}


def group(folder, name, make):
    """A file of cases with random numbers of its own, so that a change of one leaves the others."""
    OPS.clear()
    torch.manual_seed(zlib.crc32(name.encode()))
    make()
    write(folder / f"{name}.safetensors", OPS)


def case(name, function, fixed=(), **inputs):
    """Records inputs, result y, a random gradient dy of y and the gradient of each float input but
    those that are fixed: of them PyTorch has none."""
    leaves = {k: v.clone().requires_grad_(v.is_floating_point() and k not in fixed)
              for k, v in inputs.items()}
    y = function(*leaves.values())
    for key, value in inputs.items():
        OPS[f"{name}/{key}"] = value
    OPS[f"{name}/y"] = y.detach()
    if y.requires_grad:
        dy = rand(*y.shape)
        wanted = [k for k, v in leaves.items() if v.requires_grad]
        grads = torch.autograd.grad(y, [leaves[k] for k in wanted], dy, allow_unused=True)
        for key, grad in zip(wanted, grads):
            OPS[f"{name}/d{key}"] = torch.zeros_like(leaves[key]) if grad is None else grad
        OPS[f"{name}/dy"] = dy


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def conv(x, w, stride=1, padding=0, dilation=1, groups=1):
    return nhwc(F.conv2d(nchw(x), nchw(w), None, stride, padding, dilation, groups))


def make_products():
    case("matmul", lambda a, b: a @ b, a=rand(5, 7), b=rand(7, 9))
    case("matmul_transposed", lambda a, b: a.T @ b.T, a=rand(7, 5), b=rand(9, 7))
    case("matmul_batch", lambda a, b: a @ b, a=rand(2, 1, 3, 4), b=rand(3, 4, 5))
    case("linear", lambda x, w, b: F.linear(x, w, b), x=rand(2, 3, 6), w=rand(5, 6), b=rand(5))


def make_convs():
    case("conv2d", conv, x=rand(2, 5, 6, 3), w=rand(4, 3, 3, 3))
    case("conv2d_stride", lambda x, w: conv(x, w, stride=(2, 3), padding=1),
         x=rand(1, 7, 8, 3), w=rand(4, 3, 3, 3))
    case("conv2d_pad", lambda x, w: conv(x, w, padding=(2, 1)),
         x=rand(1, 4, 5, 2), w=rand(3, 3, 2, 2))
    case("conv2d_dilation", lambda x, w: conv(x, w, dilation=(2, 3), padding=(2, 3)),
         x=rand(1, 7, 8, 2), w=rand(3, 3, 3, 2))
    case("conv2d_groups", lambda x, w: conv(x, w, groups=2, padding=1),
         x=rand(1, 5, 5, 6), w=rand(4, 3, 3, 3))
    case("conv2d_depthwise", lambda x, w: conv(x, w, groups=5, padding=1, stride=2),
         x=rand(1, 6, 7, 5), w=rand(5, 3, 3, 1))
    case("conv2d_point", conv, x=rand(2, 3, 3, 7), w=rand(9, 1, 1, 7))
    case("conv2d_wide", lambda x, w: conv(x, w, padding=1), x=rand(1, 4, 4, 16),
         w=rand(17, 3, 3, 16))
    # padding="same" of PyTorch puts the odd cell at the end as well.
    case("conv2d_same", lambda x, w: conv(x, w, padding="same"), x=rand(1, 5, 6, 2),
         w=rand(3, 4, 3, 2))


def make_pools():
    case("max_pool2d", lambda x: nhwc(F.max_pool2d(nchw(x), 2)), x=spread(2, 4, 6, 3))
    case("max_pool2d_overlap", lambda x: nhwc(F.max_pool2d(nchw(x), 3, 2, 1)),
         x=spread(1, 7, 6, 4))
    case("avg_pool2d", lambda x: nhwc(F.avg_pool2d(nchw(x), 2)), x=rand(2, 4, 6, 3))
    case("avg_pool2d_overlap",
         lambda x: nhwc(F.avg_pool2d(nchw(x), 3, 2, 1, count_include_pad=False)),
         x=rand(1, 7, 6, 4))
    case("avg_pool2d_count_pad",
         lambda x: nhwc(F.avg_pool2d(nchw(x), 3, 2, 1, count_include_pad=True)),
         x=rand(1, 7, 6, 4))


def make_norms():
    case("layer_norm", lambda x, gamma, beta: F.layer_norm(x, (10,), gamma, beta, 1e-5),
         x=rand(2, 3, 10, low=-2, high=3), gamma=rand(10, low=0.5, high=1.5), beta=rand(10))
    # Training mode, with the running statistics before and after (momentum 0.1; the running variance
    # takes the unbiased one).
    mean, var = rand(4), rand(4, low=0.5, high=2)
    OPS["batch_norm_train/running_mean_before"] = mean.clone()
    OPS["batch_norm_train/running_var_before"] = var.clone()
    case("batch_norm_train",
         lambda x, gamma, beta: nhwc(F.batch_norm(nchw(x), mean, var, gamma, beta, True, 0.1, 1e-5)),
         x=rand(3, 4, 5, 4, low=-2, high=3), gamma=rand(4, low=0.5, high=1.5), beta=rand(4))
    OPS["batch_norm_train/running_mean_after"] = mean
    OPS["batch_norm_train/running_var_after"] = var
    case("batch_norm_eval",
         lambda x, mean, var, gamma, beta: (x - mean) / torch.sqrt(var + 1e-5) * gamma + beta,
         x=rand(2, 2, 3, 4), mean=rand(4), var=rand(4, low=0.5, high=2),
         gamma=rand(4, low=0.5, high=1.5), beta=rand(4))
    # The same by the library's own function, for the value; it has no gradient for the statistics.
    e = {k: OPS[f"batch_norm_eval/{k}"] for k in ("x", "mean", "var", "gamma", "beta")}
    own = nhwc(F.batch_norm(nchw(e["x"]), e["mean"], e["var"], e["gamma"], e["beta"], False, 0.1,
                            1e-5))
    assert torch.allclose(own, OPS["batch_norm_eval/y"], rtol=1e-12, atol=1e-12)


def make_losses():
    case("softmax", lambda x: F.softmax(x, -1), x=rand(4, 10, low=-4, high=4))
    case("softmax_axis", lambda x: F.softmax(x, 1), x=rand(2, 5, 3, low=-4, high=4))
    case("log_softmax", lambda x: F.log_softmax(x, -1), x=rand(4, 10, low=-4, high=4))
    case("log_softmax_axis", lambda x: F.log_softmax(x, 0), x=rand(5, 3, low=-4, high=4))
    case("cross_entropy", lambda x, labels: F.cross_entropy(x, labels, reduction="none"),
         x=rand(6, 10, low=-4, high=4), labels=torch.tensor([3, 0, 9, 9, 1, 5]))
    case("bce_logits", lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none"),
         x=rand(4, 5, low=-6, high=6), t=rand(4, 5, low=0, high=1))
    case("squared_error", lambda x, t: F.mse_loss(x, t, reduction="none"), x=rand(4, 5),
         t=rand(4, 5))


def distribution(*shape):
    """Rows that add up to 1, as exact as f32 has them."""
    return F.softmax(rand(*shape, low=-2, high=2), -1).float().double()


def signs(*shape):
    return torch.randint(0, 2, shape).double() * 2 - 1


def make_value_losses():
    x, t = rand(4, 6, low=-3, high=3), rand(4, 6, low=-3, high=3)
    for reduction in ("none", "mean", "sum"):
        case(f"mse_{reduction}", lambda x, t: F.mse_loss(x, t, reduction=reduction), x=x, t=t)
    case("half_mse", lambda x, t: F.mse_loss(x, t) / 2, x=x, t=t)
    case("mae", lambda x, t: F.l1_loss(x, t), x=x, t=t)
    case("huber", lambda x, t: F.huber_loss(x, t, reduction="none", delta=0.7), x=x, t=t)
    case("smooth_l1", lambda x, t: F.smooth_l1_loss(x, t, reduction="sum", beta=0.7), x=x, t=t)
    case("smooth_l1_zero", lambda x, t: F.smooth_l1_loss(x, t, beta=0), x=x, t=t)
    case("log_cosh", lambda x, t: torch.log(torch.cosh(x - t)), x=x, t=t)
    case("pinball", lambda x, t: torch.maximum(0.8 * (t - x), -0.2 * (t - x)).mean(), x=x, t=t)
    counts = torch.randint(0, 6, (4, 6)).double()
    case("poisson_nll_log", lambda x, t: F.poisson_nll_loss(x, t, reduction="none"), x=x,
         t=counts)
    # PyTorch's gradient of t is NaN where t is 0.
    case("poisson_nll_full", lambda x, t: F.poisson_nll_loss(x, t, full=True), fixed="t", x=x,
         t=counts)
    case("poisson_nll", lambda x, t: F.poisson_nll_loss(x, t, log_input=False, reduction="sum"),
         x=rand(4, 6, low=0.2, high=3), t=counts)
    var = rand(4, 6, low=0.1, high=2)
    case("gaussian_nll", lambda x, t, var: F.gaussian_nll_loss(x, t, var, reduction="none"), x=x,
         t=t, var=var)
    case("gaussian_nll_full", lambda x, t, var: F.gaussian_nll_loss(x, t, var, full=True), x=x,
         t=t, var=var)
    case("margin_ranking", lambda a, b, s: F.margin_ranking_loss(a, b, s, margin=0.5),
         a=x, b=t, s=signs(4, 6))


def make_binary_losses():
    x, t = rand(4, 5, low=-4, high=4), rand(4, 5, low=0, high=1)
    p = rand(4, 5, low=0.02, high=0.98)
    case("bce", lambda x, t: F.binary_cross_entropy(x, t), x=p, t=t)
    # Certainty that is wrong: PyTorch limits the logarithms as well.
    OPS["bce_limit/x"] = torch.tensor([0.0, 1, 0, 1]).double()
    OPS["bce_limit/t"] = torch.tensor([0.0, 0, 1, 1]).double()
    OPS["bce_limit/y"] = F.binary_cross_entropy(OPS["bce_limit/x"], OPS["bce_limit/t"],
                                                reduction="none")
    case("bce_logits_pos", lambda x, t, p: F.binary_cross_entropy_with_logits(
        x, t, pos_weight=p, reduction="none"), fixed="p", x=x, t=t,
         p=rand(5, low=0.5, high=3))
    case("bce_logits_weight", lambda x, t, w: F.binary_cross_entropy_with_logits(x, t, w),
         fixed="w", x=x, t=t, w=rand(4, 5, low=0.5, high=3))
    case("bce_logits_both", lambda x, t, p, w: F.binary_cross_entropy_with_logits(
        x, t, w, pos_weight=p, reduction="sum"), fixed="pw", x=x, t=t, p=rand(5, low=0.5, high=3),
         w=rand(5, low=0.5, high=3))
    case("hinge", lambda x, t: torch.clamp(1 - t * x, min=0).mean(), x=x, t=signs(4, 5))
    case("squared_hinge", lambda x, t: torch.clamp(1 - t * x, min=0).square(), x=x,
         t=signs(4, 5))

    def focal(x, t, gamma, alpha):
        """sigmoid_focal_loss of torchvision."""
        p = torch.sigmoid(x)
        ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
        loss = ce * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
        return loss * (alpha * t + (1 - alpha) * (1 - t)) if alpha >= 0 else loss

    case("focal", lambda x, t: focal(x, t, 2, 0.25), x=x, t=t)
    case("focal_plain", lambda x, t: focal(x, t, 1.5, -1).mean(), x=x, t=t)


def make_class_losses():
    x, labels = rand(6, 5, low=-3, high=3), torch.tensor([3, 0, 4, 4, 1, 2])
    some = torch.tensor([3, -100, 4, 4, -100, 2])
    weight = rand(5, low=0.2, high=2)
    for reduction in ("none", "mean", "sum"):
        case(f"cross_entropy_{reduction}", lambda x, labels, weight: F.cross_entropy(
            x, labels, weight, ignore_index=-100, reduction=reduction, label_smoothing=0.1),
             x=x, labels=some, weight=weight, fixed=("weight",))
    case("cross_entropy_plain", lambda x, labels: F.cross_entropy(x, labels), x=x, labels=labels)
    case("cross_entropy_smooth", lambda x, labels: F.cross_entropy(x, labels, label_smoothing=0.2),
         x=x, labels=labels)
    case("cross_entropy_ignore", lambda x, labels: F.cross_entropy(x, labels, ignore_index=4,
                                                                   label_smoothing=0.2),
         x=x, labels=labels)
    case("cross_entropy_weight", lambda x, labels, weight: F.cross_entropy(x, labels, weight),
         x=x, labels=labels, weight=weight, fixed=("weight",))
    case("cross_entropy_pixels", lambda x, labels, weight: F.cross_entropy(
        x.permute(0, 3, 1, 2), labels, weight), x=rand(2, 3, 4, 5),
         labels=torch.randint(0, 5, (2, 3, 4)), weight=weight, fixed=("weight",))
    t = distribution(6, 5)
    case("cross_entropy_soft", lambda x, t: F.cross_entropy(x, t), x=x, t=t)
    case("cross_entropy_soft_all", lambda x, t, weight: F.cross_entropy(
        x, t, weight, label_smoothing=0.1, reduction="none"), x=x, t=t, weight=weight, fixed=("weight",))
    logs = F.log_softmax(x, -1).float().double()
    case("nll", lambda x, labels: F.nll_loss(x, labels, reduction="none"), x=logs, labels=labels)
    case("nll_weight", lambda x, labels, weight: F.nll_loss(x, labels, weight, ignore_index=4),
         x=logs, labels=labels, weight=weight, fixed=("weight",))

    def focal(x, labels, weight, gamma):
        ce = F.cross_entropy(x, labels, reduction="none")
        return (weight[labels] * (1 - torch.exp(-ce)) ** gamma * ce).mean()

    case("softmax_focal", lambda x, labels, weight: focal(x, labels, weight, 2), x=x,
         labels=labels, weight=weight, fixed=("weight",))
    case("softmax_focal_half", lambda x, labels, weight: focal(x, labels, weight, 0.5), x=x,
         labels=labels, weight=weight, fixed=("weight",))
    case("multi_margin", lambda x, labels: F.multi_margin_loss(x, labels, reduction="none"), x=x,
         labels=labels)
    # PyTorch has no gradient of the weight here.
    case("multi_margin_square", lambda x, labels: F.multi_margin_loss(
        x, labels, p=2, margin=0.6, weight=torch.tensor([1.0, 0.5, 2, 1, 1.5]).double()), x=x,
         labels=labels)
    case("kl_div", lambda x, t: F.kl_div(x, t, reduction="sum"), x=logs, t=t)
    case("kl_div_log", lambda x, t: F.kl_div(x, t, reduction="none", log_target=True), x=logs,
         t=torch.log(t).float().double())


def make_sample_losses():
    x, t = rand(3, 4, 2, low=0, high=1), rand(3, 4, 2, low=0, high=1)
    both = lambda x, t: (x * t).flatten(1).sum(1)
    total = lambda x, t: (x + t).flatten(1).sum(1)
    case("dice", lambda x, t: 1 - (2 * both(x, t) + 1) / (total(x, t) + 1), x=x, t=t)
    case("iou", lambda x, t: (1 - (both(x, t) + 0.5) / (total(x, t) - both(x, t) + 0.5)).mean(),
         x=x, t=t)
    corner, size = rand(6, 2, low=0, high=2), rand(6, 2, low=1, high=3)
    other, scale = rand(6, 2, low=0, high=2), rand(6, 2, low=1, high=3)

    def boxes(x, t, generalised):
        """(generalized_)box_iou_loss of torchvision, eps 1e-7."""
        area = lambda b: (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
        inner = (torch.minimum(x[:, 2:], t[:, 2:]) - torch.maximum(x[:, :2], t[:, :2])).clamp(min=0)
        outer = torch.maximum(x[:, 2:], t[:, 2:]) - torch.minimum(x[:, :2], t[:, :2])
        inner, outer = inner.prod(1), outer.prod(1)
        union = area(x) + area(t) - inner
        loss = 1 - inner / (union + 1e-7)
        return loss + (outer - union) / (outer + 1e-7) if generalised else loss

    x, t = torch.cat([corner, corner + size], 1), torch.cat([other, other + scale], 1)
    x, t = x.float().double(), t.float().double()
    case("box_iou", lambda x, t: boxes(x, t, False), x=x, t=t)
    case("box_giou", lambda x, t: boxes(x, t, True).mean(), x=x, t=t)
    a, b, c = rand(5, 7), rand(5, 7), rand(5, 7)
    case("cosine_similarity", lambda a, b: F.cosine_similarity(a, b, -1), a=a, b=b)
    case("cosine_similarity_axis", lambda a, b: F.cosine_similarity(a, b, 0), a=a, b=b)
    y = torch.tensor([1.0, -1, 1, -1, -1]).double()
    case("cosine_embedding", lambda a, b: F.cosine_embedding_loss(a, b, y, margin=-0.5,
                                                                  reduction="none"), a=a, b=b)
    case("triplet", lambda a, b, c: F.triplet_margin_loss(a, b, c), a=a, b=b, c=c)
    case("triplet_swap", lambda a, b, c: F.triplet_margin_loss(
        a, b, c, margin=0.6, p=1, swap=True, reduction="none"), a=a, b=b, c=c)
    case("triplet_three", lambda a, b, c: F.triplet_margin_loss(a, b, c, margin=2, p=3,
                                                                reduction="sum"), a=a, b=b, c=c)

    def contrastive(a, b, t):
        d = F.pairwise_distance(a, b)
        return ((t * d ** 2 + (1 - t) * torch.clamp(3 - d, min=0) ** 2) / 2).mean()

    case("contrastive", contrastive, a=a, b=b, t=torch.tensor([1.0, 0, 1, 0, 0]).double())


def make_linalg():
    """Eigenvectors are turned as soma turns them: the largest cell of each is positive."""
    strong = lambda *shape: rand(*shape) / 2 + torch.diag(torch.arange(shape[-1]) + 2.0)
    half = lambda a: (a + a.mT) / 2
    a, b = strong(2, 4, 4), rand(2, 4, 3)
    case("solve", torch.linalg.solve, a=a, b=b)
    for name, upper, unit in (("lower", False, False), ("upper", True, False),
                              ("lower_unit", False, True)):
        case(f"triangular_{name}", lambda a, b: torch.linalg.solve_triangular(
            a, b, upper=upper, unitriangular=unit), a=a, b=b)
    case("inverse", torch.linalg.inv, a=a)
    case("det", torch.linalg.det, a=a)
    case("log_abs_det", lambda a: torch.linalg.slogdet(a)[1], a=a)
    case("det_sign", lambda a: torch.linalg.slogdet(a)[0].detach(), a=torch.cat([a, -rand(1, 4, 4)]))
    case("cholesky", lambda a: torch.linalg.cholesky(half(a)), a=a)
    for name, shape in (("tall", (2, 5, 3)), ("square", (2, 4, 4))):
        x = rand(*shape)
        case(f"qr_q_{name}", lambda a: torch.linalg.qr(a)[0], a=x)
        case(f"qr_r_{name}", lambda a: torch.linalg.qr(a)[1], a=x)
    OPS["qr_r_wide/a"] = rand(3, 5)
    OPS["qr_r_wide/y"] = torch.linalg.qr(OPS["qr_r_wide/a"])[1]
    case("eigh_values", lambda a: torch.linalg.eigvalsh(half(a)), a=a)

    def vectors(a):
        v = torch.linalg.eigh(half(a))[1]
        peak = v.detach().abs().argmax(-2, keepdim=True)
        return v * torch.sign(v.detach().gather(-2, peak))

    case("eigh_vectors", vectors, a=a)

    def svd(a):
        u, s, vh = torch.linalg.svd(a, full_matrices=False)
        sign = torch.sign(u.detach().gather(-2, u.detach().abs().argmax(-2, keepdim=True)))
        return u * sign, s, vh.mT * sign

    for name, shape in (("tall", (2, 5, 3)), ("wide", (2, 3, 5)), ("square", (2, 4, 4))):
        x = rand(*shape)
        for part, key in enumerate("usv"):
            case(f"svd_{key}_{name}", lambda a: svd(a)[part], a=x)
        case(f"pinv_{name}", torch.linalg.pinv, a=x)
        case(f"lstsq_{name}", lambda a, b: torch.linalg.pinv(a) @ b, a=x, b=rand(2, shape[1], 2))
        case(f"norm_frobenius_{name}", lambda a: torch.linalg.matrix_norm(a, "fro"), a=x)
        case(f"norm_nuclear_{name}", lambda a: torch.linalg.matrix_norm(a, "nuc"), a=x)
        case(f"norm_spectral_{name}", lambda a: torch.linalg.matrix_norm(a, 2), a=x)
    # Rank 2 of 3: the smallest singular value is cut off, also for the gradient.
    flat = (rand(2, 5, 2) @ rand(2, 2, 3)).float().double()
    case("pinv_flat", lambda a: torch.linalg.pinv(a, rcond=1e-6), a=flat)
    OPS["rank_flat/a"], OPS["rank_flat/y"] = flat, torch.linalg.matrix_rank(flat, rtol=1e-6)


def make_norm_group():
    image, gamma, beta = rand(2, 3, 4, 6, low=-2, high=3), rand(6, low=0.5, high=1.5), rand(6)
    first, last = lambda x: x.movedim(-1, 1), lambda x: x.movedim(1, -1)
    case("group_norm", lambda x, g, b: last(F.group_norm(first(x), 3, g, b, 1e-5)), x=image,
         g=gamma, b=beta)
    case("group_norm_matrix", lambda x, g, b: F.group_norm(x, 2, g, b, 1e-3), x=rand(3, 6),
         g=gamma, b=beta)
    case("instance_norm", lambda x, g, b: last(F.instance_norm(first(x), None, None, g, b,
                                                               eps=1e-5)), x=image, g=gamma,
         b=beta)
    case("rms_norm", lambda x, g: F.rms_norm(x, (6,), g, 1e-5), x=image, g=gamma)
    case("local_response_norm", lambda x: last(F.local_response_norm(first(x), 5, 0.5, 0.75, 2)),
         x=image)
    case("local_response_norm_even",
         lambda x: last(F.local_response_norm(first(x), 4, 0.5, 0.75, 1)), x=image)
    case("weight_norm", lambda v, g: torch._weight_norm(v, g, 0), v=rand(4, 3, 3, 2),
         g=rand(4, 1, 1, 1, low=0.5, high=2))
    # spectral_norm as a layer: one step of the power iteration, then the gradient past it.
    dense = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(5, 4).double())
    spectral, w = dense.parametrizations.weight[0], rand(4, 5)
    u, v = (
        spectral._u.float().double(), spectral._v.float().double())
    spectral._u.copy_(u)
    spectral._v.copy_(v)
    case("spectral_norm", lambda w, u, v: spectral(w) + 0 * (u.sum() + v.sum()), fixed="uv", w=w,
         u=u, v=v)


def make_loss_group():
    make_value_losses()
    make_binary_losses()
    make_class_losses()
    make_sample_losses()


def make_elementwise():
    wide = lambda: rand(24, low=-4, high=4)
    positive = lambda: rand(24, low=0.1, high=4)
    for name, function in {
            "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "square": torch.square,
            "reciprocal": torch.reciprocal, "exp": torch.exp, "sin": torch.sin, "cos": torch.cos,
            "tanh": torch.tanh, "erf": torch.erf, "sigmoid": torch.sigmoid,
            "softplus": F.softplus, "floor": torch.floor, "ceil": torch.ceil,
            "round": torch.round, "relu": F.relu, "gelu": F.gelu,
            "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu,
            "leaky_relu": lambda x: F.leaky_relu(x, 0.1), "elu": lambda x: F.elu(x, 0.7),
            "clamp": lambda x: torch.clamp(x, -1, 2)}.items():
        case(name, function, x=wide())
    for name, function in {"sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "log": torch.log,
                           "pow_scalar": lambda x: x ** 2.5}.items():
        case(name, function, x=positive())
    for name, function in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
                           "maximum": torch.maximum, "minimum": torch.minimum}.items():
        case(name, function, a=spread(3, 1, 4), b=spread(2, 1) + 0.01)
    case("pow", torch.pow, a=rand(3, 4, low=0.2, high=3), b=rand(4, low=-2, high=2))
    case("where", lambda c, a, b: torch.where(c < 0, a, b), c=rand(3, 4), a=rand(3, 4),
         b=rand(4))


def make_reductions_and_shapes():
    case("sum", lambda x: x.sum((0, 2)), x=rand(3, 4, 5))
    case("mean", lambda x: x.mean((1,), keepdim=True), x=rand(3, 4, 5))
    case("max", lambda x: x.amax((0, 1)), x=spread(3, 4, 5))
    case("min", lambda x: x.amin((2,)), x=spread(3, 4, 5))
    # Equal largest values share the gradient.
    case("max_ties", lambda x: x.amax(1), x=torch.tensor([[1.0, 3, 3, 2], [5, 5, 5, 0]]).double())
    case("variance", lambda x: x.var((0, 2), unbiased=False), x=rand(3, 4, 5))
    case("argmax", lambda x: x.argmax(1), x=spread(3, 4, 5))
    case("permute", lambda x: x.permute(2, 0, 1), x=rand(2, 3, 4))
    case("slice", lambda x: x[:, 1:-1], x=rand(2, 5, 3))
    case("concat", lambda a, b: torch.cat([a, b], 1), a=rand(2, 3), b=rand(2, 4))
    case("pad", lambda x: F.pad(x, (1, 2, 0, 3), value=0.5), x=rand(2, 3))
    index = torch.tensor([2, 0, 2, 1])
    case("gather", lambda x, index: torch.index_select(x, 1, index), x=rand(2, 3, 4), index=index)
    case("scatter_add", lambda x, index: torch.zeros(2, 5, 3, dtype=torch.float64).index_add(
        1, index, x), x=rand(2, 4, 3), index=index)
    case("one_hot", lambda index: F.one_hot(index, 4).double(), index=index)


def make_arrange():
    image = lambda mode: lambda x: nhwc(F.pad(nchw(x), (2, 1, 3, 0), mode=mode))
    case("pad_reflect", image("reflect"), x=rand(2, 4, 5, 3))
    case("pad_edge", image("replicate"), x=rand(2, 4, 5, 3))
    case("pad_wrap", image("circular"), x=rand(2, 4, 5, 3))
    case("slice_steps", lambda x: x[1:6:2, :, ::3], x=rand(7, 2, 8))
    # PyTorch slices have no negative steps; a flip in front makes them.
    case("slice_back", lambda x: x.flip(1)[:, 1::2], x=rand(3, 8))
    case("flip", lambda x: x.flip(0, 2), x=rand(3, 4, 5))
    case("roll", lambda x: x.roll((2, -1), (0, 2)), x=rand(3, 4, 5))
    case("tile", lambda x: x.tile((2, 1, 3)), x=rand(2, 3))
    case("repeat_interleave", lambda x: x.repeat_interleave(3, 1), x=rand(2, 3, 2))
    case("stack", lambda a, b: torch.stack([a, b], 1), a=rand(2, 3), b=rand(2, 3))
    case("tril", lambda x: x.tril(-1), x=rand(2, 4, 5))
    case("triu", lambda x: x.triu(1), x=rand(2, 4, 5))
    case("diagonal", lambda x: x.diagonal(1, 0, 2), x=rand(3, 2, 4))
    case("diag", lambda x: torch.diag_embed(x, -2), x=rand(2, 3))
    case("moveaxis", lambda x: x.movedim(0, 2), x=rand(2, 3, 4, 5))
    case("swapaxes", lambda x: x.swapaxes(0, 2), x=rand(2, 3, 4))
    case("split", lambda x: x.split([1, 4, 2], 1)[1] * 2, x=rand(2, 7))
    case("unstack", lambda x: x.unbind(1)[2], x=rand(2, 3, 4))


def make_scatter():
    i2 = lambda high, *shape: torch.randint(0, high, shape)
    unique = lambda n, rows: torch.stack([torch.randperm(n) for _ in range(rows)])
    case("gather_elements", lambda x, index: x.gather(1, index), x=rand(3, 5, 4),
         index=i2(5, 3, 7, 4))
    case("take_along", lambda x, index: x.take_along_dim(index, 2), x=rand(3, 1, 4),
         index=i2(4, 1, 5, 2))
    case("gather_nd", lambda x, index: x[index[..., 0], index[..., 1]], x=rand(4, 3, 5),
         index=i2(3, 2, 6, 2))
    # Each index once: what else PyTorch does is not defined.
    case("scatter_set", lambda x, index, u: x.scatter(1, index, u), x=rand(3, 5),
         index=unique(5, 3)[:, :4], u=rand(3, 4))
    case("scatter_add_elements", lambda x, index, u: x.scatter_add(0, index, u), x=rand(3, 5),
         index=i2(3, 6, 5), u=rand(6, 5))
    for how, name in (("prod", "mul"), ("amax", "max"), ("amin", "min")):
        case(f"scatter_{name}", lambda x, index, u: x.scatter_reduce(0, index, u, how),
             x=spread(3, 5), index=i2(3, 6, 5), u=spread(6, 5) * 0.9)
    case("scatter_nd_add", lambda x, index, u: x.index_put(tuple(index.T), u, accumulate=True),
         x=rand(4, 3, 5), index=i2(3, 7, 2), u=rand(7, 5))
    case("embedding", lambda w, index: F.embedding(index, w, padding_idx=2), w=rand(5, 3),
         index=torch.tensor([[2, 0, 4], [2, 2, 0]]))
    case("masked_fill", lambda x, m: x.masked_fill(m < 0, -2), x=rand(3, 4), m=rand(4))


def make_sort():
    ties = lambda *shape: torch.randint(0, 4, shape).double()
    case("argsort", lambda x: x.argsort(dim=1, stable=True), x=ties(3, 40))
    case("argsort_descending", lambda x: x.argsort(dim=0, descending=True, stable=True), x=ties(40, 3))
    case("sort", lambda x: x.sort(1).values, x=spread(3, 30))
    case("topk", lambda x: x.topk(4, 1).values, x=spread(3, 30))
    case("topk_smallest", lambda x: x.topk(5, 0, largest=False).values, x=spread(30, 3))
    case("topk_index", lambda x: x.topk(6, 1).indices, x=spread(3, 50))
    case("quantile", lambda x: x.quantile(0.37, 1), x=spread(3, 12))
    # With an odd number of cells PyTorch's median is the middle one as well.
    case("median", lambda x: x.median(0).values, x=spread(9, 4))
    borders = torch.tensor([-1.0, -0.25, 0.5, 0.75]).double()
    x = torch.tensor([[-2.0, -1, -0.25, 0], [0.5, 0.6, 0.75, 3]]).double()
    case("searchsorted", lambda b, x: torch.searchsorted(b, x), b=borders, x=x)
    case("searchsorted_right", lambda b, x: torch.searchsorted(b, x, right=True), b=borders, x=x)


EINSUMS = {
    "matmul": ("ij,jk->ik", (3, 4), (4, 5)), "batch": ("bij,bkj->bik", (2, 3, 4), (2, 5, 4)),
    "attention": ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
    "outer": ("i,j->ij", (3,), (4,)), "hadamard": ("ij,ij->ij", (3, 4), (3, 4)),
    "inner": ("ij,ij->", (3, 4), (3, 4)), "ellipsis": ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)),
    "left": ("ijk,j->ik", (2, 3, 4), (3,)), "diagonal": ("bii,ij->bj", (2, 3, 3), (3, 4)),
    "alone": ("ijk,jl->kl", (2, 3, 4), (3, 5)), "implicit": ("ba,ac", (2, 3), (3, 4)),
}


def make_einsum():
    for name, (equation, a, b) in EINSUMS.items():
        case(f"einsum_{name}", lambda a, b: torch.einsum(equation, a, b), a=rand(*a), b=rand(*b))
    case("einsum_trace", lambda a: torch.einsum("ii->", a), a=rand(4, 4))
    case("einsum_transpose", lambda a: torch.einsum("...ij->...ji", a), a=rand(2, 3, 4))
    case("einsum_bilinear", lambda a, w, b: torch.einsum("bi,oij,bj->bo", a, w, b), a=rand(4, 3),
         w=rand(5, 3, 2), b=rand(4, 2))
    case("einsum_chain", lambda a, b, c, d: torch.einsum("ab,bc,cd,de->ae", a, b, c, d),
         a=rand(2, 3), b=rand(3, 4), c=rand(4, 5), d=rand(5, 2))
    case("tensordot", lambda a, b: torch.tensordot(a, b, ((2, 0), (1, 2))), a=rand(2, 3, 4),
         b=rand(5, 4, 2))


RECURRENT = {"rnn": (torch.nn.RNN, 1), "lstm": (torch.nn.LSTM, 4), "gru": (torch.nn.GRU, 3)}


def run_recurrent(module, x, states, lengths):
    """The states of all steps and the last state, of padded sequences as of packed ones."""
    if lengths is None:
        return module(x, states)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, True, False)
    y, last = module(packed, states)
    return torch.nn.utils.rnn.pad_packed_sequence(y, True, total_length=x.shape[1])[0], last


def recurrent_case(name, kind, lengths=None, reverse=False, **options):
    """One layer in one direction; y is the states of all steps and the last ones, side by side."""
    make, gates = RECURRENT[kind]
    batch, steps, inputs, units = 3, 4, 5, 6
    count = 2 if kind == "lstm" else 1

    def function(x, w_ih, w_hh, b_ih, b_hh, *rest):
        module = make(inputs, units, batch_first=True, bidirectional=reverse, **options).double()
        end = "_reverse" if reverse else ""
        weights = {f"weight_ih_l0{end}": w_ih, f"weight_hh_l0{end}": w_hh,
                   f"bias_ih_l0{end}": b_ih, f"bias_hh_l0{end}": b_hh}
        h = [torch.cat([torch.zeros_like(s)[None], s[None]]) if reverse else s[None]
             for s in rest[:count]]

        class Caller(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = module

            def forward(self, x):
                return run_recurrent(self.inner, x, tuple(h) if count == 2 else h[0], lengths)
        y, last = torch.func.functional_call(
            Caller(), {f"inner.{k}": v for k, v in weights.items()}, (x,))
        last = last if count == 2 else (last,)
        parts = [y[..., -units:].flatten(1)] + [s[-1] for s in last]
        return torch.cat(parts, 1)
    states = {k: rand(batch, units) for k in ("h0", "c0")[:count]}
    more = {} if lengths is None else {"lengths": lengths}
    case(name, function, x=rand(batch, steps, inputs), w_ih=rand(gates * units, inputs),
         w_hh=rand(gates * units, units), b_ih=rand(gates * units), b_hh=rand(gates * units),
         **states, **more)


def gru_reset_first(x, w_ih, w_hh, b_ih, b_hh, h):
    """The original unit, which torch.nn.GRU is not: the state is reset before its product."""
    units, states = h.shape[1], []
    for t in range(x.shape[1]):
        a = F.linear(x[:, t], w_ih, b_ih)
        r = torch.sigmoid(a[:, :units] + F.linear(h, w_hh[:units], b_hh[:units]))
        z = torch.sigmoid(a[:, units:2 * units]
                          + F.linear(h, w_hh[units:2 * units], b_hh[units:2 * units]))
        n = torch.tanh(a[:, 2 * units:] + F.linear(r * h, w_hh[2 * units:], b_hh[2 * units:]))
        h = (1 - z) * n + z * h
        states.append(h)
    return torch.cat(states + [h], 1)


def make_recurrent():
    lengths = torch.tensor([4, 1, 3])
    recurrent_case("rnn", "rnn")
    recurrent_case("rnn_relu", "rnn", nonlinearity="relu")
    recurrent_case("rnn_lengths", "rnn", lengths)
    recurrent_case("lstm", "lstm")
    recurrent_case("lstm_lengths", "lstm", lengths)
    recurrent_case("lstm_reverse", "lstm", reverse=True)
    recurrent_case("lstm_reverse_lengths", "lstm", lengths, True)
    recurrent_case("gru", "gru")
    recurrent_case("gru_lengths", "gru", lengths)
    recurrent_case("gru_reverse_lengths", "gru", lengths, True)
    case("gru_reset_first", gru_reset_first, x=rand(3, 4, 5), w_ih=rand(18, 5), w_hh=rand(18, 6),
         b_ih=rand(18), b_hh=rand(18), h0=rand(3, 6))


def make_recurrent_layers(folder):
    """Whole modules with their weights, a result and the gradients of its weighted sum."""
    torch.manual_seed(20240701)
    tensors = {}
    lengths = torch.tensor([5, 2, 1, 4])
    for name, kind, padded, options in (
            ("rnn", "rnn", None, dict(num_layers=2, nonlinearity="relu")),
            ("lstm", "lstm", lengths, dict(num_layers=2, bidirectional=True)),
            ("gru", "gru", lengths, dict(num_layers=2)),
            ("gru_bidirectional", "gru", None, dict(bidirectional=True, bias=False))):
        module = RECURRENT[kind][0](3, 4, batch_first=True, **options).double()
        for p in module.parameters():
            p.data = p.data.float().double()
        x = rand(4, 5, 3)
        directions = 2 if module.bidirectional else 1
        state = [rand(module.num_layers * directions, 4, 4) for _ in range(1 + (kind == "lstm"))]
        y, last = run_recurrent(module, x, tuple(state) if kind == "lstm" else state[0], padded)
        dy = rand(*y.shape)
        (y * dy).sum().backward()
        last = last if kind == "lstm" else (last,)
        for key, p in module.named_parameters():
            tensors[f"{name}/{key}"] = p
            tensors[f"{name}/grad/{key}"] = p.grad
        # As a layer takes and gives them: [B, layers · directions · H], all h, then all c.
        flat = [torch.cat([s.permute(1, 0, 2).flatten(1) for s in part], 1)
                for part in (state, last)]
        tensors.update({f"{name}/x": x, f"{name}/y": y, f"{name}/dy": dy, f"{name}/state": flat[0],
                        f"{name}/last": flat[1]})
        if padded is not None:
            tensors[f"{name}/lengths"] = padded
    write(folder / "recurrent_layers.safetensors", tensors)


def attend(mask=None, slopes=None, offset=0, causal=False, scale=None):
    """Attention of q [B,T,H,D] to k, v [B,S,h,D], as torch computes it from a mask of scores."""
    def function(q, k, v, *rest):
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        queries, keys = q.shape[2], k.shape[2]
        t, s = torch.arange(queries)[:, None] + offset, torch.arange(keys)[None]
        bias = torch.zeros(1, 1, queries, keys).double()
        if causal:
            bias = bias.masked_fill(s > t, -math.inf)
        if mask == "add":
            bias = bias + rest[0]
        if mask == "lengths":
            bias = bias.masked_fill(s >= rest[0][:, None, None, None], -math.inf)
        if slopes:
            bias = bias - rest[0][:, None, None] * (t - s).abs()
        y = F.scaled_dot_product_attention(q, k, v, bias, scale=scale, enable_gqa=True)
        return y.transpose(1, 2)
    return function


def rotary(x, interleaved):
    """The turn of RoFormer (neighbours) or of GPT-NeoX (halves), as complex numbers."""
    steps, depth = x.shape[1], x.shape[3]
    rate = 10000 ** -(torch.arange(depth // 2).double() * 2 / depth)
    turn = torch.polar(torch.ones(steps, depth // 2).double(),
                       torch.arange(steps)[:, None] * rate)[None, :, None]
    pairs = x.unflatten(3, (-1, 2)) if interleaved else x.unflatten(3, (2, -1)).transpose(3, 4)
    y = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turn)
    return (y if interleaved else y.transpose(3, 4)).flatten(3)


def make_attention():
    def inputs(queries, heads, keys, key_heads, **more):
        return dict(q=rand(3, queries, heads, 6), k=rand(3, keys, key_heads, 6),
                    v=rand(3, keys, key_heads, 6), **more)
    case("attention", attend(), **inputs(5, 2, 7, 2))
    case("attention_scale", attend(scale=0.7), **inputs(2, 2, 7, 2))
    case("attention_causal", attend(causal=True), **inputs(5, 2, 5, 2))
    case("attention_cached", attend(causal=True, offset=4), **inputs(3, 2, 7, 1))
    case("attention_grouped", attend(), **inputs(5, 6, 7, 2))
    case("attention_mask", attend("add"), ("mask",), **inputs(5, 2, 7, 2, mask=rand(3, 1, 5, 7)))
    case("attention_lengths", attend("lengths"),
         **inputs(5, 2, 7, 2, lengths=torch.tensor([7, 1, 4])))
    case("attention_alibi", attend(slopes=True, causal=True), ("slopes",),
         **inputs(5, 2, 5, 2, slopes=rand(2, low=0.1)))
    case("rotary", lambda x: rotary(x, False), x=rand(2, 5, 2, 8))
    case("rotary_interleaved", lambda x: rotary(x, True), x=rand(2, 5, 2, 8))


def make_attention_layers(folder):
    """Modules of PyTorch with their weights, a result and the gradients of its weighted sum."""
    torch.manual_seed(20240702)
    tensors, N = {}, torch.nn
    lengths, memory_lengths = torch.tensor([5, 2, 4]), torch.tensor([3, 6, 1])
    x, memory, other = rand(3, 5, 8), rand(3, 6, 8), rand(3, 6, 4)
    hidden = torch.arange(5)[None] >= lengths[:, None]
    memory_hidden = torch.arange(6)[None] >= memory_lengths[:, None]
    later = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    block = dict(dropout=0, batch_first=True, dim_feedforward=12)

    def attention(**options):
        return N.MultiheadAttention(8, 2, batch_first=True, **options)
    for name, module, run, more in (
            ("self", attention(), lambda m: m(x, x, x, key_padding_mask=hidden)[0],
             {"lengths": lengths}),
            ("causal", attention(bias=False),
             lambda m: m(x, x, x, attn_mask=later, need_weights=False)[0], {}),
            ("cross", attention(),
             lambda m: m(x, memory, memory, key_padding_mask=memory_hidden)[0],
             {"memory": memory, "lengths": memory_lengths}),
            ("cross_other", attention(kdim=4, vdim=4), lambda m: m(x, other, other)[0],
             {"memory": other}),
            ("encoder", N.TransformerEncoderLayer(8, 2, **block),
             lambda m: m(x, src_key_padding_mask=hidden), {"lengths": lengths}),
            ("encoder_first",
             N.TransformerEncoderLayer(8, 2, norm_first=True, activation="gelu", **block),
             lambda m: m(x, src_mask=later), {}),
            ("decoder", N.TransformerDecoderLayer(8, 2, **block),
             lambda m: m(x, memory, tgt_mask=later, memory_key_padding_mask=memory_hidden),
             {"memory": memory, "lengths": memory_lengths})):
        module = module.double()
        for p in module.parameters():
            p.data = (p.data + 0.1 * torch.randn_like(p)).float().double()
        y = run(module)
        dy = rand(*y.shape)
        (y * dy).sum().backward()
        for key, p in module.named_parameters():
            tensors[f"{name}/{key}"] = p
            tensors[f"{name}/grad/{key}"] = p.grad
        tensors.update({f"{name}/x": x, f"{name}/y": y, f"{name}/dy": dy,
                        **{f"{name}/{k}": v for k, v in more.items()}})
    write(folder / "attention_layers.safetensors", tensors)


def make_ops(folder):
    make_products()
    make_convs()
    make_pools()
    make_norms()
    make_losses()
    make_elementwise()
    make_reductions_and_shapes()
    write(folder / "ops.safetensors", OPS)


def make_math():
    wide = lambda: rand(24, low=-3, high=3)
    positive = lambda: rand(24, low=0.1, high=6)
    inside = lambda: rand(24, low=-0.99, high=0.99)
    for name, function, x in [
            ("expm1", torch.expm1, wide()), ("log1p", torch.log1p, positive() - 0.875),
            ("exp2", torch.exp2, wide()), ("log2", torch.log2, positive()),
            ("log10", torch.log10, positive()), ("tan", torch.tan, inside()),
            ("asin", torch.asin, inside()), ("acos", torch.acos, inside()),
            ("atan", torch.atan, wide()), ("sinh", torch.sinh, wide()),
            ("cosh", torch.cosh, wide()), ("asinh", torch.asinh, wide()),
            ("acosh", torch.acosh, positive() + 1), ("atanh", torch.atanh, inside()),
            ("erfc", torch.erfc, wide()), ("erfinv", torch.erfinv, inside()),
            ("lgamma", torch.lgamma, positive()), ("digamma", torch.digamma, positive()),
            ("digamma_negative", torch.digamma, -positive()),
            ("polygamma_2", lambda x: torch.polygamma(2, x), positive()),
            ("trunc", torch.trunc, wide()), ("frac", torch.frac, wide()),
            ("nan_to_num", lambda x: torch.nan_to_num(x, 3, 4, -5),
             torch.tensor([math.nan, math.inf, -math.inf, 2, -4]))]:
        case(name, function, x=x.float().double())
    case("cbrt", lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3), x=wide())
    for name, function in {"fmod": torch.fmod, "remainder": torch.remainder,
                           "floor_divide": lambda a, b: torch.floor_divide(a, b).detach(),
                           "atan2": torch.atan2, "hypot": torch.hypot,
                           "copysign": torch.copysign, "logaddexp": torch.logaddexp}.items():
        case(name, function, a=rand(3, 1, 4, low=-3, high=3), b=spread(2, 1) + 0.5)
    case("xlogy", torch.xlogy, a=torch.tensor([0.0, 0.0, 1, 2, -1]).double(),
         b=torch.tensor([0.5, 2, 3, 0.25, 4]).double())
    case("lerp", torch.lerp, a=rand(3, 4), b=rand(4), weight=rand(3, 1))
    case("logical_xor", lambda a, b: torch.logical_xor(a > 0, b > 0).double().detach(),
         a=rand(3, 4), b=rand(4))
    number = lambda: torch.randint(-100, 100, (3, 5))
    for name, function in {"bitwise_and": torch.bitwise_and, "bitwise_or": torch.bitwise_or,
                           "bitwise_xor": torch.bitwise_xor,
                           "fmod_integers": torch.fmod, "remainder_integers": torch.remainder,
                           "floor_divide_integers": torch.floor_divide}.items():
        case(name, function, a=number(), b=number() * 2 + 1)
    case("bitwise_not", torch.bitwise_not, x=number())
    case("shift_left", torch.bitwise_left_shift, a=number(), b=torch.randint(0, 9, (5,)))
    case("shift_right", torch.bitwise_right_shift, a=number(), b=torch.randint(0, 9, (5,)))
# --- what onnxruntime computes ------------------------------------------------------------------------

def message(*fields):
    """A protocol buffer: (number, int, float, str or bytes) each; ONNX models are made of them."""
    def varint(n):
        out, n = b"", n & (1 << 64) - 1
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def onnx_attribute(name, value):
    if isinstance(value, list):
        return message((1, name), (20, 7), *[(8, v) for v in value])
    kind, field = {float: (1, 2), int: (2, 3), str: (3, 4)}[type(value)]
    return message((1, name), (20, kind), (field, value))


ONNX_KINDS = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}


def run_onnx(op, inputs, attributes, opset=19, result="float32", others=()):
    """The first result of one node; inputs are (name, tensor or None) pairs, in f32 or whole numbers."""
    value = lambda name, kind: message((1, name), (2, message((1, message((1, kind))))))
    given = {k: v.float().numpy() if v.is_floating_point() else v.numpy()
             for k, v in inputs if v is not None}
    node = message(*[(1, k if v is not None else "") for k, v in inputs], (2, "y"),
                   *[(2, name) for name in others], (4, op),
                   *[(5, onnx_attribute(k, v)) for k, v in attributes.items()])
    graph = message((1, node), (2, "graph"),
                    *[(11, value(k, ONNX_KINDS[str(v.dtype)])) for k, v in given.items()],
                    (12, value("y", ONNX_KINDS[result])))
    model = message((1, 9), (7, graph), (8, message((2, opset))))
    return torch.from_numpy(
        onnxruntime.InferenceSession(model).run(None, given)[0]).double()


def onnx_case(name, op, images=(0,), more=(), opset=19, **named):
    """Records inputs and result y; those of the inputs in `images` are N … C or O … C."""
    inputs = {k: v for k, v in named.items() if isinstance(v, torch.Tensor)}
    attributes = {k: v for k, v in named.items() if not isinstance(v, torch.Tensor)}
    turned = [(k, channels_first(v).contiguous() if i in images else v)
              for i, (k, v) in enumerate(inputs.items())]
    y = run_onnx(op, turned + list(more), attributes, opset)
    for key, value in inputs.items():
        OPS[f"{name}/{key}"] = value
    OPS[f"{name}/y"] = channels_last(y)


# --- quantize: bytes for numbers ------------------------------------------------------------------------

def unsigned(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def signed(*shape):
    return torch.randint(-128, 128, shape, dtype=torch.int8)


def bytes_case(name, op, result, images=(), attributes=None, **inputs):
    """As onnx_case. The file holds bytes as i64, and results as numbers."""
    turned = [(k, channels_first(v).contiguous() if k in images else v) for k, v in inputs.items()]
    y = run_onnx(op, turned, attributes or {}, result=result,
                 others=("scale", "zero") if op == "DynamicQuantizeLinear" else ())
    for key, value in inputs.items():
        OPS[f"{name}/{key}"] = value if value.is_floating_point() else value.long()
    OPS[f"{name}/y"] = channels_last(y) if images else y


def make_quantize():
    zero, signed_zero = torch.tensor(7, dtype=torch.uint8), torch.tensor(-3, dtype=torch.int8)
    scale = lambda *shape: rand(*shape, low=0.01, high=0.03)
    bytes_case("quantize", "QuantizeLinear", "uint8", x=rand(6, 33, low=-2, high=4), scale=scale(), zero=zero)
    bytes_case("quantize_columns", "QuantizeLinear", "int8", x=rand(9, 6), scale=scale(6) / 2, zero=signed(6))
    bytes_case("dequantize", "DequantizeLinear", "float32", x=unsigned(6, 33), scale=scale(), zero=zero)
    bytes_case("dequantize_columns", "DequantizeLinear", "float32", x=signed(9, 6), scale=scale(6), zero=signed(6))
    bytes_case("dynamic_quantize", "DynamicQuantizeLinear", "uint8", x=rand(7, 20, low=-1, high=3))
    bytes_case("matmul", "MatMulInteger", "int32", a=unsigned(2, 9, 37), b=signed(37, 34), a_zero=zero,
               b_zero=signed_zero)
    bytes_case("matmul_columns", "MatMulInteger", "int32", a=unsigned(15, 40), b=signed(40, 33), a_zero=zero,
               b_zero=signed(33))
    bytes_case("qlinear_matmul", "QLinearMatMul", "uint8", a=unsigned(17, 40), a_scale=scale(), a_zero=zero,
               b=signed(40, 35), b_scale=scale(35), b_zero=torch.zeros(35, dtype=torch.int8),
               y_scale=rand(low=0.5, high=0.6), y_zero=torch.tensor(99, dtype=torch.uint8))
    images = ("x", "w")
    bytes_case("conv", "ConvInteger", "int32", images, {"pads": [1, 0, 2, 1], "strides": [2, 1]},
               x=unsigned(2, 9, 8, 6), w=signed(35, 3, 3, 6), x_zero=zero, w_zero=signed_zero)
    bytes_case("conv_groups", "ConvInteger", "int32", images, {"pads": [1, 1, 1, 1], "group": 2},
               x=unsigned(2, 6, 7, 8), w=signed(6, 3, 3, 4), x_zero=zero,
               w_zero=torch.tensor(0, dtype=torch.int8))
    bytes_case("qlinear_conv", "QLinearConv", "uint8", images, {"pads": [1, 1, 1, 1]},
               x=unsigned(1, 7, 8, 16), x_scale=scale(), x_zero=zero, w=signed(33, 3, 3, 16),
               w_scale=scale(33), w_zero=torch.zeros(33, dtype=torch.int8), y_scale=rand(low=0.5, high=0.6),
               y_zero=torch.tensor(120, dtype=torch.uint8),
               bias=torch.randint(-9999, 9999, (33,), dtype=torch.int32))


# --- windows: the convs and pools of other ranks and options ------------------------------------------

def channels_first(x):
    return x.movedim(-1, 1)


def channels_last(x):
    return x.movedim(1, -1)


def on_images(function, *options, **named):
    """function of PyTorch on N … C images, and on a weight if there is one."""
    return lambda *inputs: channels_last(
        function(*[channels_first(i) for i in inputs], *options, **named))


def make_windows():
    case("conv1d", on_images(F.conv1d, None, 2, 2, 3, 2), x=rand(2, 11, 4), w=rand(6, 3, 2))
    case("conv1d_same", on_images(F.conv1d, padding="same"), x=rand(1, 7, 3), w=rand(2, 4, 3))
    case("conv3d", on_images(F.conv3d, None, (2, 1, 2), (1, 2, 0)), x=rand(2, 5, 4, 6, 3),
         w=rand(4, 3, 3, 2, 3))
    case("conv3d_groups", on_images(F.conv3d, None, 1, (2, 0, 1), (2, 1, 3), 2),
         x=rand(1, 4, 4, 5, 4), w=rand(6, 3, 2, 2, 2))
    case("conv_transpose1d", on_images(F.conv_transpose1d, None, 3, 1, 2), x=rand(2, 5, 3),
         w=rand(3, 4, 2))
    case("conv_transpose1d_dilation", on_images(F.conv_transpose1d, None, 1, 1, 2, 1, 3),
         x=rand(1, 5, 3), w=rand(3, 2, 4))
    case("conv_transpose2d", on_images(F.conv_transpose2d, None, (2, 3), (1, 0), (1, 2)),
         x=rand(2, 4, 3, 3), w=rand(3, 3, 2, 5))
    case("conv_transpose2d_groups", on_images(F.conv_transpose2d, None, 2, 1, 0, 2, (1, 2)),
         x=rand(1, 4, 4, 4), w=rand(4, 3, 3, 3))
    case("conv_transpose3d", on_images(F.conv_transpose3d, None, (2, 1, 2), (1, 0, 1), (1, 0, 1)),
         x=rand(1, 3, 3, 2, 3), w=rand(3, 3, 2, 3, 2))
    case("max_pool1d", on_images(F.max_pool1d, 3, 2, 1, 2, True), x=spread(2, 10, 3))
    case("max_pool2d_dilation", on_images(F.max_pool2d, (3, 2), (1, 2), (1, 1), (2, 3)),
         x=spread(1, 8, 7, 3))
    case("max_pool2d_ceil", on_images(F.max_pool2d, 3, 2, 1, 1, True), x=spread(2, 8, 6, 3))
    case("max_pool3d", on_images(F.max_pool3d, (2, 3, 2), (2, 1, 2), (1, 1, 0), 1, True),
         x=spread(1, 6, 4, 5, 2))
    case("avg_pool1d", on_images(F.avg_pool1d, 4, 3, 2, True, True), x=rand(2, 10, 3))
    case("avg_pool2d_ceil", on_images(F.avg_pool2d, (3, 2), (3, 3), 1, True, True),
         x=rand(1, 8, 6, 4))
    case("avg_pool2d_ceil_real", on_images(F.avg_pool2d, (3, 2), (3, 3), 1, True, False),
         x=rand(1, 8, 6, 4))
    case("avg_pool2d_divisor", on_images(F.avg_pool2d, 3, 2, 1, divisor_override=7),
         x=rand(1, 7, 6, 4))
    case("avg_pool3d", on_images(F.avg_pool3d, 3, 2, 1, True, True), x=rand(1, 6, 5, 4, 2))
    case("avg_pool3d_real", on_images(F.avg_pool3d, (2, 3, 3), 2, (1, 1, 0), False, False),
         x=rand(1, 6, 5, 4, 2))
    case("lp_pool1d", on_images(F.lp_pool1d, 2.0, 3, 2), x=rand(2, 9, 3))
    case("lp_pool2d", on_images(F.lp_pool2d, 3.0, (3, 2), 2), x=rand(2, 7, 6, 3, low=0.1))
    case("lp_pool3d", on_images(F.lp_pool3d, 2.0, 2, 2), x=rand(1, 4, 4, 5, 2))
    case("adaptive_max_pool1d", on_images(F.adaptive_max_pool1d, 4), x=spread(2, 7, 3))
    case("adaptive_max_pool2d", on_images(F.adaptive_max_pool2d, (3, 7)), x=spread(2, 8, 5, 3))
    case("adaptive_max_pool3d", on_images(F.adaptive_max_pool3d, (2, 3, 4)),
         x=spread(1, 5, 4, 7, 2))
    case("adaptive_avg_pool1d", on_images(F.adaptive_avg_pool1d, 4), x=rand(2, 7, 3))
    case("adaptive_avg_pool2d", on_images(F.adaptive_avg_pool2d, (3, 7)), x=rand(2, 8, 5, 3))
    case("adaptive_avg_pool3d", on_images(F.adaptive_avg_pool3d, (2, 3, 4)),
         x=rand(1, 5, 4, 7, 2))
    case("global_lp_pool", lambda x: torch.linalg.vector_norm(x, 3, (1, 2)), x=rand(2, 4, 3, 5))
    indices = on_images(lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True)[1])
    case("max_pool2d_indices", lambda x: indices(x).long(), x=spread(2, 7, 6, 3))
    x = spread(2, 6, 4, 3)
    index = on_images(lambda x: F.max_pool2d(x, 2, return_indices=True)[1])(x)
    case("max_unpool2d", lambda x, index: channels_last(F.max_unpool2d(
        channels_first(x), channels_first(index), 2)), x=rand(2, 3, 2, 3), index=index)
    # What only ONNX has.
    both = (0, 1)
    onnx_case("conv2d_same_lower", "Conv", x=rand(1, 7, 6, 2), w=rand(3, 4, 3, 2), strides=[2, 1],
              auto_pad="SAME_LOWER", images=both)
    onnx_case("conv_transpose2d_same", "ConvTranspose", x=rand(1, 3, 4, 2), w=rand(2, 3, 4, 3),
              strides=[2, 3], auto_pad="SAME_UPPER", images=both)
    onnx_case("conv_transpose2d_same_lower", "ConvTranspose", x=rand(1, 3, 4, 2),
              w=rand(2, 3, 4, 3), strides=[2, 3], auto_pad="SAME_LOWER", images=both)
    onnx_case("avg_pool2d_dilation", "AveragePool", x=rand(1, 8, 7, 3), kernel_shape=[3, 2],
              strides=[1, 2], dilations=[2, 3], pads=[2, 1, 1, 1], count_include_pad=1)
    onnx_case("avg_pool2d_dilation_real", "AveragePool", x=rand(1, 8, 7, 3), kernel_shape=[3, 2],
              strides=[1, 2], dilations=[2, 3], pads=[2, 1, 1, 1])
    onnx_case("lp_pool2d_pads", "LpPool", x=rand(2, 7, 6, 3), kernel_shape=[3, 2], strides=[2, 3],
              pads=[1, 0, 1, 1], p=3)
    onnx_case("max_pool2d_same_lower", "MaxPool", x=spread(1, 7, 6, 3), kernel_shape=[2, 4],
              auto_pad="SAME_LOWER")


# --- images in other sizes and places -----------------------------------------------------------------

def make_images():
    def interpolate(**options):
        return on_images(F.interpolate, **options)
    case("resize_nearest", interpolate(size=(7, 3), mode="nearest"), x=rand(2, 4, 5, 3))
    case("resize_nearest_exact", interpolate(size=(7, 3), mode="nearest-exact"),
         x=rand(2, 4, 5, 3))
    case("resize_linear1d", interpolate(size=9, mode="linear"), x=rand(2, 5, 3))
    case("resize_linear", interpolate(size=(7, 3), mode="bilinear"), x=rand(2, 4, 5, 3))
    case("resize_linear_scale", interpolate(scale_factor=(2.3, 0.7), mode="bilinear"),
         x=rand(1, 4, 5, 3))
    case("resize_linear_corners", interpolate(size=(7, 3), mode="bilinear", align_corners=True),
         x=rand(1, 4, 5, 3))
    case("resize_linear3d", interpolate(size=(5, 3, 4), mode="trilinear"), x=rand(1, 3, 4, 2, 2))
    case("resize_cubic", interpolate(size=(9, 4), mode="bicubic"), x=rand(1, 5, 6, 3))
    case("resize_cubic_corners", interpolate(size=(9, 4), mode="bicubic", align_corners=True),
         x=rand(1, 5, 6, 3))
    case("resize_linear_antialias", interpolate(size=(4, 9), mode="bilinear", antialias=True),
         x=rand(1, 11, 7, 3))
    case("resize_cubic_antialias", interpolate(size=(5, 4), mode="bicubic", antialias=True),
         x=rand(1, 12, 9, 3))
    for mode in "bilinear", "nearest", "bicubic":
        for outside in "zeros", "border", "reflection":
            for align in False, True:
                name = f"grid_{mode}_{outside}" + ("_corners" if align else "")
                case(name, lambda x, grid: nhwc(F.grid_sample(
                    nchw(x), grid, mode=mode, padding_mode=outside, align_corners=align)),
                    x=rand(2, 4, 5, 3), grid=rand(2, 3, 4, 2, low=-1.5, high=1.5))
    for align in False, True:
        case("affine_grid" + ("_corners" if align else ""), lambda theta: F.affine_grid(
            theta, (2, 1, 3, 4), align_corners=align), theta=rand(2, 2, 3))
    case("depth_to_space", on_images(F.pixel_shuffle, 2), x=rand(2, 3, 2, 12))
    case("space_to_depth", on_images(F.pixel_unshuffle, 3), x=rand(1, 3, 6, 2))
    window = dict(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    case("unfold2d", lambda x: F.unfold(nchw(x), **window).reshape(2, 3, 6, 3, 4).permute(
        0, 3, 4, 2, 1).reshape(2, 3, 4, 18), x=rand(2, 5, 6, 3))
    case("fold2d", lambda x: nhwc(F.fold(x.reshape(2, 3, 4, 6, 3).permute(0, 4, 3, 1, 2).reshape(
        2, 18, 12), (5, 6), **window)), x=rand(2, 3, 4, 18))

    def resize(name, x, sizes=None, scales=None, roi=None, **options):
        onnx_case(name, "Resize", x=x, more=[
            ("roi", torch.tensor([0, 0, *roi[0], 1, 1, *roi[1]]) if roi else None),
            ("scales", torch.tensor([1.0, 1, *scales]) if scales else None),
            ("sizes", torch.tensor([x.shape[0], x.shape[3], *sizes]) if sizes else None)],
            **options)

    resize("resize_floor", rand(1, 4, 5, 2), sizes=[7, 3], mode="nearest", nearest_mode="floor")
    resize("resize_ceil", rand(1, 4, 5, 2), sizes=[7, 3], mode="nearest", nearest_mode="ceil")
    resize("resize_prefer_floor", rand(1, 4, 6, 2), sizes=[8, 3], mode="nearest",
           nearest_mode="round_prefer_floor")
    resize("resize_prefer_ceil", rand(1, 4, 6, 2), sizes=[8, 3], mode="nearest",
           nearest_mode="round_prefer_ceil")
    resize("resize_asymmetric", rand(1, 4, 5, 2), scales=[1.7, 0.6], mode="linear",
           coordinate_transformation_mode="asymmetric")
    resize("resize_pytorch_half_pixel", rand(1, 4, 5, 2), sizes=[1, 7], mode="linear",
           coordinate_transformation_mode="pytorch_half_pixel")
    resize("resize_symmetric", rand(1, 4, 5, 2), scales=[1.7, 0.7], mode="linear",
           coordinate_transformation_mode="half_pixel_symmetric")
    resize("resize_excluded", rand(1, 5, 6, 2), sizes=[9, 4], mode="cubic", exclude_outside=1,
           cubic_coeff_a=-0.5)
    resize("resize_crop", rand(1, 5, 6, 2), sizes=[4, 7], mode="linear",
           coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=5.0,
           roi=([0.2, -0.3], [0.9, 0.8]))
    onnx_case("depth_to_space_rows", "DepthToSpace", x=rand(1, 2, 3, 8), blocksize=2, mode="DCR")
    boxes = torch.tensor([[0.4, 0.7, 4.3, 5.2], [-1.5, 2.1, 2.2, 7.9], [3, 3, 3, 3],
                          [8, 9, 12, 13], [1.2, 0.1, 6.7, 3.3]]).double()
    batch = torch.tensor([1, 0, 1, 0, 0])
    for name, options in {
            "": dict(sampling_ratio=2, coordinate_transformation_mode="output_half_pixel"),
            "_aligned": dict(sampling_ratio=1, coordinate_transformation_mode="half_pixel"),
            "_cells": dict(coordinate_transformation_mode="half_pixel"),
            "_scale": dict(spatial_scale=0.5, sampling_ratio=2,
                           coordinate_transformation_mode="output_half_pixel")}.items():
        onnx_case("roi_align" + name, "RoiAlign", x=rand(2, 6, 7, 3), boxes=boxes, batch=batch,
                  output_height=2, output_width=3, **options)
    x = spread(2, 6, 7, 3)
    rois = torch.cat([batch[:, None].double(), boxes], 1)
    OPS.update({"roi_max_pool/x": x, "roi_max_pool/boxes": boxes, "roi_max_pool/batch": batch,
                "roi_max_pool/y": channels_last(run_onnx(
                    "MaxRoiPool", [("x", channels_first(x).contiguous()), ("rois", rois)],
                    dict(pooled_shape=[2, 3], spatial_scale=0.8)))})
    onnx_case("space_to_depth_rows", "SpaceToDepth", x=rand(1, 4, 6, 2), blocksize=2)


def make_activations():
    wide = lambda *shape: rand(*(shape or (24,)), low=-5, high=5)
    for name, function in {
            "celu": lambda x: F.celu(x, 0.7), "selu": F.selu, "relu6": F.relu6,
            "hard_sigmoid": F.hardsigmoid, "hard_swish": F.hardswish,
            "hard_tanh": lambda x: F.hardtanh(x, -1, 2), "mish": F.mish, "softsign": F.softsign,
            "logsigmoid": F.logsigmoid, "softshrink": lambda x: F.softshrink(x, 0.5),
            "hardshrink": lambda x: F.hardshrink(x, 0.5), "tanhshrink": F.tanhshrink,
            "threshold": lambda x: F.threshold(x, 0.5, -7),
            "softplus_beta": lambda x: F.softplus(x, beta=2, threshold=1e9)}.items():
        case(name, function, x=wide())
    # At the kinks themselves.
    ends = lambda *values: torch.tensor(values).double()
    case("relu6_kinks", F.relu6, x=ends(0, 6, 7, -1, 3))
    case("hard_tanh_kinks", F.hardtanh, x=ends(-1, 1, 2, 0, -2))
    case("softshrink_kinks", lambda x: F.softshrink(x, 0.5), x=ends(-0.5, 0.5, 0, 1, -1))
    case("hardshrink_kinks", lambda x: F.hardshrink(x, 0.5), x=ends(-0.5, 0.5, 0, 1, -1))
    case("threshold_kink", lambda x: F.threshold(x, 0.5, -7), x=ends(0.5, 0.25, 1))
    case("prelu", lambda x, slope: torch.where(x > 0, x, slope * x), x=wide(3, 5),
         slope=rand(5, low=0, high=1))
    case("prelu_own", lambda x, slope: F.prelu(x, slope), x=wide(4, 5), slope=rand(5))
    case("softmin", lambda x: F.softmin(x, 1), x=wide(3, 6))
    case("glu", lambda x: F.glu(x, 1), x=wide(3, 6, 2))
    halves = lambda x: x.chunk(2, -1)
    case("swiglu", lambda x: F.silu(halves(x)[0]) * halves(x)[1], x=wide(3, 8))
    case("geglu", lambda x: F.gelu(halves(x)[0]) * halves(x)[1], x=wide(3, 8))


def make_summaries():
    case("prod", lambda x: x.prod(1), x=rand(3, 4, 5, low=-2, high=2))
    case("prod_zeros", lambda x: x.prod(1),
         x=torch.tensor([[2.0, 0, 3, 4], [0, 5, 0, 2], [1, 2, 3, 4]]).double())
    case("argmin", lambda x: x.argmin(1), x=spread(3, 4, 5))
    case("argmin_all", lambda x: x.argmin(), x=spread(3, 4))
    case("variance_unbiased", lambda x: x.var((0, 2), correction=1), x=rand(3, 4, 5))
    case("std", lambda x: x.std((1,), correction=0, keepdim=True), x=rand(3, 4, 5))
    case("std_unbiased", lambda x: x.std((0, 2)), x=rand(3, 4, 5))
    case("std_constant", lambda x: x.std(1, correction=0), x=torch.full((2, 3), 2.0).double())
    for name, p in {"0": 0, "1": 1, "2": 2, "3": 3, "half": 0.5, "infinite": math.inf,
                    "smallest": -math.inf}.items():
        case(f"norm_{name}", lambda x: torch.linalg.vector_norm(x, p, (0, 2)), x=spread(3, 4, 5))
    case("norm_of_zeros", lambda x: torch.linalg.vector_norm(x, 2, 1),
         x=torch.tensor([[0.0, 0, 0], [3, 0, -4]]).double())
    case("norm_half_zeros", lambda x: torch.linalg.vector_norm(x, 1.5, 1),
         x=torch.tensor([[0.0, 0, 0], [3, 0, -4]]).double())
    case("logsumexp", lambda x: x.logsumexp((0, 2)), x=rand(3, 4, 5, low=-9, high=9))
    flags = rand(3, 4) > 0.4
    for name, function in {"any": torch.any, "all": torch.all,
                           "count_nonzero": torch.count_nonzero}.items():
        case(name, lambda x: function(x, 1).long(), x=flags.double())
    for name, function in {"cumsum": torch.cumsum, "cumprod": torch.cumprod}.items():
        case(name, lambda x: function(x, 1), x=rand(3, 4, 5, low=-2, high=2))
        case(f"{name}_reverse", lambda x: function(x.flip(0), 0).flip(0), x=rand(5, 3))
    case("cumprod_zeros", lambda x: torch.cumprod(x, 0),
         x=torch.tensor([2.0, 0, 3, 0, 5]).double())


# --- optimisers -------------------------------------------------------------------------------------

class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, program 1."""
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                b1, b2 = group["betas"]
                update = (b1 * m + (1 - b1) * p.grad).sign()
                self.state[p]["m"] = b2 * m + (1 - b2) * p.grad
                p.data -= group["lr"] * (update + group["weight_decay"] * p.data)


class Lamb(torch.optim.Optimizer):
    """You et al. 2020, algorithm 2, phi the identity."""
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state, (b1, b2) = self.state[p], group["betas"]
                state["t"] = t = state.get("t", 0) + 1
                m = state["m"] = b1 * state.get("m", 0) + (1 - b1) * p.grad
                v = state["v"] = b2 * state.get("v", 0) + (1 - b2) * p.grad ** 2
                r = m / (1 - b1 ** t) / ((v / (1 - b2 ** t)).sqrt() + 1e-6)
                r = r + group["weight_decay"] * p.data
                p.data -= group["lr"] * p.data.norm() / r.norm() * r


class Lars(torch.optim.Optimizer):
    """You et al. 2017, algorithm 1."""
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state, decay = self.state[p], group["weight_decay"]
                local = group["trust"] * p.data.norm() / (p.grad.norm() + decay * p.data.norm())
                v = group["momentum"] * state.get("v", 0)
                state["v"] = v = v + group["lr"] * local * (p.grad + decay * p.data)
                p.data -= v


O = torch.optim
OPTIMIZERS = {
    "sgd": (O.SGD, dict(lr=0.1)),
    "sgd_momentum": (O.SGD, dict(lr=0.05, momentum=0.9)),
    "sgd_dampening": (O.SGD, dict(lr=0.05, momentum=0.9, dampening=0.3)),
    "sgd_nesterov": (O.SGD, dict(lr=0.05, momentum=0.9, nesterov=True)),
    "sgd_weight_decay": (O.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.1)),
    "adam": (O.Adam, dict(lr=0.05)),
    "adam_weight_decay": (O.Adam, dict(lr=0.05, betas=(0.8, 0.95), weight_decay=0.1)),
    "adam_amsgrad": (O.Adam, dict(lr=0.1, betas=(0.7, 0.6), amsgrad=True)),
    "adamw": (O.AdamW, dict(lr=0.05, weight_decay=0.1)),
    "adamw_amsgrad": (O.AdamW, dict(lr=0.1, betas=(0.7, 0.6), weight_decay=0.1, amsgrad=True)),
    "rmsprop": (O.RMSprop, dict(lr=0.02)),
    "rmsprop_momentum": (O.RMSprop, dict(lr=0.02, alpha=0.9, momentum=0.8)),
    "rmsprop_weight_decay": (O.RMSprop, dict(lr=0.02, weight_decay=0.1)),
    "rmsprop_centered": (O.RMSprop, dict(lr=0.02, alpha=0.9, centered=True)),
    "rmsprop_centered_momentum":
        (O.RMSprop, dict(lr=0.01, alpha=0.9, centered=True, momentum=0.7)),
    "adagrad": (O.Adagrad, dict(lr=0.1)),
    "adagrad_decay": (O.Adagrad, dict(lr=0.2, lr_decay=0.1, initial_accumulator_value=0.5,
                                      weight_decay=0.1)),
    "adadelta": (O.Adadelta, dict(lr=1.0)),
    "adadelta_rho": (O.Adadelta, dict(lr=2.0, rho=0.7, weight_decay=0.1)),
    "adamax": (O.Adamax, dict(lr=0.05)),
    "adamax_weight_decay": (O.Adamax, dict(lr=0.05, betas=(0.8, 0.7), weight_decay=0.1)),
    "nadam": (O.NAdam, dict(lr=0.05)),
    "nadam_decoupled": (O.NAdam, dict(lr=0.05, betas=(0.8, 0.9), momentum_decay=0.1,
                                      weight_decay=0.1, decoupled_weight_decay=True)),
    "radam": (O.RAdam, dict(lr=0.05)),
    "radam_decoupled": (O.RAdam, dict(lr=0.05, betas=(0.8, 0.95), weight_decay=0.1,
                                      decoupled_weight_decay=True)),
    "rprop": (O.Rprop, dict(lr=0.03)),
    "rprop_steps": (O.Rprop, dict(lr=0.2, etas=(0.4, 1.5), step_sizes=(0.05, 0.3))),
    "asgd": (O.ASGD, dict(lr=0.1, t0=3, lambd=0.05, weight_decay=0.1)),
    "lion": (Lion, dict(lr=0.02, betas=(0.9, 0.99), weight_decay=0.1)),
    "lamb": (Lamb, dict(lr=0.05, betas=(0.9, 0.999), weight_decay=0.1)),
    "lars": (Lars, dict(lr=2.0, momentum=0.9, trust=0.02, weight_decay=0.1)),
    "sgd_clip": (O.SGD, dict(lr=0.1, momentum=0.9)),
    "sgd_clip_value": (O.SGD, dict(lr=0.1, momentum=0.9)),
    "adam_max_norm": (O.Adam, dict(lr=0.05)),
    "sgd_l1": (O.SGD, dict(lr=0.05)),
    "adamw_groups": (O.AdamW, dict(lr=0.05, weight_decay=0.1)),
    "adam_ema": (O.Adam, dict(lr=0.05)),
    "sgd_lookahead": (O.SGD, dict(lr=0.1, momentum=0.8)),
}


def make_optimizers(folder):
    """Ten steps on ½ Σ curvature (p - target)² + ⅒ Σ cos(3 p) over two parameters."""
    torch.manual_seed(20240612)
    tensors = {}
    shapes = {"w": (5, 3), "b": (4,)}
    initial = {k: rand(*s) for k, s in shapes.items()}
    target = {k: rand(*s) for k, s in shapes.items()}
    curvature = {k: rand(*s, low=0.2, high=3) for k, s in shapes.items()}
    for key in shapes:
        tensors[f"initial/{key}"] = initial[key]
    for name, (kind, options) in OPTIMIZERS.items():
        params = {k: v.clone().requires_grad_() for k, v in initial.items()}
        groups = [{"params": [params["w"]]}, {"params": [params["b"]]}]
        if name.endswith("groups"):
            groups[1].update(lr=0.1 * options["lr"], weight_decay=0)
        optimizer = kind(groups, options) if kind in (Lion, Lamb, Lars) else kind(groups, **options)
        module = torch.nn.ParameterDict(params)
        ema = O.swa_utils.AveragedModel(module, multi_avg_fn=O.swa_utils.get_ema_multi_avg_fn(0.8))
        slow = {k: p.detach().clone() for k, p in params.items()}
        grads, values, norms = {k: [] for k in shapes}, {k: [] for k in shapes}, []
        averages = {k: [] for k in shapes}
        for step in range(10):
            optimizer.zero_grad()
            sum((curvature[k] * (p - target[k]) ** 2 / 2 + torch.cos(3 * p) / 10).sum()
                for k, p in params.items()).backward()
            for k, p in params.items():
                # What soma's test feeds is f32, so the optimiser here sees the same.
                p.grad = p.grad.float().double()
                grads[k].append(p.grad.clone())
            if name.endswith("clip"):
                norms.append(torch.nn.utils.clip_grad_norm_(params.values(), 0.5))
            if name.endswith("clip_value"):
                torch.nn.utils.clip_grad_value_(params.values(), 0.3)
            if name.endswith("l1"):
                for p in params.values():
                    p.grad += 0.1 * p.detach().sign()
            optimizer.step()
            with torch.no_grad():
                if name.endswith("max_norm"):
                    params["w"].copy_(torch.renorm(params["w"], 2, 0, 0.8))
                if name.endswith("lookahead") and (step + 1) % 3 == 0:
                    for k, p in params.items():
                        slow[k] += 0.4 * (p - slow[k])
                        p.copy_(slow[k])
            ema.update_parameters(module)
            for k, p in params.items():
                values[k].append(p.detach().clone())
                averages[k].append(optimizer.state[p]["ax"].clone() if name == "asgd"
                                   else ema.module[k].detach().clone())
        for k in shapes:
            tensors[f"{name}/g/{k}"] = torch.stack(grads[k])
            tensors[f"{name}/p/{k}"] = torch.stack(values[k])
            if name in ("adam_ema", "asgd"):
                tensors[f"{name}/average/{k}"] = torch.stack(averages[k])
        if norms:
            tensors[f"{name}/norm"] = torch.stack(norms)
    write(folder / "optim.safetensors", tensors)


class RoundedLBFGS(torch.optim.LBFGS):
    """PyTorch's, but with parameters and gradients of f32, as soma has them: which way a line search
    turns depends on the last digit."""
    def _add_grad(self, step_size, update):
        super()._add_grad(step_size, update)
        for p in self._params:
            p.copy_(p.float())

    def _gather_flat_grad(self):
        return super()._gather_flat_grad().float().double()


def make_lbfgs(folder):
    """Steps of PyTorch's LBFGS on Σ (x' - x²)² + ½ (1 - x)² over neighbours x, x' of 12 numbers in
    two parameters, with L2 for `decay`: the parameters and the loss before each step."""
    torch.manual_seed(20240614)
    tensors = {}
    start = {"w": rand(2, 4, low=-2, high=2), "b": rand(4, low=-2, high=2)}
    for k, v in start.items():
        tensors[f"initial/{k}"] = v
    for name, decay, options in (("plain", 0, dict(max_iter=4)),
                                 ("history", 0, dict(max_iter=4, history_size=2)),
                                 ("rate", 0, dict(max_iter=5, lr=0.1)),
                                 ("evaluations", 0, dict(max_iter=10, max_eval=3)),
                                 ("decay", 0.1, dict(max_iter=6))):
        params = {k: v.clone().requires_grad_() for k, v in start.items()}
        optimizer = RoundedLBFGS(params.values(), line_search_fn="strong_wolfe",
                                 **{"history_size": 10, **options})

        def closure():
            optimizer.zero_grad()
            x = torch.cat([p.flatten() for p in params.values()])
            loss = ((x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2 / 2).sum()
            loss = loss + decay / 2 * (x ** 2).sum()
            loss.backward()
            return loss

        values, losses = {k: [] for k in params}, []
        for _ in range(6):
            losses.append(optimizer.step(closure).detach())
            for k, p in params.items():
                values[k].append(p.detach().clone())
        tensors[f"{name}/loss"] = torch.stack(losses)
        for k in params:
            tensors[f"{name}/p/{k}"] = torch.stack(values[k])
    write(folder / "lbfgs.safetensors", tensors)


# --- schedules --------------------------------------------------------------------------------------

L = torch.optim.lr_scheduler
# A training of 60 steps, ten an epoch. Those that PyTorch steps once an epoch are stepped so.
SCHEDULES = {
    "step": (lambda o: L.StepLR(o, 2, 0.5), 10),
    "multistep": (lambda o: L.MultiStepLR(o, [1, 3, 4], 0.3), 10),
    "exponential": (lambda o: L.ExponentialLR(o, 0.7), 10),
    "linear": (lambda o: L.LinearLR(o, 1, 0.1, 60), 1),
    "polynomial": (lambda o: L.PolynomialLR(o, 60, 2.5), 1),
    "cosine": (lambda o: L.CosineAnnealingLR(o, 60, 0.02), 1),
    "cosine_restarts": (lambda o: L.CosineAnnealingWarmRestarts(o, 10, 2, 0.02), 1),
    "cosine_restarts_equal": (lambda o: L.CosineAnnealingWarmRestarts(o, 15, 1, 0.02), 1),
    "one_cycle": (lambda o: L.OneCycleLR(o, 0.2, 60), 1),
    "one_cycle_linear": (lambda o: L.OneCycleLR(
        o, 0.2, 60, pct_start=0.4, anneal_strategy="linear", base_momentum=0.7, max_momentum=0.8,
        div_factor=10, final_div_factor=100), 1),
    "cyclic": (lambda o: L.CyclicLR(o, 0.02, 0.2, 10), 1),
    "cyclic_halving": (lambda o: L.CyclicLR(o, 0.02, 0.2, 10, mode="triangular2",
                                            cycle_momentum=False), 1),
    "cyclic_exponential": (lambda o: L.CyclicLR(o, 0.02, 0.2, 10, mode="exp_range", gamma=0.97,
                                                cycle_momentum=False), 1),
    "inverse_sqrt": (lambda o: L.LambdaLR(
        o, lambda s: min((s + 1) ** -0.5, (s + 1) * 9 ** -1.5) * 9 ** 0.5), 1),
    "plateau": (lambda o: L.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1, min_lr=0.03),
                1),
}
PLATEAU_METRIC = [1, 0.9, 0.89, 0.88999, 0.9, 0.91, 0.88, 0.885, 0.884, 0.8799999, 0.9, 0.95, 1,
                  0.87, 0.871, 0.88, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.6]


def make_schedules(folder):
    tensors = {"metric": torch.tensor(PLATEAU_METRIC).double()}
    for name, (make, each) in SCHEDULES.items():
        optimizer = O.SGD([torch.zeros(1, requires_grad=True)], lr=0.2, momentum=0.9)
        schedule = make(optimizer)
        rates, momenta = [], []
        for step in range(len(PLATEAU_METRIC) if name == "plateau" else 60):
            group = optimizer.param_groups[0]
            rates.append(group["lr"])
            momenta.append(group["momentum"])
            optimizer.step()
            if name == "plateau":
                schedule.step(PLATEAU_METRIC[step])
            elif (step + 1) % each == 0 and step < 59:
                schedule.step()
        tensors[f"{name}/rate"] = torch.tensor(rates).double()
        tensors[f"{name}/momentum"] = torch.tensor(momenta).double()
    write(folder / "schedules.safetensors", tensors)


# --- a whole network --------------------------------------------------------------------------------

def make_network(folder):
    """conv 4 3×3 pad 1, relu, max-pool 2, flatten (H W C), dense 16, relu, dense 10; mean cross-entropy;
    ten steps of SGD 0.05, momentum 0.9 on the same 16 images."""
    torch.manual_seed(20240613)
    params = {
        "conv.weight": rand(4, 3, 3, 1, low=-0.4, high=0.4), "conv.bias": rand(4, low=-0.1, high=0.1),
        "fc1.weight": rand(16, 64, low=-0.2, high=0.2), "fc1.bias": rand(16, low=-0.1, high=0.1),
        "fc2.weight": rand(10, 16, low=-0.4, high=0.4), "fc2.bias": rand(10, low=-0.1, high=0.1),
    }
    x, labels = rand(16, 8, 8, 1, low=0, high=1), torch.randint(0, 10, (16,))
    tensors = {f"initial/{k}": v.clone() for k, v in params.items()}
    tensors["x"], tensors["labels"] = x, labels
    for value in params.values():
        value.requires_grad_()
    optimizer = torch.optim.SGD(params.values(), lr=0.05, momentum=0.9)
    losses = []
    for step in range(10):
        h = F.conv2d(nchw(x), nchw(params["conv.weight"]), params["conv.bias"], padding=1)
        h = nhwc(F.max_pool2d(F.relu(h), 2)).flatten(1)
        h = F.relu(F.linear(h, params["fc1.weight"], params["fc1.bias"]))
        logits = F.linear(h, params["fc2.weight"], params["fc2.bias"])
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.detach())
        if step == 0:
            tensors["logits1"] = logits.detach()
            for k, p in params.items():
                tensors[f"grad1/{k}"] = p.grad.clone()
        optimizer.step()
    tensors["losses"] = torch.stack(losses)
    for k, p in params.items():
        tensors[f"final/{k}"] = p.detach()
    write(folder / "network.safetensors", tensors)


# --- ctc --------------------------------------------------------------------------------------------

def ctc(x, targets, steps=None, labels=None, **options):
    """From logits [B,T,K] with the batch in front; all steps, and labels that are not negative."""
    if steps is None:
        steps = torch.full((x.shape[0],), x.shape[1])
    if labels is None:
        labels = (targets >= 0).sum(1)
    options.setdefault("reduction", "none")
    return F.ctc_loss(F.log_softmax(x, 2).transpose(0, 1), targets, steps, labels, **options)


def make_ctc():
    # A label twice in a row, one as long as it can be, none, and one of a single label.
    targets = torch.tensor([[1, 2, 2], [4, 3, 1], [-1, -1, -1], [5, -1, -1]])
    padded = dict(targets=targets, steps=torch.tensor([7, 3, 5, 1]), labels=torch.tensor([3, 3, 0, 1]))
    case("ctc_loss_plain", ctc, x=rand(4, 7, 6, low=-3, high=3), targets=targets)
    case("ctc_loss_mean", lambda x, t: ctc(x, t, reduction="mean"), x=rand(4, 7, 6),
         targets=targets)
    case("ctc_loss_padded", ctc, x=rand(4, 7, 6), **padded)
    for reduction in ("mean", "sum"):
        case(f"ctc_loss_padded_{reduction}", lambda *i: ctc(*i, reduction=reduction),
             x=rand(4, 7, 6), **padded)
    case("ctc_loss_blank", lambda *i: ctc(*i, blank=5), x=rand(4, 7, 6),
         **(padded | {"targets": targets % 5}))
    # The second is too long for its input.
    long = torch.tensor([[1, 2, 3], [1, 1, 2]])
    case("ctc_loss_zero_infinity", lambda x, t: ctc(x, t, zero_infinity=True), x=rand(2, 3, 4),
         targets=long)


# --- crf --------------------------------------------------------------------------------------------

def make_crf(folder):
    """A tagger's last layer: pytorch-crf's likelihoods of padded rows of tags, their gradients, the best tags."""
    from torchcrf import CRF
    torch.manual_seed(20240703)
    module = CRF(4, batch_first=True).double()
    for p in module.parameters():
        p.data = torch.randn_like(p).float().double()
    lengths = torch.tensor([6, 2, 1, 5, 6])
    x = (2 * rand(5, 6, 4)).requires_grad_()
    mask = torch.arange(6)[None] < lengths[:, None]
    tags = torch.randint(0, 4, (5, 6))
    y = -module(x, tags, mask=mask, reduction="none")
    dy = rand(5)
    (y * dy).sum().backward()
    best = torch.full((5, 6), -1)
    for row, found in zip(best, module.decode(x, mask=mask)):
        row[:len(found)] = torch.tensor(found)
    tensors = {"x": x, "grad/x": x.grad, "y": y, "dy": dy, "lengths": lengths, "best": best,
               "tags": torch.where(mask, tags, -1)}
    for key, p in module.named_parameters():
        tensors[key], tensors[f"grad/{key}"] = p, p.grad
    write(folder / "crf.safetensors", tensors)


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    target.mkdir(parents=True, exist_ok=True)
    make_ops(target)
    make_optimizers(target)
    make_lbfgs(target)
    make_schedules(target)
    make_network(target)
    group(target, "losses", make_loss_group)
    group(target, "math", make_math)
    group(target, "quantize", make_quantize)
    group(target, "windows", make_windows)
    group(target, "images", make_images)
    group(target, "arrange", make_arrange)
    group(target, "activation", make_activations)
    group(target, "scatter", make_scatter)
    group(target, "sort", make_sort)
    group(target, "einsum", make_einsum)
    group(target, "summary", make_summaries)
    group(target, "norms", make_norm_group)
    group(target, "linalg", make_linalg)
    group(target, "recurrent", make_recurrent)
    make_recurrent_layers(target)
    group(target, "ctc", make_ctc)
    group(target, "attention", make_attention)
    make_attention_layers(target)
    make_crf(target)
