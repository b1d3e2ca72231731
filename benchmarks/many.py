"""Small jobs by `tunesmith many` and by a shell loop of `tunesmith train`: jobs per minute, memory.

python benchmarks/many.py loop; python benchmarks/many.py many-1 ...

Each call measures one contender and adds it to the result; all train the same jobs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from machine import facts

RESULT = Path(__file__).parent / "results" / "many.json"
TUNESMITH = [sys.executable, "-m", "tunesmith"]
CONTENDERS = {
    "loop": "tunesmith train, one after the other",
    "loop-2": "tunesmith train, two at once (xargs -P 2), one thread each",
    "many-1": "tunesmith many --jobs 1",
    "many-2": "tunesmith many --jobs 2",
}
SETTINGS = {"model": "embedded:mini", "train.epochs": 2, "data.validation": "20%"}


def write_jobs(folder: Path, count: int) -> list[dict[str, object]]:
    """The same rows for all, a seed and a run folder for each."""
    places = ("kitchen", "lobby", "garden", "garage")
    rows = [f"the {places[i % 4]} was {('clean', 'dirty')[i % 2]} on day {i}" for i in range(200)]
    lines = ["text,label", *(f"{row},{('pos', 'neg')[i % 2]}" for i, row in enumerate(rows))]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    jobs: list[dict[str, object]] = [
        {"what": "rows.csv", "out": f"runs/{seed}", "settings": {**SETTINGS, "train.seed": seed}}
        for seed in range(count)
    ]
    (folder / "jobs.jsonl").write_text("".join(json.dumps(job) + "\n" for job in jobs))
    return jobs


def command(contender: str, jobs: list[dict[str, object]], folder: Path) -> list[str]:
    if contender.startswith("many"):
        return [*TUNESMITH, "many", "jobs.jsonl", "--jobs", contender[-1], "--quiet"]
    lines = []
    for job in jobs:
        sets = [f"--set {key}={value}" for key, value in job["settings"].items()]  # type: ignore[attr-defined]
        words = [*TUNESMITH, "train", job["what"], "--out", job["out"], *sets, "--quiet"]
        lines.append(" ".join(map(str, words)))
    script = folder / "loop.sh"
    if contender == "loop":
        script.write_text("set -e\n" + "\n".join(lines) + "\n")
        return ["bash", str(script)]
    (folder / "lines").write_text("\n".join(lines) + "\n")
    script.write_text("export OMP_NUM_THREADS=1\nxargs -P 2 -I {} bash -c '{}' < lines\n")
    return ["bash", str(script)]


class Memory(threading.Thread):
    """The most memory that a process and those below it had; shared pages count in parts."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.root = psutil.Process(pid)
        self.peak = 0

    def run(self) -> None:
        """Look twice a second until the process has ended."""
        while self.root.is_running():
            total = 0
            for process in [self.root, *self.root.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)
            time.sleep(0.5)


def measure(contender: str, count: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = write_jobs(folder, count)
        words = command(contender, jobs, folder)
        environment = {**os.environ, "TUNESMITH_CACHE": str(folder / "cache")}
        started = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        memory = Memory(process.pid)
        memory.start()
        _out, err = process.communicate()
        seconds = time.perf_counter() - started
        assert process.returncode == 0, err.decode()
        weights = hashlib.sha256()
        for job in jobs:
            weights.update((folder / str(job["out"]) / "model/model.safetensors").read_bytes())
    return {
        "what": CONTENDERS[contender],
        "jobs": count,
        "seconds": round(seconds, 1),
        "jobs_per_minute": round(60 * count / seconds, 1),
        "peak_mb": round(memory.peak / 1e6),
        "weights": weights.hexdigest()[:12],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("--count", type=int, default=24)
    arguments = parser.parse_args()
    measured = measure(arguments.contender, arguments.count)
    print(json.dumps(measured))
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    contenders = {**known.get("contenders", {}), arguments.contender: measured}
    result = {"contenders": contenders, "settings": SETTINGS, **facts()}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
