#!/usr/bin/env python3
"""soma beside PyTorch and ONNX Runtime: the same work, in turns, in one run.

    python3 bench/compare.py [--soma build/soma] [--out build/compare] [--only TEXT] [--rounds 5]
                             [--threads 2] [--quick] [--python PYTHON]

`make bench` calls it. The peers run in a Python of their own: that of --python or $BENCH_PYTHON, else a
virtual environment in the folder of --out, which is made and filled from PyPI when it is missing. What
cannot be installed is said to be missing; no row is left out.

For each line of `soma bench` soma writes its weights, inputs and results (--out), the peers compute the
same from these and must find the same; then soma and its peers are timed in turns, for some rounds. A
figure is the median of the rounds' medians. Writes table.txt, table.json, table.md (for
docs/benchmarks.md) and chart.svg to the folder of --out.
"""
import argparse
import json
import os
import platform
import re
import shutil
import statistics
import struct
import subprocess
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(HERE, "peers.py")
PACKAGES = ["torch", "torchvision", "onnxruntime", "onnx", "numpy", "pillow"]

EAGER, COMPILE, ORT = "PyTorch eager", "PyTorch compile", "ONNX Runtime"
# Peer -> process, variant.
PROCESS = {EAGER: ("torch", "eager"), COMPILE: ("torch", "compile"), ORT: ("onnxruntime", "")}

# A part of the table: title, peers, and lines of `soma bench` with the ratio to reach (None: none is set).
PARTS = [
    ("Matrix products", [EAGER, ORT],
     [(f"matmul {n}x{n}x{n}", 1.0) for n in (64, 128, 256, 512, 1024, 2048)] +
     [(f"matmul {shape}", 1.0) for shape in ("32x784x256", "128x784x256", "1x4096x4096", "64x9216x128",
                                            "4096x64x64", "64x64x4096")]),
    ("Convolutions", [EAGER, ORT],
     [("conv 3x3 64-64 56x56 batch 1", None), ("conv 3x3 64-64 56x56 batch 8", None)]),
    ("Bound by memory", [EAGER, COMPILE],
     [("chain of 8 ops over 1e7", 1.0), ("layer_norm 10000x1000", 1.0), ("softmax 10000x1000", 1.0),
      ("adam over 1e7", 1.0)]),
    ("Training steps", [EAGER, COMPILE],
     [("mnist-mlp training step batch 32", 0.35), ("mnist-mlp training step batch 128", 0.5),
      ("mnist-cnn training step batch 64", 0.5), ("cifar10-lenet training step batch 64", 0.3),
      ("resnet18-cifar training step batch 32", 0.7)]),
    ("Inference", [ORT, EAGER, COMPILE],
     [("resnet18 inference batch 1", 0.8), ("resnet18 inference batch 8", 0.8),
      ("vgg16 inference batch 1", 0.7), ("mobilenet_v2 inference batch 1", 1.0)]),
]
STEP = "resnet18-cifar training step batch 32"
BF16 = STEP + " bf16"
NODE = "1000 steps on one value"
STARTS = [("mnist-cnn", "mnist-cnn training step batch 64", 0.05),
          ("resnet18", "resnet18 inference batch 1", 0.05)]
SCALING = [STEP, "resnet18 inference batch 1", "resnet18 inference batch 8"]
# How far a peer's result may be from soma's: single ops, and networks of many.
ALLOWED = {"Matrix products": 1e-4, "Convolutions": 1e-3, "Bound by memory": 1e-4, "Training steps": 0.02,
           "Inference": 5e-3}


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- the peers ------------------------------------------------------------------------------------


def has_peers(python, module):
    try:
        return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0
    except OSError:
        return False


