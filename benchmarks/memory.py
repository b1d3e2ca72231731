"""Peak memory of training on a thousand rows and on a million: the number of rows must not show.

    python benchmarks/memory.py

Each run is a process of its own (`tunesmith train`, the embedded model, 200 steps); the peak
resident set is what the kernel accounts to it.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path

from machine import facts

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


def peak_mb(data: Path, out: Path) -> dict[str, float]:
    """Train in a child and read its peak from the kernel's accounts."""
    arguments = [sys.executable, "-m", "tunesmith", "train", str(data), "--model", "embedded:mini",
                 "--out", str(out), "-q", "--set", "train.max_steps=200",
                 "--validation", "0.1%"]  # fmt: skip
    pid = os.posix_spawn(sys.executable, arguments, os.environ)
    _pid, status, usage = os.wait4(pid, 0)
    assert status == 0, status
    return {"peak_mb": round(usage.ru_maxrss / 1024, 1), "cpu_seconds": round(usage.ru_utime, 1)}


def main() -> None:
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUNESMITH_CACHE"] = f"{folder}/cache"
        for rows in (1_000, 1_000_000):
            data = Path(folder) / f"{rows}.csv"
            write(data, rows)
            result[str(rows)] = {
                "file_mb": round(data.stat().st_size / 1e6, 1),
                **peak_mb(data, Path(folder) / f"run-{rows}"),
            }
            print(rows, result[str(rows)], flush=True)
    result["machine"] = facts()
    target = Path(__file__).parent / "results" / "memory.json"
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
