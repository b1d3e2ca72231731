"""The drop-in class in the script of the course, next to transformers' Trainer and the recipe.

    python benchmarks/drop_in.py --glue ../shared/glue

MiniLM-L6 on MRPC, batches of 8, `DataCollatorWithPadding`: one script, in which only the class
differs, and `tunesmith train` with the same settings, in turns. Nothing is evaluated or saved while
steps are timed. Contenders in bfloat16 take part where the processor computes it natively.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from machine import facts
from speed import WORK, settings

from tunesmith.analysis.bench.compare import compare, ratio_of, steps_taken
from tunesmith.analysis.bench.contenders import drop_in
from tunesmith.training.device import has_fast_bf16

TARGET = Path(__file__).parent / "results" / "drop_in.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--work", nargs="+", default=["MRPC, batch 8"], choices=WORK)
    options = parser.parse_args()
    bases = ["fast", *(["fast-bf16"] if has_fast_bf16() else [])]
    contenders = [contender for base in bases for contender in drop_in(base)]
    done = json.loads(TARGET.read_text()) if TARGET.is_file() else {}
    for work in options.work:
        name, batch_size, steps = WORK[work]
        count = steps_taken(options.turns, steps)
        with tempfile.TemporaryDirectory() as folder:
            shared = settings(options.glue, name, batch_size, count, Path(folder))
            results = compare(contenders, shared, turns=options.turns, steps=steps, say=print)
        named = {one.name: one for one in results}
        ratios = {}
        for base in bases:
            script, class_, recipe = (named[contender.name] for contender in drop_in(base))
            ratios[base] = {
                "class / recipe": ratio_of(class_, recipe),
                "class / transformers' Trainer": ratio_of(class_, script),
            }
        done[work] = {
            "turns": options.turns,
            "steps_per_turn": steps,
            "machine": facts(),
            "ratios": ratios,
            "results": [one.as_json() for one in results],
        }
        print(work, json.dumps(ratios), flush=True)
        TARGET.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
