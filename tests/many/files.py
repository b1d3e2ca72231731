"""Files of jobs, and the command on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from hypothesis import strategies as st

from tunesmith.many.states import Name, State

ROWS = "text,label\n" + "".join(
    f"the food was {('good', 'bad')[i % 2]} on day {i},{('pos', 'neg')[i % 2]}\n" for i in range(60)
)
SETTINGS = {
    "train.max_steps": 3, "train.log_every": 1, "train.preflight": False,
    "train.engine": "exact", "train.batch_size": 8, "data.validation": "30%",
}  # fmt: skip

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
STATES = st.builds(
    State,
    state=st.sampled_from(get_args(Name)),
    out=st.sampled_from(["a", "b", "c"]),
    line=st.integers(1, 9),
    digest=TEXTS,
    exit_code=st.none() | st.integers(0, 255),
    code=st.none() | st.just("D301"),
    message=st.none() | TEXTS,
    scores=st.none() | st.dictionaries(TEXTS, st.floats(0, 1) | st.none(), max_size=2),
    seconds=st.none() | st.floats(0, 1e6),
    time=TEXTS,
)


def written(folder: Path, lines: Sequence[object]) -> Path:
    """A file of jobs; text as it is, other values as JSON."""
    path = folder / "jobs.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def job(out: str, model: Path | str, **settings: Any) -> dict[str, object]:
    """A line for a short training on `rows.csv`."""
    named = {key.replace("__", "."): value for key, value in settings.items()}
    values = {**SETTINGS, "model": str(model), **named}
    return {"what": "rows.csv", "out": out, "settings": values}


def start(
    folder: Path, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start `tunesmith many`, as from a shell, in a session of its own."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "tunesmith", "many", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(temporary), **(environment or {})},
    )


def run(folder: Path, *words: str, **keywords: Any) -> tuple[int, str, str]:
    """Run it; return its exit code, stdout and stderr."""
    process = start(folder, *words, **keywords)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err
