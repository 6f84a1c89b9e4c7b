#!/usr/bin/env python3
"""The peers' side of bench/compare.py: the same work in PyTorch and in ONNX Runtime.

    peers.py serve torch|onnxruntime --threads N    one JSON request a line, one JSON answer a line
    peers.py export NAME FOLDER FILE.onnx           a network with soma's weights, for ONNX Runtime
    peers.py keep NAME FOLDER FILE.pt               the same for a start of PyTorch
    peers.py predict onnxruntime|torch NAME FILE PICTURE
                                                    one whole process: load, read, print the class
    peers.py memory NAME FOLDER --threads N         steps of a training, then the peak of memory

Names are those of `soma bench`; FOLDER is what its --out has written. Requests of serve:
{"do": "open", "work": NAME, "variant": V, "folder": FOLDER, "model": FILE.onnx} -> {"error": how far
the result is from soma's, "choice": …}; {"do": "time", "seconds": S, "variant": V} -> {"median": …,
"least": …, "most": …, "runs": …}; {"do": "close"}.
"""
import argparse
import json
import os
import resource
import statistics
import sys
import time

LEAST_RUNS, WARM_SECONDS = 5, 0.05  # as src/cli/bench.c has them


# --- what soma has written --------------------------------------------------------------------------


def read_archive(path):
    """name -> array, in the file's order."""
    import numpy as np
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        data = np.fromfile(file, np.uint8)
    kinds = {"F32": np.float32, "I64": np.int64, "F64": np.float64, "U8": np.uint8}
    header.pop("__metadata__", None)
    return {name: data[slice(*e["data_offsets"])].view(kinds[e["dtype"]]).reshape(e["shape"])
            for name, e in header.items()}


def channels_first(x):
    """Pictures N H W C and conv weights O H W I as PyTorch has them."""
    import numpy as np
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x


# --- the networks -----------------------------------------------------------------------------------


def network(name, plain):
    """The twin of a network of `soma bench`; plain: without dropout."""
    from torch import nn
    kind = name.split()[0]
    if kind == "mnist-mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    if kind == "mnist-cnn":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Dropout2d(0 if plain else 0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(),
            nn.Dropout(0 if plain else 0.5), nn.Linear(128, 10))
    if kind == "cifar10-lenet":
        return nn.Sequential(
            nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84),
            nn.ReLU(), nn.Linear(84, 10))
    import torchvision
    if kind == "resnet18-cifar":
        net = torchvision.models.resnet18(num_classes=10)
        net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
        return net
    return getattr(torchvision.models, kind)(weights=None)


def tensors_of(net):
    """Parameters and buffers in the order of the layers, which is soma's as well."""
    return [(name, t) for name, t in net.state_dict().items() if not name.endswith("num_batches_tracked")]


def flattened(net):
    """Names of dense weights that come after a flattened picture -> its channels."""
    from torch import nn
    found, channels, flat = {}, 0, False
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            channels = module.out_channels
        elif isinstance(module, nn.Flatten):
            flat = channels > 0
        elif isinstance(module, nn.Linear):
            # torchvision's VGG flattens in its forward function.
            if (flat or name == "classifier.0") and module.in_features != channels:
                found[name + ".weight"] = channels
            flat, channels = False, 0
    return found


def in_torch_order(net, arrays):
    """soma's arrays of parameters, as the twin's tensors have them."""
    import numpy as np
    import torch
    mine, flat = tensors_of(net), flattened(net)
    assert len(mine) == len(arrays), f"{len(arrays)} tensors in soma, {len(mine)} in the twin"
    out = []
    for (name, tensor), array in zip(mine, arrays):
        if name in flat:  # columns are in the order H W C
            side = int(round((array.shape[1] / flat[name]) ** 0.5))
            array = np.moveaxis(array.reshape(array.shape[0], side, side, flat[name]), -1, 1)
            array = array.reshape(tensor.shape)
        array = np.ascontiguousarray(channels_first(array))
        assert tuple(array.shape) == tuple(tensor.shape), f"{name}: {array.shape}, {tensor.shape}"
        out.append(torch.from_numpy(array.copy()))
    return out


