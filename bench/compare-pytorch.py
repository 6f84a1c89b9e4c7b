#!/usr/bin/env python3
"""Milliseconds a training step in soma and in PyTorch, in turns on the same machine.

    python3 bench/compare-pytorch.py [--soma build/soma] [--threads 2] [--rounds 5] [--compile]

Needs a Python with torch. Both sides run the same networks on random data: forward, cross-entropy,
backward, Adam; soma's also count the correct samples. The median of each round's steps is taken, then
the median of the rounds.
"""
import argparse
import json
import statistics
import subprocess
import time

import torch
from torch import nn


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout2d(0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10))


WORK = [("mnist-mlp", mlp, 32, 200), ("mnist-mlp", mlp, 128, 100), ("mnist-cnn", cnn, 64, 15)]


def torch_step(make, batch, steps, compiled):
    """Median seconds of a step, after a warm-up."""
    torch.manual_seed(1)
    net = make()
    if make is cnn:
        net = net.to(memory_format=torch.channels_last)
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    x = torch.rand(batch, 1, 28, 28)
    y = torch.randint(0, 10, (batch,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    if compiled:
        step = torch.compile(step)
    for _ in range(5):
        step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def soma_steps(program, threads):
    """name, batch -> seconds."""
    out = subprocess.run([program, "bench", "training step", "--json", "-t", str(threads)],
                         check=True, capture_output=True, text=True).stdout
    rows = {}
    for line in out.splitlines():
        row = json.loads(line)
        if row["event"] == "bench":
            name = row["name"].split()
            rows[name[0], int(name[-1])] = row["seconds"]
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--soma", default="build/soma")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    modes = ["eager"] + (["compile"] if args.compile else [])
    soma, peer = {}, {}
    for _ in range(args.rounds):
        for key, seconds in soma_steps(args.soma, args.threads).items():
            soma.setdefault(key, []).append(seconds)
        for name, make, batch, steps in WORK:
            for mode in modes:
                peer.setdefault((name, batch, mode), []).append(
                    torch_step(make, batch, steps, mode == "compile"))
    print(f"PyTorch {torch.__version__}, {args.threads} threads, {args.rounds} rounds; "
          "ms a step, median (least to most)")
    for name, _, batch, _ in WORK:
        ours = soma[name, batch]
        for mode in modes:
            theirs = peer[name, batch, mode]
            print(f"{name:10} batch {batch:4}  soma {statistics.median(ours) * 1e3:8.3f} "
                  f"({min(ours) * 1e3:.3f} to {max(ours) * 1e3:.3f})  {mode:7} "
                  f"{statistics.median(theirs) * 1e3:8.3f} ({min(theirs) * 1e3:.3f} to "
                  f"{max(theirs) * 1e3:.3f})  ratio "
                  f"{statistics.median(ours) / statistics.median(theirs):.2f}")


main()