def peer_python(args):
    """A Python with the peers, as far as there is one."""
    if args.python:
        return args.python
    folder = os.path.join(args.out, "peers")
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        say(f"making {folder} with {', '.join(PACKAGES)}")
        subprocess.run([sys.executable, "-m", "venv", folder])
    if os.path.exists(python) and not all(has_peers(python, m) for m in ("torch", "onnxruntime")):
        pip = [python, "-m", "pip", "install", "--quiet", "--upgrade"]
        if subprocess.run(pip + PACKAGES).returncode:  # one that fails must not keep out the others
            for package in PACKAGES:
                subprocess.run(pip + [package])
    if has_peers(python, "torch") or has_peers(python, "onnxruntime"):
        return python
    say("no peers from PyPI; looking for the system's own")
    return shutil.which("python3") or sys.executable


class Peer:
    """A process that answers requests, one at a time."""

    def __init__(self, python, kind, threads):
        self.fault, self.about, self.process = None, {}, None
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        try:
            self.process = subprocess.Popen([python, PEERS, "serve", kind, "--threads", str(threads)],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, text=True, env=environment)
            self.about = json.loads(self.process.stdout.readline() or '{"fault": "it ended at once"}')
            self.fault = self.about.get("fault")
        except OSError as fault:
            self.fault = str(fault)

    def ask(self, **request):
        if self.fault:
            return {"fault": self.fault}
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            self.fault = "its process ended"
            return {"fault": self.fault}

    def end(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


# --- soma -----------------------------------------------------------------------------------------


class Soma:
    def __init__(self, program, threads):
        self.program, self.threads = program, threads
        self.flops = self.bandwidth = 0.0  # the most that was measured in the whole run
        self.isa, self.allocations = "", {}

    def bench(self, name, runs=0, out=None, threads=0):
        command = [self.program, "bench", name, "--json", "-t", str(threads or self.threads)]
        command += ["--runs", str(runs)] if runs else []
        command += ["--out", out] if out else []
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"soma bench '{name}': {done.stderr.strip()}")
        row, end = [json.loads(line) for line in done.stdout.splitlines()]
        if not threads or threads == self.threads:
            self.flops = max(self.flops, end["peak_flops"])
            self.bandwidth = max(self.bandwidth, end["peak_bandwidth"])
        self.isa = end["isa"]
        self.allocations[name] = max(self.allocations.get(name, 0), row["allocations"])
        return row

    def lines(self):
        out = subprocess.run([self.program, "bench", "--list"], capture_output=True, text=True, check=True).stdout
        return out.splitlines()


# --- measuring ------------------------------------------------------------------------------------


def summary(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "rounds": len(values)}


