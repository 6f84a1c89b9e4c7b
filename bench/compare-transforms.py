#!/usr/bin/env python3
"""Images a second on one core: soma's transforms, PIL's and torchvision's, in turns.

    python3 bench/compare-transforms.py [--soma build/soma] [--rounds 3]

Needs torchvision and Pillow. All sides do the same to u8 images of 224x224x3 and 32x32x3, one image at
a time on one thread: soma's loader threads each do that. torchvision's figure is that of its functions on
tensors [3,H,W], PIL's that of the functions that torchvision's transforms call on PIL images; conversions
are left out. The best of the rounds counts.
"""
import argparse
import json
import random
import subprocess
import time

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode

BILINEAR = InterpolationMode.BILINEAR


def cases(side):
    """Name of soma's transform -> the same for torchvision, which also takes PIL images."""
    cut = side * 7 // 8
    return {
        "flip": v2.RandomHorizontalFlip(1.0),
        "pad_crop": v2.RandomCrop(side, padding=side // 8),
        "center_crop": v2.CenterCrop(cut),
        "resize": v2.Resize([cut, cut], BILINEAR, antialias=True),
        "resized_crop": v2.RandomResizedCrop([side, side], antialias=True),
        "rotate": v2.RandomRotation(15, BILINEAR),
        "affine": v2.RandomAffine(15, (0.1, 0.1), (0.8, 1.2), 10, BILINEAR),
        "perspective": v2.RandomPerspective(0.5, 1.0, BILINEAR),
        "elastic": v2.ElasticTransform(),
        "color_jitter": v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
        "grayscale": v2.Grayscale(3),
        "invert": v2.RandomInvert(1.0),
        "posterize": v2.RandomPosterize(4, 1.0),
        "solarize": v2.RandomSolarize(127.5, 1.0),
        "equalize": v2.RandomEqualize(1.0),
        "autocontrast": v2.RandomAutocontrast(1.0),
        "sharpness": v2.RandomAdjustSharpness(2, 1.0),
        "gaussian_blur": v2.GaussianBlur(5),
        "random_erasing": v2.RandomErasing(1.0),
        "rand_augment": v2.RandAugment(),
        "normalize": v2.Compose([v2.ToDtype(torch.float32, scale=True),
                                 v2.Normalize([0.45] * 3, [0.25] * 3)]),
    }


TENSORS_ONLY = {"random_erasing", "normalize", "elastic"}  # PIL has no such function


def rate(function, images, seconds=0.15):
    """Images a second."""
    for image in images[:4]:
        function(image)
    begun, n = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        for image in images[:8]:
            function(image)
        n += 8
    return n / (time.perf_counter() - begun)


def soma_rates(program):
    lines = subprocess.run([program, "bench", "transforms", "--json", "--threads", "1"], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return {r["name"]: r["images_per_second"] for r in map(json.loads, lines)
            if r["event"] == "bench"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--soma", default="build/soma")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    random.seed(1)
    best = {}
    for _ in range(args.rounds):
        ours = soma_rates(args.soma)
        for side in 224, 32:
            pixels = np.random.default_rng(1).integers(0, 256, (8, side // 4, side // 4, 3), np.uint8)
            pixels = np.ascontiguousarray(pixels.repeat(4, 1).repeat(4, 2))
            pictures = [Image.fromarray(p) for p in pixels]
            tensors = [torch.from_numpy(p).permute(2, 0, 1).contiguous() for p in pixels]
            for name, function in cases(side).items():
                row = best.setdefault((side, name), [0, 0, 0])
                row[0] = max(row[0], ours[f"transforms {name} {side}x{side}x3"])
                row[1] = max(row[1], rate(function, tensors))
                if name not in TENSORS_ONLY:
                    row[2] = max(row[2], rate(function, pictures))
    print(f"{'images/s on one core':28} {'soma':>12} {'torchvision':>12} {'PIL':>12}")
    for (side, name), (a, b, c) in best.items():
        pil = f"{c:12.0f}" if c else f"{'-':>12}"
        print(f"{name + f' {side}x{side}x3':28} {a:12.0f} {b:12.0f} {pil}")


if __name__ == "__main__":
    main()
