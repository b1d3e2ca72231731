"""Peak memory of `check` and `train` on a thousand rows and on a million.

    python benchmarks/memory.py [--before SRC COMMIT]

Each run is a process of its own (the embedded model, 200 steps); the peak resident set is what the
kernel accounts to it. `--before` measures the sources of another commit first, such as those of a
second working tree, for comparison.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path

ROWS = (1_000, 1_000_000)
WORDS = (
    "soup rice table tonight printer broken again please cold late good bad thank you "
    "order two three four where when never always today"
).split()


def write(path: Path, rows: int) -> None:
    draw = random.Random(1)
    with path.open("w") as file:
        file.write("text,label\n")
        for i in range(rows):
            text = " ".join(draw.choices(WORDS, k=draw.randint(4, 14)))
            file.write(f"{text} {i},{'ab'[i % 2]}\n")


def peak_mb(verb: str, data: Path, out: Path, sources: str | None) -> dict[str, float]:
    """Run one command in a child and read its peak from the kernel's accounts."""
    arguments = [sys.executable, "-m", "tunesmith", verb, str(data), "--model", "embedded:mini",
                 "-q", "--validation", "0.1%"]  # fmt: skip
    if verb == "train":
        arguments += ["--out", str(out), "--set", "train.max_steps=200"]
    environment = {**os.environ, "PYTHONPATH": sources} if sources else dict(os.environ)
    pid = os.posix_spawn(sys.executable, arguments, environment)
    _pid, status, usage = os.wait4(pid, 0)
    assert status == 0, status
    return {"peak_mb": round(usage.ru_maxrss / 1024, 1), "cpu_seconds": round(usage.ru_utime, 1)}


def measure(folder: Path, sources: str | None) -> dict[str, dict[str, dict[str, float]]]:
    """Both commands on both files."""
    peaks: dict[str, dict[str, dict[str, float]]] = {}
    os.environ["TUNESMITH_CACHE"] = tempfile.mkdtemp(dir=folder)
    for verb in ("check", "train"):
        for rows in ROWS:
            out = Path(tempfile.mkdtemp(dir=folder)) / "run"
            peaks.setdefault(verb, {})[str(rows)] = peak_mb(
                verb, folder / f"{rows}.csv", out, sources
            )
            print(verb, rows, peaks[verb][str(rows)], flush=True)
        few, many = (peaks[verb][str(rows)]["peak_mb"] for rows in ROWS)
        peaks[verb]["more"] = {"peak_mb": round(many - few, 1)}
    return peaks


def main() -> None:
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for rows in ROWS:
            write(folder / f"{rows}.csv", rows)
        if sys.argv[1:2] == ["--before"]:
            result["before"] = {"commit": sys.argv[3], **measure(folder, sys.argv[2])}
        result["now"] = measure(folder, None)
    from machine import facts  # here, because a child begins with the peak of its parent

    result["machine"] = facts()
    target = Path(__file__).parent / "results" / "memory.json"
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
