#!/usr/bin/env python3
"""Checks that a room includes only rooms before it (docs/design.md, "Rooms")."""
import pathlib
import re
import sys

ROOMS = ["base", "metrics", "tensor", "graph", "ops", "autodiff", "plan", "backend", "format", "text", "data",
         "nn", "optim", "generate", "train", "cli"]
root = pathlib.Path(__file__).resolve().parent.parent
bad = 0
for path in sorted((root / "src").rglob("*.[ch]")):
    room = path.relative_to(root / "src").parts[0]
    if room not in ROOMS:
        print(f"{path.relative_to(root)}: room '{room}' is not in the list")
        bad += 1
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not match:
            continue
        target = match.group(1).split("/")[0]
        if target == "soma":
            continue
        if target not in ROOMS:
            print(f"{path.relative_to(root)}:{number}: include '{match.group(1)}' by its room")
            bad += 1
        elif ROOMS.index(target) > ROOMS.index(room):
            print(f"{path.relative_to(root)}:{number}: {room} may not include {target}")
            bad += 1
        elif target == "ops" and room in ("plan", "autodiff"):
            print(f"{path.relative_to(root)}:{number}: {room} may not know particular ops")
            bad += 1
sys.exit(1 if bad else 0)
