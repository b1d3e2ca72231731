"""The estimates of `tunesmith train --dry-run`, compared with the run that follows.

    python benchmarks/dry_run.py --glue ../shared/glue --steps 300

Both are commands of their own, one after the other, on MRPC (`--set sst2` for another) with
MiniLM-L6 at the course's settings, cut to so many steps with an evaluation every third of them. The
dry run tells time, memory and disk from a few seconds of measuring; the run's own log, the kernel's
accounts and the folder say what they were.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from glue_quality import GLUE, model_folder
from machine import facts


def arguments(folder: Path, model: str, steps: int, out: Path) -> list[str]:
    sets = (
        f"data.labels={json.dumps(GLUE[folder.name]['labels'])}",
        f"train.max_steps={steps}",
        f"train.evaluate_every={max(1, steps // 3)} steps",
        "train.select_by=loss",
    )
    flags = [part for written in sets for part in ("--set", written)]
    return [sys.executable, "-m", "tunesmith", "train", str(folder), "--model", model,
            "--out", str(out), "--json", *flags]  # fmt: skip


def estimated(command: list[str]) -> dict[str, Any]:
    done = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=True)
    plan: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return plan


def happened(command: list[str], out: Path) -> dict[str, float]:
    """Run it in a child: its own log says how long things took, the kernel how much memory."""
    log = out.with_suffix(".jsonl")
    with log.open("w") as file:
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), 1)]
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        _pid, status, usage = os.wait4(pid, 0)
    assert status == 0, status
    events = [json.loads(line) for line in log.read_text().splitlines()]
    (summary,) = [event for event in events if event["event"] == "summary"]
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {
        "train_seconds": summary["train_seconds"],
        "saving_seconds": sum(e["seconds"] for e in events if e["event"] == "saved"),
        "peak_bytes": usage.ru_maxrss * 1024,
        "disk_bytes": size,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--set", dest="name", default="mrpc", choices=sorted(GLUE))
    parser.add_argument("--model", default=None, help="MiniLM-L6 if not given")
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        model = options.model or str(model_folder())
        command = arguments(options.glue / options.name, model, options.steps, out)
        estimate = estimated(command)
        came = happened(command, out)
    result: dict[str, Any] = {"set": options.name, "steps": options.steps}
    for name, value in came.items():
        result[name] = {
            "estimate": round(estimate[name], 3),
            "run": round(value, 3),
            "ratio": round(estimate[name] / value, 3),
        }
        print(name, result[name], flush=True)
    result["measured_steps"] = estimate["measured_steps"]
    result["machine"] = facts()
    target = Path(__file__).parent / "results" / "dry_run.json"
    results = json.loads(target.read_text()) if target.is_file() else {}
    target.write_text(json.dumps({**results, options.name: result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
