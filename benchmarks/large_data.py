"""The order of data that is read shard by shard: time and memory per batch, by synthetic counts.

    python benchmarks/large_data.py --out benchmarks/results/large_data.json

No data is read: an order is a function of the number of rows of each shard. Positions are drawn
from the whole epoch, so that each batch is in another window.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import numpy as np
from machine import facts

from tunesmith.data.held_out import HeldOut
from tunesmith.data.windows import WindowedOrder

ROWS = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
SHARD_ROWS, WINDOW, BATCH, REPEATS = 16_384, 1_000_000, 32, 400


def rss_megabytes() -> float:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize() / 1e6


def measured(rows: int) -> dict[str, float]:
    """Microseconds per batch, and the memory that the order takes."""
    before = rss_megabytes()
    sizes = np.full(-(-rows // SHARD_ROWS), SHARD_ROWS, dtype=np.int64)
    held_out = HeldOut.of(sizes, [20_000 / rows], 42)
    order = WindowedOrder(held_out.remaining, WINDOW, 42)
    order.examples(0, 0, BATCH)  # sorts out the shards of the epoch
    starts = np.random.default_rng(1).integers(0, len(order) - BATCH, REPEATS).tolist()
    times = []
    for start in starts:
        started = time.perf_counter()
        shards, within = order.located(order.examples(0, start, start + BATCH))
        for shard in np.unique(shards).tolist():
            held_out.training_rows(shard, within[shards == shard])
        times.append(time.perf_counter() - started)
    return {
        "rows": rows,
        "shards": len(sizes),
        "windows": order.num_windows,
        "us_per_batch": round(statistics.median(times) * 1e6, 1),
        "memory_mb": round(rss_megabytes() - before, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = {
        "machine": facts(),
        "batch": BATCH,
        "shard_rows": SHARD_ROWS,
        "window": WINDOW,
        "repeats": REPEATS,
        "results": [measured(rows) for rows in ROWS],
    }
    text = json.dumps(results, indent=1)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
