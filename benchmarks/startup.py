"""How long `tunesmith --help` takes, and preparing MRPC; medians over several runs.

python benchmarks/startup.py --glue ../shared/glue
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from glue_quality import GLUE, model_folder
from machine import facts


def help_seconds() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tunesmith", "--help"], capture_output=True, check=True)
    return time.perf_counter() - started


def prepare_seconds(glue: Path) -> float:
    """Scan and tokenize all 4,076 labeled pairs of MRPC into an empty cache, nothing loaded."""
    import os

    from tunesmith.inputs import resolve_inputs, validate_inputs
    from tunesmith.recipe import gather
    from tunesmith.runs.prepare import prepare_run

    labels = json.dumps(GLUE["mrpc"]["labels"])
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TUNESMITH_CACHE"] = cache
        layers = gather(
            sets=[
                f"data.train={glue / 'mrpc'}",
                f"model={model_folder()}",
                f"data.labels={labels}",
            ],
            environment={},
        )
        started = time.perf_counter()
        job = prepare_run(validate_inputs(resolve_inputs(layers)))
        seconds = time.perf_counter() - started
        assert len(job.examples["train"]) == 3668
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    arguments = parser.parse_args()
    prepare_seconds(arguments.glue)  # libraries are loaded and compiled by now
    result = {
        "help_seconds": round(statistics.median(help_seconds() for _ in range(9)), 3),
        "prepare_mrpc_seconds": round(
            statistics.median(prepare_seconds(arguments.glue) for _ in range(9)), 3
        ),
        "machine": facts(),
    }
    print(result)
    target = Path(__file__).parent / "results" / "startup.json"
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
