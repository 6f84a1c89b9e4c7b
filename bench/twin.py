#!/usr/bin/env python3
"""Trains the PyTorch twin of a recipe: the same network, data, optimiser and schedule, so that the two
figures can stand side by side.

    python3 bench/twin.py recipes/cifar10-lenet.yaml --data DIR [--folds 5] [--seeds 3] [--epochs N]

Needs a Python with torch, numpy and yaml. It reads the recipe itself, so twin and recipe cannot drift
apart; a key that it does not know stops it. Weights start as soma's do (He or Xavier, zero biases), the
validation part only chooses the epoch, and the test part is looked at once.
"""
import argparse
import collections
import csv
import gzip
import json
import math
import os
import re
import time

import numpy as np
import torch
import yaml
from torch import nn
from torch.nn import functional as F

# --- data -----------------------------------------------------------------------------------------


def read_idx(path):
    with gzip.open(path, "rb") as file:
        raw = file.read()
    dims = [int.from_bytes(raw[4 + 4 * i:8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(dims)).reshape(dims)


def read_cifar(path):
    raw = np.fromfile(path, np.uint8).reshape(-1, 3073)
    return raw[:, 1:].reshape(-1, 3, 32, 32), raw[:, 0].astype(np.int64)


def pictures(source, folder):
    if source == "cifar10":
        parts = [read_cifar(os.path.join(folder, "cifar10", f"{p}.bin")) for p in ("train_10k", "test_2k")]
        return parts[0] + parts[1]
    name = lambda part, kind: os.path.join(folder, source, f"{part}-{kind}-ubyte.gz")
    return (read_idx(name("train", "images-idx3"))[:, None], read_idx(name("train", "labels-idx1")).astype(np.int64),
            read_idx(name("t10k", "images-idx3"))[:, None], read_idx(name("t10k", "labels-idx1")).astype(np.int64))


# Known tables: file, header, label column.
TABLES = {
    "wine-quality": ("winequality-white.csv", False, -1),
    "california-housing": ("california-housing.csv", True, "median_house_value"),
    "german-credit": ("german.csv", False, -1),
    "banknote": ("banknote_authentication.csv", False, -1),
    "abalone": ("abalone.csv", False, -1),
}


def table(source, folder, regress):
    """Features with text columns as 0/1 columns, and the target; gaps take the column's median."""
    name, has_header, label = TABLES[source]
    with open(os.path.join(folder, "tabular", name), newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    header = rows.pop(0) if has_header else [str(i) for i in range(len(rows[0]))]
    label = header.index(label) if label in header else int(label) % len(header)
    columns = []
    for c in range(len(header)):
        values = [row[c] for row in rows]
        if c == label:
            continue
        try:
            column = np.array([float(v) if v else math.nan for v in values])
            if np.isnan(column).any():
                column = np.where(np.isnan(column), np.nanmedian(column), column)
            columns.append(column)
        except ValueError:
            columns += [np.array([float(v == kind) for v in values]) for kind in sorted(set(values))]
    target = [row[label] for row in rows]
    if regress:
        y = np.array([float(v) for v in target], np.float32)
    else:
        kinds = sorted(set(target))
        y = np.array([kinds.index(v) for v in target])
    return np.stack(columns, 1).astype(np.float32), y


def words_of(text, data):
    return re.findall(r"\w+|[^\w\s]+", text.lower() if data.get("lowercase") else text)


def texts(data, folder, validation, generator):
    """Ids [n, length], 0 behind the end, with the vocabulary of what is left after the validation part."""
    parts = []
    for part in ("train", "test"):
        with gzip.open(os.path.join(folder, "text-imdb", f"imdb-{part}.tsv.gz"), "rt", encoding="utf-8",
                       newline="\n") as file:
            rows = [line.rstrip("\n").split("\t") for line in file]
        parts.append(([words_of(row[-1], data) for row in rows], np.array([int(row[0]) for row in rows])))
    order = generator.permutation(len(parts[0][0]))
    held = order[:round(validation * len(order))]
    rest = order[len(held):]
    counts = collections.Counter(word for i in rest for word in parts[0][0][i])
    kept = sorted(counts, key=lambda word: (-counts[word], word.encode()))[:data["vocabulary"] - 2]
    number = {word: 2 + i for i, word in enumerate(kept)}
    length = data.get("length", 256)

    def encode(rows):
        ids = np.zeros((len(rows), length), np.int64)
        for row, words in zip(ids, rows):
            words = words[-length:] if data.get("keep") == "end" else words[:length]
            row[:len(words)] = [number.get(word, 1) for word in words]
        return ids

    x, y = encode(parts[0][0]), parts[0][1]
    return [(x[rest], y[rest]), (x[held], y[held]) if len(held) else None, (encode(parts[1][0]), parts[1][1])]


# --- the network ----------------------------------------------------------------------------------


def same(layer_kernel):
    return layer_kernel // 2


class Basic(nn.Module):
    """He et al. 2016, CIFAR form; shortcut of option A (subsampled, zero channels) or B (1x1 conv)."""

    def __init__(self, into, out, stride, option):
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.into, self.out, self.stride = into, out, stride
        self.shortcut = None
        if option == "B" and (stride != 1 or into != out):
            self.shortcut = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif self.stride != 1 or self.into != self.out:
            x = x[:, :, ::self.stride, ::self.stride]
            x = F.pad(x, (0, 0, 0, 0, 0, self.out - self.into))
        return F.relu(y + x)


def cifar_resnet(blocks, classes, option):
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    into = 16
    for out, stride in ((16, 1), (32, 2), (64, 2)):
        for i in range(blocks):
            layers.append(Basic(into, out, stride if i == 0 else 1, option))
            into = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU}


def build(model, shape):
    """The modules of a recipe's layer list on samples of `shape` (channels first)."""
    layers = []

    specs = [(m, {}) if isinstance(m, str) else next(iter(m.items())) for m in model]
    for at, (kind, keys) in enumerate(specs):
        short = {"dense": "units", "dropout": "p", "max_pool2d": "size", "avg_pool2d": "size"}
        if not isinstance(keys, dict):
            keys = {short[kind]: keys}
        following = next((k for k, _ in specs[at + 1:] if k not in ("batch_norm", "dropout", "max_pool2d", "flatten")), None)
        activation = keys.get("activation", following if following in ACTIVATIONS else None)
        probe = torch.zeros(2, *shape)
        if kind == "dense":
            add = nn.Linear(shape[0], keys["units"], bias=not keys.get("no_bias"))
        elif kind == "conv2d":
            kernel = keys.get("kernel", 3)
            add = nn.Conv2d(shape[0], keys["filters"], kernel, keys.get("stride", 1),
                            same(kernel) if keys.get("padding") == "same" else keys.get("pad", 0),
                            bias=not keys.get("no_bias"))
        elif kind == "batch_norm":
            add = nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
        elif kind == "dropout":
            add = nn.Dropout(keys["p"])
        elif kind == "spatial_dropout":
            add = nn.Dropout2d(keys["p"])
        elif kind in ("max_pool2d", "avg_pool2d"):
            pool = nn.MaxPool2d if kind[0] == "m" else nn.AvgPool2d
            add = pool(keys["size"], keys.get("stride", keys["size"]))
        elif kind == "flatten":
            add = nn.Flatten()
        elif kind in ACTIVATIONS:
            add = ACTIVATIONS[kind]()
        elif kind == "resnet":
            option = "A" if keys.get("shortcut") == "pad" else "B"
            add = cifar_resnet((keys["depth"] - 2) // 6, keys["classes"], option)
        else:
            raise SystemExit(f"the twin has no layer {kind}")
        for module in add.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                he = activation in ("relu", "silu", "gelu") or (kind == "resnet" and isinstance(module, nn.Conv2d))
                if he:
                    nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                else:
                    nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        layers.append(add)
        if "activation" in keys:
            layers.append(ACTIVATIONS[keys["activation"]]())
        with torch.no_grad():
            shape = tuple(nn.Sequential(*layers[-2 if "activation" in keys else -1:]).eval()(probe).shape[1:])
    return nn.Sequential(*layers)


# --- networks over texts --------------------------------------------------------------------------


class Positions(nn.Module):
    def __init__(self, count, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, width) * 0.02)

    def forward(self, x):
        return x + self.weight[:x.shape[1]]


class Lines(nn.Module):
    """A convolution over [B,T,C] with as many steps out as in; of an even kernel the odd cell is at the end."""

    def __init__(self, into, keys):
        super().__init__()
        self.kernel, self.activation = keys["kernel"], ACTIVATIONS[keys["activation"]]()
        self.conv = nn.Conv1d(into, keys["filters"], self.kernel)

    def forward(self, x):
        before = (self.kernel - 1) // 2
        return self.activation(self.conv(F.pad(x.mT, (before, self.kernel - 1 - before)))).mT


class Beside(nn.Module):
    def __init__(self, branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], -1)


class Recurrent(nn.Module):
    def __init__(self, into, keys):
        super().__init__()
        self.lstm = nn.LSTM(into, keys["units"], batch_first=True, bidirectional=keys.get("bidirectional", False))

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class Encoder(nn.Module):
    def __init__(self, into, keys):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(into, keys["heads"], keys["units"], keys.get("dropout", 0),
                                                batch_first=True, norm_first=keys.get("norm_first", False))

    def forward(self, x, lengths):
        return self.layer(x, src_key_padding_mask=torch.arange(x.shape[1]) >= lengths.clamp(min=1)[:, None])


class Pool(nn.Module):
    def __init__(self, pooling):
        super().__init__()
        self.pooling = pooling

    def forward(self, x, lengths):
        mask = (torch.arange(x.shape[1]) < lengths[:, None])[:, :, None]
        if self.pooling == "max":
            return torch.where(lengths[:, None] > 0, x.masked_fill(~mask, -math.inf).amax(1), 0)
        return (x * mask).sum(1) / lengths.clamp(min=1)[:, None]


def text_layer(spec, into):
    """A layer of a recipe over `into` channels, and how many it gives."""
    if isinstance(spec, list):
        layers = []
        for one in spec:
            layer, into = text_layer(one, into)
            layers.append(layer)
        return nn.Sequential(*layers), into
    kind, keys = next(iter(spec.items()))
    if kind == "embedding":
        layer = nn.Embedding(keys["count"], keys["units"], padding_idx=0 if keys.get("padding") else None)
        nn.init.normal_(layer.weight, std=keys.get("init", {"normal": 1})["normal"])
        return layer, keys["units"]
    if kind == "dropout":
        return nn.Dropout(keys), into
    if kind == "positions":
        return Positions(keys, into), into
    if kind == "conv1d":
        return Lines(into, keys), keys["filters"]
    if kind == "concat":
        branches = [text_layer(branch, into) for branch in keys]
        return Beside([branch for branch, _ in branches]), sum(width for _, width in branches)
    if kind == "lstm":
        return Recurrent(into, keys), keys["units"] * (2 if keys.get("bidirectional") else 1)
    if kind == "transformer_encoder":
        return Encoder(into, keys), into
    if kind == "sequence_pool":
        return Pool(keys), into
    if kind == "dense":
        return nn.Linear(into, keys), keys
    raise SystemExit(f"the twin has no layer {kind}")


class Texts(nn.Module):
    """A graph whose nodes take the one before, or what `from` names; `lengths` is made of the ids."""

    def __init__(self, nodes):
        super().__init__()
        self.nodes, self.layers, widths, before = nodes, nn.ModuleDict(), {"input": 1}, "input"
        for node in nodes:
            if node["layer"] != "lengths":
                of = node.get("from", before)
                layer, width = text_layer(node["layer"], widths[of if isinstance(of, str) else of[0]])
                self.layers[node["name"]], widths[node["name"]] = layer, width
            before = node["name"]

    def forward(self, ids):
        lengths = (ids != 0).sum(1)
        ids = ids[:, :max(1, int(lengths.max()))]
        values, before = {"input": ids, "lengths": lengths}, "input"
        for node in self.nodes:
            if node["layer"] != "lengths":
                of = node.get("from", before)
                values[node["name"]] = self.layers[node["name"]](*[values[n] for n in ([of] if isinstance(of, str) else of)])
            before = node["name"]
        return values[before]


# --- training -------------------------------------------------------------------------------------


def crop_and_flip(x, pad):
    """Zero padding by `pad`, a random window of the old size, mirrored half of the time."""
    n, _, h, w = x.shape
    big = F.pad(x, (pad, pad, pad, pad))
    top, left = torch.randint(0, 2 * pad + 1, (n,)), torch.randint(0, 2 * pad + 1, (n,))
    rows = (top[:, None] + torch.arange(h))[:, None, :, None]
    flip = torch.rand(n) < 0.5
    across = torch.where(flip[:, None], torch.arange(w - 1, -1, -1), torch.arange(w))
    cols = (left[:, None] + across)[:, None, None, :]
    return big[torch.arange(n)[:, None, None, None], torch.arange(x.shape[1])[None, :, None, None], rows, cols]


def optimizer_of(net, keys):
    kind, rate = keys.get("kind", "sgd"), keys["rate"]
    decay = keys.get("weight_decay", 0)
    if kind == "sgd":
        return torch.optim.SGD(net.parameters(), rate, keys.get("momentum", 0), weight_decay=decay,
                               nesterov=keys.get("nesterov", False))
    if kind == "adam":
        return torch.optim.Adam(net.parameters(), rate, weight_decay=decay)
    if kind == "adamw":
        return torch.optim.AdamW(net.parameters(), rate, weight_decay=keys.get("weight_decay", 0.01))
    raise SystemExit(f"the twin has no optimizer {kind}")


def rate_at(keys, step, steps):
    schedule = keys.get("schedule", "constant")
    warmup = keys.get("warmup", 0)
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
    if schedule == "constant":
        return 1.0
    raise SystemExit(f"the twin has no schedule {schedule}")


def train(recipe, parts, epochs, regress, pad):
    (x, y), held, (test_x, test_y) = parts
    graph = recipe["model"][0].get("graph") if isinstance(recipe["model"][0], dict) else None
    net = Texts(graph["nodes"]) if graph else build(recipe["model"], tuple(x.shape[1:]))
    keys = recipe["train"]
    optimizer = optimizer_of(net, keys["optimizer"])
    batch, rate = keys.get("batch", 32), keys["optimizer"]["rate"]
    per_epoch = x.shape[0] // batch
    per_epoch += x.shape[0] % batch > 0
    loss_of = (lambda o, t: F.mse_loss(o[:, 0], t)) if regress else F.cross_entropy
    best, kept, step = math.inf, None, 0
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(x.shape[0])
        for at in range(0, x.shape[0], batch):
            chosen = order[at:at + batch]
            for group in optimizer.param_groups:
                group["lr"] = rate * rate_at(keys["optimizer"], step, epochs * per_epoch)
            part = crop_and_flip(x[chosen], pad) if pad else x[chosen]
            optimizer.zero_grad(set_to_none=True)
            loss_of(net(part), y[chosen]).backward()
            if keys["optimizer"].get("clip_norm"):
                nn.utils.clip_grad_norm_(net.parameters(), keys["optimizer"]["clip_norm"])
            optimizer.step()
            step += 1
        if held is not None:
            loss = measure(net, *held, regress)["loss"]
            if loss < best:
                best, kept = loss, {k: v.clone() for k, v in net.state_dict().items()}
    if kept:
        net.load_state_dict(kept)
    return measure(net, test_x, test_y, regress)


def measure(net, x, y, regress):
    net.eval()
    with torch.no_grad():
        out = torch.cat([net(part) for part in x.split(250 if x.dtype == torch.int64 else 1000)])
    if regress:
        error = out[:, 0] - y
        return {"loss": (error ** 2).mean().item(), "rmse": (error ** 2).mean().sqrt().item(),
                "mae": error.abs().mean().item()}
    return {"loss": F.cross_entropy(out, y).item(), "accuracy": (out.argmax(1) == y).float().mean().item()}


# --- parts ----------------------------------------------------------------------------------------


def scaled(kind, parts):
    """Scaling fitted on the training part: per channel, or per feature."""
    x = parts[0][0]
    axes = (0, 2, 3) if x.ndim == 4 else (0,)
    if kind == "standard":
        shift, scale = x.mean(axes, keepdims=True), x.std(axes, keepdims=True)
        scale = np.where(scale > 0, scale, 1)
    else:
        shift, scale = np.float32(0), np.float32(255 if kind == "unit" else 1)
    return [None if p is None else ((p[0] - shift) / scale, p[1]) for p in parts]


def scaled_target(parts):
    """Targets to mean 0 and variance 1 of the training part; also what undoes it."""
    mean, deviation = parts[0][1].mean(), parts[0][1].std()
    return [None if p is None else (p[0], (p[1] - mean) / deviation) for p in parts], deviation


def tensors(parts):
    return [None if p is None else (torch.from_numpy(np.ascontiguousarray(p[0], None if p[0].dtype == np.int64 else np.float32)),
                                    torch.from_numpy(p[1]))
            for p in parts]


def cut(x, y, share, generator):
    """The rest and a random part of `share` (or that many samples)."""
    count = int(share if share >= 1 else round(share * len(y)))
    order = generator.permutation(len(y))
    part, rest = order[:count], order[count:]
    return (x[rest], y[rest]), (x[part], y[part])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("--data", default=os.environ.get("SOMA_DATA", "data"))
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with open(args.recipe) as file:
        recipe = yaml.safe_load(file)
    data, epochs = recipe["data"], args.epochs or recipe["train"].get("epochs", 10)
    regress = recipe.get("task") == "regress"
    pad = 0
    for transform in data.get("transforms", []):
        if isinstance(transform, dict) and "pad_crop" in transform:
            pad = transform["pad_crop"]
        elif transform != "flip":
            raise SystemExit(f"the twin has no transform {transform}")
    if data["source"] == "imdb":
        for seed in range(1, args.seeds + 1):
            torch.manual_seed(seed)
            begun = time.perf_counter()
            parts = texts(data, args.data, data.get("validation", 0), np.random.default_rng(seed))
            result = train(recipe, tensors(parts), epochs, False, 0)
            print(json.dumps({"seed": seed, **result, "seconds": time.perf_counter() - begun}), flush=True)
        return
    if data["source"] in TABLES:
        x, y = table(data["source"], args.data, regress)
        test = None
    else:
        x, y, test_x, test_y = pictures(data["source"], args.data)
        x, test = x.astype(np.float32), (test_x.astype(np.float32), test_y)
    figures = {}
    for seed in range(1, args.seeds + 1):
        generator = np.random.default_rng(seed)
        (train_x, train_y), drawn = ((x, y), test) if test else cut(x, y, data.get("test", 0.2), generator)
        order = generator.permutation(len(train_y))
        for fold in range(max(args.folds, 1)):
            torch.manual_seed(seed * 100 + fold)
            rest, held_out = (train_x, train_y), drawn
            if args.folds:
                chosen = np.zeros(len(train_y), bool)
                chosen[order[fold::args.folds]] = True
                rest, held_out = (train_x[~chosen], train_y[~chosen]), (train_x[chosen], train_y[chosen])
            held = None
            if data.get("validation"):
                rest, held = cut(*rest, data["validation"], generator)
            begun = time.perf_counter()
            parts, unit = scaled(data.get("scale", "none"), [rest, held, held_out]), 1
            if data.get("target_scale") == "standard":
                parts, unit = scaled_target(parts)
            result = train(recipe, tensors(parts), epochs, regress, pad)
            for key in ("rmse", "mae"):
                if key in result:
                    result[key] *= float(unit)
            result["seconds"] = time.perf_counter() - begun
            print(json.dumps({"seed": seed, "fold": fold + 1, **result}), flush=True)
            for key, value in result.items():
                figures.setdefault(key, []).append(value)
    print(json.dumps({key: {"mean": float(np.mean(v)), "deviation": float(np.std(v, ddof=1)) if len(v) > 1 else None}
                      for key, v in figures.items()}))


if __name__ == "__main__":
    main()