class Bench:
    def __init__(self, args):
        self.args = args
        self.soma = Soma(args.soma, args.threads)
        self.python = peer_python(args)
        self.peers = {kind: Peer(self.python, kind, args.threads) for kind in ("torch", "onnxruntime")}
        self.rows, self.extra = [], []
        self.seconds = 0.1 if args.quick else 0.5

    def wanted(self, name):
        return not self.args.only or self.args.only in name

    def folder(self, name):
        return os.path.join(self.args.out, "work", re.sub(r"[^a-z0-9]+", "-", name.lower()))

    def write(self, name):
        """soma's weights, inputs and results of a line."""
        folder = self.folder(name)
        if not os.path.exists(os.path.join(folder, "after.safetensors")):
            self.soma.bench(name, runs=1, out=folder)
        return folder

    def once(self, *what):
        """A whole process of peers.py; what it says, or raises."""
        done = subprocess.run([self.python, PEERS, *what], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["it failed"])[-1][:300])
        return done.stdout

    def exported(self, name):
        path = self.folder(name) + ".onnx"
        if not os.path.exists(path):
            self.once("export", name, self.folder(name), path)
        return path

    def line(self, part, name, peers, target):
        say(name)
        row = {"part": part, "name": name, "target": target, "peers": {}, "missing": {}}
        folder, runs = self.write(name), []
        for peer in peers:
            kind, variant = PROCESS[peer]
            request = {"do": "open", "work": name, "variant": variant, "folder": folder}
            try:
                if kind == "onnxruntime" and "inference" in name and not self.peers[kind].fault:
                    request["model"] = self.exported(name)
                answer = self.peers[kind].ask(**request)
            except RuntimeError as fault:
                answer = {"fault": str(fault)}
            if "fault" in answer:
                row["missing"][peer] = answer["fault"]
            elif not answer["error"] <= ALLOWED[part]:
                row["missing"][peer] = f"another result: {answer['error']:.2g} away"
            else:
                row["peers"][peer] = {"error": answer["error"], "choice": answer["choice"]}
        mine, theirs = [], {peer: [] for peer in row["peers"]}
        for _ in range(self.args.rounds):
            mine.append(self.soma.bench(name))
            for peer in theirs:
                kind, variant = PROCESS[peer]
                answer = self.peers[kind].ask(do="time", variant=variant, seconds=self.seconds)
                if "fault" in answer:
                    row["missing"][peer] = answer["fault"]
                else:
                    theirs[peer].append(answer["median"])
        for kind in self.peers:
            self.peers[kind].ask(do="close")
        row["soma"] = summary([m["seconds"] for m in mine])
        row["flops"], row["bytes"] = mine[0]["flops"], mine[0]["bytes"]
        for peer, values in theirs.items():
            if values:
                row["peers"][peer].update(summary(values))
            else:
                del row["peers"][peer]
        best = min(row["peers"], key=lambda p: row["peers"][p]["median"], default=None)
        row["best"] = best
        row["ratio"] = row["soma"]["median"] / row["peers"][best]["median"] if best else None
        self.rows.append(row)

    # Things that are no line of their own: (what, soma, peer, ratio, target, how) as text.

    def add(self, what, soma, peer, value, target, met):
        self.extra.append({"what": what, "soma": soma, "peer": peer, "value": value, "target": target, "met": met})

    def starts(self):
        for name, line, target in STARTS:
            what = f"start to first prediction, {name}"
            if not self.wanted(what):
                continue
            say(what)
            folder = self.write(line)
            side, channels = (28, 1) if name == "mnist-cnn" else (224, 3)
            picture = os.path.join(self.args.out, "work", f"{name}.png")
            write_png(picture, side, channels)
            commands, missing = {"soma": [self.soma.program, "predict", os.path.join(folder, "model.safetensors"),
                                          picture, "-t", str(self.args.threads)]}, []
            for peer, make in ((ORT, "export"), (EAGER, "keep")):
                kind = PROCESS[peer][0]
                path = f"{folder}.{'onnx' if make == 'export' else 'pt'}"
                try:
                    if self.peers[kind].fault:
                        raise RuntimeError(self.peers[kind].fault)
                    if not os.path.exists(path):
                        self.once(make, line, folder, path)
                    commands[peer] = [self.python, PEERS, "predict", kind, line, path, picture]
                except RuntimeError as fault:
                    missing.append(f"{peer} missing: {fault}")
            for who in list(commands):  # the first fills the system's file cache
                done = subprocess.run(commands[who], capture_output=True, text=True)
                if done.returncode and who != "soma":
                    missing.append(f"{who} missing: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
                    del commands[who]
            taken = {who: [] for who in commands}
            for _ in range(self.args.rounds):
                for who, command in commands.items():
                    begun = time.perf_counter()
                    subprocess.run(command, check=True, capture_output=True)
                    taken[who].append(time.perf_counter() - begun)
            mine = summary(taken.pop("soma"))
            peers = {who: summary(values) for who, values in taken.items()}
            best = min(peers, key=lambda p: peers[p]["median"], default=None)
            ratio = mine["median"] / peers[best]["median"] if best else None
            self.add(what, span(mine), "; ".join([f"{p} {span(s)}" for p, s in peers.items()] + missing),
                     number(ratio), f"≤ {target}", ratio is not None and ratio <= target)

    def memory(self):
        what = "peak memory, " + STEP
        if not self.wanted(what):
            return
        say(what)
        folder = self.write(STEP)
        mine = self.soma.bench(STEP, runs=3)["peak_bytes"]
        try:
            if self.peers["torch"].fault:
                raise RuntimeError(self.peers["torch"].fault)
            theirs = json.loads(self.once("memory", STEP, folder, "--threads", str(self.args.threads)))
            text = f"{EAGER} {theirs['peak'] / 1e6:.0f} MB, of which {theirs['imported'] / 1e6:.0f} MB before the net"
            ratio = mine / theirs["peak"]
        except RuntimeError as fault:
            text, ratio = f"{EAGER} missing: {fault}", None
        self.add(what, f"{mine / 1e6:.0f} MB", text, number(ratio), "≤ 0.7", ratio is not None and ratio <= 0.7)

    def pairs(self):
        """soma against itself: half precision, one thread, steps without work."""
        if self.wanted(BF16):
            say(BF16)
            if BF16 in self.soma.lines():
                a, b = [], []
                for _ in range(self.args.rounds):
                    a.append(self.soma.bench(BF16)["seconds"])
                    b.append(self.soma.bench(STEP)["seconds"])
                a, b = summary(a), summary(b)
                ratio = a["median"] / b["median"]
                self.add(BF16, span(a), f"soma f32 {span(b)}", number(ratio), "≤ 0.65", ratio <= 0.65)
            else:
                self.add(BF16, "missing: this soma has no such line", "", "-", "≤ 0.65", False)
        for name in SCALING if self.args.threads > 1 else []:
            what = f"1 to {self.args.threads} threads, {name}"
            if not self.wanted(what):
                continue
            say(what)
            one, many = [], []
            for _ in range(self.args.rounds):
                one.append(self.soma.bench(name, threads=1)["seconds"])
                many.append(self.soma.bench(name)["seconds"])
            gain = statistics.median(one) / statistics.median(many)
            self.add(what, span(summary(many)), f"1 thread {span(summary(one))}", f"{gain:.2f} times as fast",
                     "≥ 1.8" if self.args.threads == 2 else "-", gain >= 1.8)
        if self.wanted(NODE):
            say(NODE)
            values = [self.soma.bench(NODE)["seconds"] / 1000 for _ in range(self.args.rounds)]
            step = statistics.median(values)
            self.add("a step of a plan on one value, work included", f"{step * 1e9:.0f} ns", "", "", "≤ 1 µs",
                     step <= 1e-6)

    def all(self):
        begun = os.getloadavg()[0]
        for part, peers, lines in PARTS:
            for name, target in lines:
                if self.wanted(name):
                    self.line(part, name, peers, target)
        self.starts()
        self.memory()
        self.pairs()
        if self.soma.allocations:
            most = max(self.soma.allocations.values())
            self.add("allocations in the runs of any line above, after its first run", str(most), "", "", "0", most == 0)
        for peer in self.peers.values():
            peer.end()
        return self.about(begun)

    def about(self, load):
        return {
            "machine": machine(), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "threads": self.args.threads, "rounds": self.args.rounds, "load": [load, os.getloadavg()[0]],
            "peak_flops": self.soma.flops, "peak_bandwidth": self.soma.bandwidth,
            "soma": soma_build(self.soma), "peers": {k: p.about if not p.fault else {"missing": p.fault}
                                                     for k, p in self.peers.items()},
        }


def write_png(path, side, channels):
    """A picture of grey ramps, so that nothing but Python is needed for one."""
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(side) for _ in range(channels)) for y in range(side))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", side, side, 8, 0 if channels == 1 else 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