def load(net, folder):
    """Gives the twin soma's weights; returns their names in soma."""
    model = read_archive(os.path.join(folder, "model.safetensors"))
    for (_, tensor), value in zip(tensors_of(net), in_torch_order(net, list(model.values()))):
        tensor.copy_(value)
    return list(model)


# --- comparing --------------------------------------------------------------------------------------


def distance(a, b):
    """The largest difference, as a part of the largest value."""
    import numpy as np
    return float(np.abs(a - b).max() / (np.abs(b).max() or 1))


def update_distance(net, before, after):
    """How far the twin's update is from soma's, as a part of its length: weights and statistics."""
    import torch
    worst = 0.0
    for statistics_too in (False, True):
        apart = length = 0.0
        for (name, mine), old, theirs in zip(tensors_of(net), before, after):
            if ("running_" in name) == statistics_too:
                apart += torch.sum((mine - theirs).double() ** 2).item()
                length += torch.sum((mine - old).double() ** 2).item()
        if length:
            worst = max(worst, (apart / length) ** 0.5)
    return worst


# --- PyTorch ----------------------------------------------------------------------------------------


def torch_op(work, folder):
    """A function that computes the op, and one that gives its distance from soma's result."""
    import numpy as np
    import torch
    from torch.nn import functional as F
    have = {k: torch.from_numpy(v.copy()) for k, v in read_archive(os.path.join(folder, "before.safetensors")).items()}
    want = read_archive(os.path.join(folder, "after.safetensors"))
    kind = work.split()[0]
    if kind == "adam":
        w = have["w"].requires_grad_()
        w.grad = have["g"]
        optimizer = torch.optim.Adam([w], lr=0.001, fused=True)
        old = w.detach().numpy().copy()

        def apart():  # as a part of the update, which is small beside the weights
            optimizer.step()
            theirs = want["w"] - old
            return float(np.linalg.norm(w.detach().numpy() - old - theirs) / np.linalg.norm(theirs))
        return optimizer.step, apart
    if kind == "matmul":
        y = torch.matmul(have["x"], have["w"])
        run = lambda: torch.matmul(have["x"], have["w"], out=y)
    elif kind == "conv":
        x = have["x"].permute(0, 3, 1, 2)  # the memory stays: that is the format channels last
        w = have["w"].permute(0, 3, 1, 2)
        run = lambda: F.conv2d(x, w, padding=1)
    elif kind == "chain":
        x = have["x"]
        run = lambda: torch.sigmoid(x * torch.sqrt(torch.abs(x * 2 + 1) + 0.5)) - x
    elif kind == "layer_norm":
        run = lambda: F.layer_norm(have["x"], have["gamma"].shape, have["gamma"], have["beta"], 1e-5)
    elif kind == "softmax":
        run = lambda: torch.softmax(have["x"], 1)
    else:
        raise ValueError(f"there is no twin of '{work}'")

    def apart():
        out = run().numpy()
        return distance(np.moveaxis(out, 1, -1) if kind == "conv" else out, want["output.0"])
    return run, apart


def torch_step(work, folder, last, fused, plain):
    """A training step; returns (step, net, names in soma)."""
    import torch
    from torch import nn
    net = network(work, plain)
    names = load(net, folder)
    data = read_archive(os.path.join(folder, "before.safetensors"))
    x, y = torch.from_numpy(channels_first(data["x"])), torch.from_numpy(data["y"].copy())
    if last:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    # Compiled, the optimizer's own loop is fused by the compiler.
    how = {"fused": True} if fused else {}
    if work.startswith("resnet"):
        optimizer = torch.optim.SGD(net.parameters(), 0.001, 0.9, **how)
    else:
        optimizer = torch.optim.Adam(net.parameters(), 0.001, **how)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss
    return step, net, names


