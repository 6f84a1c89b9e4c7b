#!/usr/bin/env python3
"""Makes the small data sets in data/ from those that Debian's python3-sklearn carries.

    apt-get download python3-sklearn
    dpkg-deb -x python3-sklearn_*.deb /tmp/sklearn
    scripts/make-digits.py /tmp/sklearn/usr/lib/python3/dist-packages/sklearn/datasets/data data

Standard library only. The output is the same bytes each time: no time stamps, fixed compression.
(Another version of zlib may compress differently; the content stays the same.)
"""

import csv
import gzip
import io
import pathlib
import struct
import sys
import zlib

SAMPLE = 1605  # a legible one; data/README.md says which digit it is
SAMPLE_SCALE = 16  # 8x8 becomes 128x128


def pack(data: bytes) -> bytes:
    """gzip without a name and a time."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as stream:
        stream.write(data)
    return out.getvalue()


def idx(sizes: list[int], values: bytes) -> bytes:
    """IDX of unsigned bytes: two zeros, the type 8, the number of sizes, the sizes, the values."""
    return struct.pack(f">HBB{len(sizes)}I", 0, 8, len(sizes), *sizes) + values


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A grey 8-bit PNG."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    rows = b"".join(b"\0" + pixels[y * width : (y + 1) * width] for y in range(height))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def enlarge(image: list[int], side: int, scale: int) -> bytes:
    """Bilinear enlargement of a square image of 0..16 to bytes of 0..255, white on black."""

    def at(y: int, x: int) -> int:
        return image[min(max(y, 0), side - 1) * side + min(max(x, 0), side - 1)]

    out = bytearray()
    for v in range(side * scale):
        y, dy = divmod((2 * v + 1) - scale, 2 * scale)
        for u in range(side * scale):
            x, dx = divmod((2 * u + 1) - scale, 2 * scale)
            whole = 2 * scale
            top = at(y, x) * (whole - dx) + at(y, x + 1) * dx
            bottom = at(y + 1, x) * (whole - dx) + at(y + 1, x + 1) * dx
            out.append((top * (whole - dy) + bottom * dy) * 255 // (16 * whole * whole))
    return bytes(out)


def make_digits(source: pathlib.Path, target: pathlib.Path) -> None:
    with gzip.open(source / "digits.csv.gz", "rt") as stream:
        rows = [[int(float(field)) for field in row] for row in csv.reader(stream)]
    images = [row[:64] for row in rows]
    labels = [row[64] for row in rows]
    assert len(rows) == 1797 and all(len(row) == 65 for row in rows)
    assert all(0 <= v <= 16 for image in images for v in image)
    assert set(labels) == set(range(10))
    pixels = bytes(v for image in images for v in image)
    (target / "digits-images-idx3-ubyte.gz").write_bytes(pack(idx([1797, 8, 8], pixels)))
    (target / "digits-labels-idx1-ubyte.gz").write_bytes(pack(idx([1797], bytes(labels))))
    side = 8 * SAMPLE_SCALE
    (target / "sample-digit.png").write_bytes(
        png(side, side, enlarge(images[SAMPLE], 8, SAMPLE_SCALE))
    )
    print(f"sample-digit.png is image {SAMPLE}, a {labels[SAMPLE]}")


def make_iris(source: pathlib.Path, target: pathlib.Path) -> None:
    """sklearn's first line is "150,4,setosa,…": counts and class names. Ours is a plain header."""
    with open(source / "iris.csv", newline="") as stream:
        head, *rows = list(csv.reader(stream))
    count, names = int(head[0]), head[2:]
    assert count == len(rows) == 150 and len(names) == 3
    lines = ["sepal_length,sepal_width,petal_length,petal_width,species"]
    lines += [",".join([*row[:4], names[int(row[4])]]) for row in rows]
    (target / "iris.csv").write_text("\n".join(lines) + "\n", newline="\n")


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = map(pathlib.Path, sys.argv[1:])
    make_digits(source, target)
    make_iris(source, target)


if __name__ == "__main__":
    main()