# --- what it ran on -------------------------------------------------------------------------------


def first_line(command, cwd=None):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd).stdout.strip().split("\n")[0]
    except OSError:
        return ""


def machine():
    text = open("/proc/cpuinfo").read() if os.path.exists("/proc/cpuinfo") else ""
    model = re.search(r"model name\s*: (.*)", text)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "") if hasattr(platform, "freedesktop_os_release") else ""
    return (f"{len(os.sched_getaffinity(0))} cores of {model.group(1) if model else platform.machine()}, "
            f"{memory:.0f} GiB; {system}, Linux {platform.release()}")


def soma_build(soma):
    cache = os.path.join(os.path.dirname(os.path.abspath(soma.program)), "CMakeCache.txt")
    found = dict(re.findall(r"^(CMAKE_C_COMPILER|CMAKE_BUILD_TYPE|CMAKE_C_FLAGS):\w+=(.*)$",
                            open(cache).read() if os.path.exists(cache) else "", re.M))
    commit = first_line(["git", "describe", "--always", "--dirty"], HERE)
    return {"version": first_line([soma.program, "--version"]), "commit": commit, "isa": soma.isa,
            "compiler": first_line([found.get("CMAKE_C_COMPILER") or "cc", "--version"]),
            "build": " ".join(filter(None, [found.get("CMAKE_BUILD_TYPE") or "Release", found.get("CMAKE_C_FLAGS")]))}