def step_distance(work, folder, last, fused, wrap):
    """One step of the twin beside one of soma: the loss, and what became of the weights."""
    step, net, names = torch_step(work, folder, last, fused, True)
    model = read_archive(os.path.join(folder, "model.safetensors"))
    after = read_archive(os.path.join(folder, "after.safetensors"))
    loss = wrap(step)().item()
    count = len(read_archive(os.path.join(folder, "before.safetensors"))["y"])
    theirs = float(after["output.0"]) / count
    return max(abs(loss - theirs) / abs(theirs),
               update_distance(net, in_torch_order(net, list(model.values())),
                               in_torch_order(net, [after[n] for n in names])))


class Torch:
    """Variants eager and compile; each is the fastest of its forms: memory formats, optimizers."""

    def __init__(self, threads):
        import torch
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.torch, self.run, self.work = torch, {}, ""
        self.about = {"torch": torch.__version__, "settings": torch.__config__.show()}
        try:
            import torchvision
            self.about["torchvision"] = torchvision.__version__
        except ImportError:
            pass

    def open(self, request):
        torch, work, folder = self.torch, request["work"], request["folder"]
        compiled = request["variant"] == "compile"
        wrap = (lambda f: torch.compile(f)) if compiled else (lambda f: f)
        if compiled:
            torch._dynamo.reset()
        forms = {}
        if "training step" in work:
            layouts = (False, True) if "mlp" not in work else (False,)
            for last in layouts:
                for fused in (True,) if compiled else (True, False):
                    text = ("channels last" if last else "channels first") if len(layouts) > 1 else ""
                    text += (", " if text else "") + ("fused" if fused else "plain") + " optimizer"
                    forms[text] = (wrap(torch_step(work, folder, last, fused, False)[0]),
                                   lambda last=last, fused=fused: step_distance(work, folder, last, fused, wrap))
        elif "inference" in work:
            for last in (False, True):
                forms["channels last" if last else "channels first"] = self.inference(work, folder, last, wrap)
        else:
            run, apart = torch_op(work, folder)
            forms[""] = (wrap(run), apart)
        # One form of the compiled ones is enough: to compare takes another compilation.
        error = max(apart() for _, apart in (list(forms.values())[:1] if compiled else forms.values()))
        best = {}
        for text, (run, _) in forms.items():
            best[text] = measure(run, 0.3)["median"] if len(forms) > 1 else 0
        choice = min(best, key=best.get)
        self.run[request["variant"]] = forms[choice][0]
        return {"error": error, "choice": choice}

    def inference(self, work, folder, last, wrap):
        torch = self.torch
        net = network(work, True)
        load(net, folder)
        net = net.eval()
        x = torch.from_numpy(channels_first(read_archive(os.path.join(folder, "before.safetensors"))["x"]))
        if last:
            net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
        net = wrap(net)
        want = read_archive(os.path.join(folder, "after.safetensors"))["output.0"]
        return lambda: net(x), lambda: distance(net(x).numpy(), want)

    def call(self, request):
        learns = "training" in self.work or self.work.startswith("adam")
        with self.torch.inference_mode(not learns):
            if request["do"] == "open":
                return self.open(request)
            return measure(self.run[request["variant"]], request["seconds"])

    def close(self):
        self.run = {}


# --- ONNX Runtime -----------------------------------------------------------------------------------


