#!/usr/bin/env python3
"""Writes tests/golden/transforms.safetensors: what torchvision and PIL make of two small images.

    python3 scripts/make-golden-transforms.py [FILE]

Needs torchvision and Pillow. `rgb` is [24,20,3] and `grey` [17,23,1], both u8; `rgb_f` is rgb / 255 as
f32. Each other tensor is the result of one function on one of them, named <image>/<function>; the
arguments are those in tests/data/test_golden_transforms.c. PIL is taken where it defines the function
(resize, equalize, autocontrast), torchvision elsewhere. No fill: torchvision weights the edge twice with
one.
"""
import json
import pathlib
import struct
import sys

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms.v2 import InterpolationMode, functional as F

BILINEAR, NEAREST = InterpolationMode.BILINEAR, InterpolationMode.NEAREST


def write(path, tensors):
    header, blobs, at = {}, [], 0
    for name, value in sorted(tensors.items(), key=lambda item: item[1].dtype == np.uint8):
        value = np.ascontiguousarray(value)
        kind = {"uint8": "U8", "float32": "F32"}[str(value.dtype)]
        blob = value.tobytes()
        header[name] = {"dtype": kind, "shape": list(value.shape),
                        "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


def picture(rng, h, w, c):
    """Smooth colours with edges and some noise: a small stand-in for a photograph."""
    i, j = np.mgrid[0:h, 0:w]
    planes = []
    for k in range(c):
        smooth = 110 + 70 * np.sin(i / (3 + k) + k) + 60 * np.cos(j / (4 - k / 2))
        smooth[h // 4: h // 2, w // 3: 2 * w // 3] += 60 - 50 * k
        planes.append(smooth + rng.normal(0, 6, (h, w)))
    return np.clip(np.stack(planes, -1), 3, 250).astype(np.uint8)


def chw(x):
    return torch.from_numpy(x).permute(2, 0, 1).contiguous()


def hwc(x):
    return x.permute(1, 2, 0).contiguous().numpy()


def functions(image):
    """Name -> torchvision's result on a tensor [C,H,W]."""
    c, h, w = image.shape
    floating = image.is_floating_point()
    out = {
        "brightness": F.adjust_brightness(image, 1.4),
        "contrast": F.adjust_contrast(image, 0.6),
        "invert": F.invert(image),
        "solarize": F.solarize(image, 0.5 if floating else 127.5),
        "posterize": F.posterize(image, 3),
        "sharpness": F.adjust_sharpness(image, 1.7),
        "blur": F.gaussian_blur(image, [5, 5], [1.3, 1.3]),
        "affine": F.affine(image, 25.0, [2, -3], 1.2, [10.0, -5.0],
                           interpolation=BILINEAR),
        "rotate_nearest": F.affine(image, -13.0, [0, 0], 1.0, [0.0, 0.0], interpolation=NEAREST),
        "shear_corner": F.affine(image, 0.0, [0, 0], 1.0, [15.0, 0.0], interpolation=BILINEAR,
                                 center=[0, 0]),
        "perspective": F.perspective(image, [[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]],
                                     [[2, 1], [w - 3, 2], [w - 1, h - 4], [3, h - 2]],
                                     interpolation=BILINEAR),
    }
    # Steps of (j % 5 - 2) / 2 columns and (i % 3 - 1) rows, in the coordinates of grid_sample.
    j, i = torch.arange(w).float(), torch.arange(h).float()
    step = torch.zeros(1, h, w, 2)
    step[..., 0] = (j % 5 - 2) / 2 * (2 / w)
    step[..., 1] = ((i % 3 - 1) * (2 / h)).unsqueeze(-1)
    out["displace"] = F.elastic(image, step, interpolation=BILINEAR)
    if c == 3:
        out["saturation"] = F.adjust_saturation(image, 1.5)
        out["hue"] = F.adjust_hue(image, 0.23)
        out["grayscale"] = F.rgb_to_grayscale(image, num_output_channels=3)
    if floating:
        out["autocontrast"] = F.autocontrast(image)
        out["equalize"] = F.equalize(image)
    return out


def pil(x, function):
    image = Image.fromarray(x[..., 0] if x.shape[2] == 1 else x)
    y = np.asarray(function(image))
    return y[..., None] if y.ndim == 2 else y


def main():
    here = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "transforms.safetensors"
    rng = np.random.default_rng(20240611)
    images = {"rgb": picture(rng, 24, 20, 3), "grey": picture(rng, 17, 23, 1)}
    images["rgb_f"] = (images["rgb"] / 255).astype(np.float32)
    tensors = dict(images)
    for name, x in images.items():
        for function, y in functions(chw(x)).items():
            tensors[f"{name}/{function}"] = hwc(y)
        if name == "rgb_f":
            tensors[f"{name}/resize_down"] = hwc(F.resize(chw(x), [7, 9], BILINEAR, antialias=True))
            continue
        tensors[f"{name}/equalize"] = pil(x, ImageOps.equalize)
        tensors[f"{name}/autocontrast"] = pil(x, ImageOps.autocontrast)
        for case, size in ("down", (9, 7)), ("up", (41, 35)), ("mixed", (31, 11)):
            tensors[f"{name}/resize_{case}"] = pil(x, lambda i: i.resize(size, Image.BILINEAR))
        tensors[f"{name}/resize_nearest"] = pil(x, lambda i: i.resize((32, 16), Image.NEAREST))
        # A box of the image, resized: torchvision cuts it out first.
        tensors[f"{name}/resize_box"] = pil(
            x, lambda i: i.crop((3, 2, 16, 15)).resize((10, 12), Image.BILINEAR))
    write(path, tensors)


if __name__ == "__main__":
    main()