def settings(about):
    """What matters of a peer's own words on its build."""
    text = about.get("settings", "")
    parts = re.findall(r"^ *-? ?(GCC [\d.]+|Intel\(R\) (?:MKL-DNN|oneAPI Math Kernel Library Version) v?[\d.]+|"
                       r"OpenMP \d+|CPU capability usage: \w+)", text, re.M)
    return ", ".join(parts) or text.split("\n")[0]


# --- tables ---------------------------------------------------------------------------------------


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def duration(seconds, unit):
    return f"{seconds * 1e3 if unit == 'ms' else seconds * 1e6:.3g}" if seconds * (1e3 if unit == "ms" else 1e6) < 100 \
        else f"{seconds * (1e3 if unit == 'ms' else 1e6):.0f}"


def span(s):
    """Median (least to most) in a unit that fits."""
    unit = "µs" if s["median"] < 1e-3 else "ms"
    return f"{duration(s['median'], unit)} {unit} ({duration(s['least'], unit)} to {duration(s['most'], unit)})"


def shares(row, about):
    """Of the machine's peak: flops, or bytes where these are what binds."""
    seconds = row["soma"]["median"]
    flops, memory = row["flops"] / seconds / about["peak_flops"], row["bytes"] / seconds / about["peak_bandwidth"]
    bound = row["part"] == "Bound by memory" or row["name"] == "matmul 1x4096x4096"
    return f"{100 * memory:.0f} % of bandwidth" if bound else f"{100 * flops:.0f} %"


def cells(row, about):
    peers = [f"{p} {span(s)}" for p, s in row["peers"].items()]
    peers += [f"{p} missing ({text})" for p, text in row["missing"].items()]
    met = "" if row["target"] is None or row["ratio"] is None else "yes" if row["ratio"] <= row["target"] else "no"
    return [row["name"], span(row["soma"]), "; ".join(peers), number(row["ratio"]),
            "" if row["target"] is None else f"≤ {row['target']:g}", met, shares(row, about)]


HEAD = ["line", "soma", "peers", "ratio to the faster", "to reach", "met", "of peak"]
EXTRA = ["what", "soma", "beside", "ratio", "to reach", "met"]


def extra_cells(e):
    return [e["what"], e["soma"], e["peer"], e["value"], e["target"], "yes" if e["met"] else "no"]


def head_lines(about):
    peers = []
    for kind, a in about["peers"].items():
        name = "PyTorch" if kind == "torch" else "ONNX Runtime"
        peers.append(f"{name}: missing ({a['missing']})" if "missing" in a else
                     f"{name} {a.get(kind, '')}" + (f" ({settings(a)})" if settings(a) else ""))
    s = about["soma"]
    return [f"Machine: {about['machine']}; load {about['load'][0]:.1f} before, {about['load'][1]:.1f} at the end "
            f"(the bench itself is {about['threads']}); {about['date']}.",
            f"{s['version']} at {s['commit']}, {s['isa']}, {s['compiler']}, {s['build']}. " + ". ".join(peers) + ".",
            f"{about['threads']} threads each, {about['rounds']} rounds in turns; a figure is the median of the "
            f"rounds' medians (least to most). Peak measured in this run: {about['peak_flops'] / 1e9:.0f} GFLOP/s, "
            f"{about['peak_bandwidth'] / 1e9:.1f} GB/s read."]