def onnx_matmul(weight):
    """A model of one product with a constant second matrix."""
    from onnx import TensorProto, helper, numpy_helper
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "matmul",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, weight.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, weight.shape[1]])],
        [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def onnx_conv(weight):
    from onnx import TensorProto, helper, numpy_helper
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])], "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, weight.shape[1], None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, weight.shape[0], None, None])],
        [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


class OnnxRuntime:
    def __init__(self, threads):
        import onnxruntime
        self.onnxruntime, self.threads, self.run, self.work = onnxruntime, threads, None, ""
        self.about = {"onnxruntime": onnxruntime.__version__,
                      "settings": onnxruntime.get_build_info()
                      if hasattr(onnxruntime, "get_build_info") else ""}

    def call(self, request):
        if request["do"] == "open":
            return self.open(request)
        return measure(self.run, request["seconds"])

    def open(self, request):
        import numpy as np
        ort, folder, kind = self.onnxruntime, request["folder"], self.work.split()[0]
        have = read_archive(os.path.join(folder, "before.safetensors"))
        want = read_archive(os.path.join(folder, "after.safetensors"))["output.0"]
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        x = have["x"].copy() if kind == "matmul" else channels_first(have["x"])
        if kind == "matmul":
            model = onnx_matmul(have["w"].copy()).SerializeToString()
        elif kind == "conv":
            model = onnx_conv(channels_first(have["w"])).SerializeToString()
        else:
            model = request["model"]
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        # The input and the output are bound once, so that a run copies nothing.
        binding = session.io_binding()
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(x))
        out = session.run(None, {name: x})[0]
        binding.bind_ortvalue_output(session.get_outputs()[0].name, ort.OrtValue.ortvalue_from_numpy(out))
        self.run = lambda: session.run_with_iobinding(binding)
        return {"error": distance(np.moveaxis(out, 1, -1) if kind == "conv" else out, want), "choice": ""}

    def close(self):
        self.run = None


# --- timing -----------------------------------------------------------------------------------------


def measure(run, seconds):
    """As soma bench does it: a warm-up, then runs for `seconds`, at least five."""
    begun = time.perf_counter()
    run()
    while time.perf_counter() - begun < WARM_SECONDS:
        run()
    taken, begun = [], time.perf_counter()
    while len(taken) < LEAST_RUNS or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return {"median": statistics.median(taken), "least": min(taken), "most": max(taken), "runs": len(taken)}


def serve(kind, threads):
    # Answers go to the stream that was standard output; what libraries print does not mix with them.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(what):
        print(json.dumps(what), file=answers, flush=True)
    try:
        peer = (Torch if kind == "torch" else OnnxRuntime)(threads)
    except Exception as fault:
        answer({"fault": f"{type(fault).__name__}: {fault}"})
        return
    answer(peer.about)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "open":
                peer.work = request["work"]
            answer({} if request["do"] == "close" else peer.call(request))
            if request["do"] == "close":
                peer.close()
        except Exception as fault:
            answer({"fault": f"{type(fault).__name__}: {fault}".split("\n")[0][:300]})


# --- whole processes --------------------------------------------------------------------------------


def export(name, folder, path):
    import torch
    net = network(name, True)
    load(net, folder)
    x = torch.from_numpy(channels_first(read_archive(os.path.join(folder, "before.safetensors"))["x"]))
    x = x if "inference" in name else x[:1]  # of what is trained in batches, single pictures are read
    torch.onnx.export(net.eval(), (x,), path, input_names=["x"], output_names=["y"], dynamo=False)


def keep(name, folder, path):
    import torch
    net = network(name, True)
    load(net, folder)
    torch.save(net.state_dict(), path)


def predict(kind, name, path, picture):
    import numpy as np
    from PIL import Image
    image = np.asarray(Image.open(picture), np.float32)
    x = image[None, None] if image.ndim == 2 else np.ascontiguousarray(image.transpose(2, 0, 1))[None]
    if kind == "onnxruntime":
        import onnxruntime
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        y = session.run(None, {session.get_inputs()[0].name: x})[0]
    else:
        import torch
        net = network(name, True)
        net.load_state_dict(torch.load(path))
        with torch.inference_mode():
            y = net.eval()(torch.from_numpy(x)).numpy()
    print(int(y.argmax()))


def memory(name, folder, threads):
    import torch
    torch.set_num_threads(threads)
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = torch_step(name, folder, True, True, False)[0]
    for _ in range(3):
        step()
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                      "imported": imported * 1024}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("do", choices=["serve", "export", "keep", "predict", "memory"])
    parser.add_argument("what", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.do == "serve":
        serve(args.what[0], args.threads)
    elif args.do == "memory":
        memory(*args.what, args.threads)
    else:
        {"export": export, "keep": keep, "predict": predict}[args.do](*args.what)


if __name__ == "__main__":
    main()