def markdown(bench, about):
    def table(head, rows):
        right = "|".join("---" for _ in head)
        return ["| " + " | ".join(head) + " |", f"|{right}|"] + ["| " + " | ".join(r) + " |" for r in rows] + [""]
    lines = []
    for text in head_lines(about):
        lines += [text, ""]
    for part, _, _ in PARTS:
        rows = [cells(r, about) for r in bench.rows if r["part"] == part]
        if rows:
            lines += [f"### {part}", ""] + table(HEAD, rows)
    if bench.extra:
        lines += ["### Whole processes, memory, threads", ""] + table(EXTRA, [extra_cells(e) for e in bench.extra])
    return "\n".join(lines)


def plain(bench, about):
    lines = head_lines(about) + [""]
    for row in bench.rows:
        c = cells(row, about)
        lines.append(f"{c[0]:40} soma {c[1]:34} ratio {c[3]:>5} {c[4]:>7} {c[5]:3} {c[6]}")
        for peer, s in row["peers"].items():
            choice = f"  [{s['choice']}]" if s["choice"] else ""
            lines.append(f"{'':40} {peer} {span(s)}, results {s['error']:.1g} apart{choice}")
        for peer, text in row["missing"].items():
            lines.append(f"{'':40} {peer} missing: {text}")
    for e in bench.extra:
        lines.append(f"{e['what']}: {e['soma']}" + (f"; {e['peer']}" if e["peer"] else "") +
                     (f"; {e['value']}" if e["value"] else "") + f"; to reach {e['target']}: "
                     f"{'yes' if e['met'] else 'no'}")
    return "\n".join(lines) + "\n"


def chart(rows):
    """Bars of soma's time as a part of the faster peer's; a tick where the line should be."""
    rows = [r for r in rows if r["ratio"] is not None]
    left, width, high, top = 290, 420, 18, 34
    most = max([1.25] + [r["ratio"] for r in rows])
    at = lambda v: left + width * v / most
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{top + high * len(rows) + 16}" '
           'font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="#fff"/>',
           f'<text x="{left}" y="16">time of soma / time of the faster peer (less is better; bar: soma, tick: to reach)</text>']
    for i, r in enumerate(rows):
        y = top + high * i
        fill = "#2a7" if r["target"] is None or r["ratio"] <= r["target"] else "#c63"
        out.append(f'<text x="{left - 8}" y="{y + 11}" text-anchor="end">{r["name"]}</text>'
                   f'<rect x="{left}" y="{y}" width="{at(r["ratio"]) - left:.1f}" height="{high - 5}" fill="{fill}"/>'
                   f'<text x="{at(r["ratio"]) + 6:.1f}" y="{y + 11}">{r["ratio"]:.2f}</text>')
        if r["target"] is not None:
            out.append(f'<path d="M{at(r["target"]):.1f} {y - 2}v{high - 1}" stroke="#000"/>')
    out.append(f'<path d="M{at(1):.1f} {top - 6}v{high * len(rows) + 6}" stroke="#888" stroke-dasharray="3 3"/></svg>')
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--soma", default="build/soma")
    parser.add_argument("--out", default="build/compare", help="folder of the results, and of the peers")
    parser.add_argument("--only", help="lines whose name contains this")
    parser.add_argument("--rounds", type=int, default=0, help="default: 5")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one round, short ones of the peers")
    parser.add_argument("--python", default=os.environ.get("BENCH_PYTHON"), help="a Python that has the peers")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.out, args.soma = os.path.abspath(args.out), os.path.abspath(args.soma)
    shutil.rmtree(os.path.join(args.out, "work"), ignore_errors=True)
    os.makedirs(os.path.join(args.out, "work"))
    bench = Bench(args)
    about = bench.all()
    results = {"about": about, "lines": bench.rows, "others": bench.extra}
    texts = {"table.txt": plain(bench, about), "table.json": json.dumps(results, indent=1) + "\n",
             "table.md": markdown(bench, about), "chart.svg": chart(bench.rows)}
    for name, text in texts.items():
        with open(os.path.join(args.out, name), "w") as file:
            file.write(text)
    shutil.rmtree(os.path.join(args.out, "work"))
    print(texts["table.txt"])
    say("written to " + ", ".join(os.path.join(args.out, name) for name in texts))


if __name__ == "__main__":
    main()
