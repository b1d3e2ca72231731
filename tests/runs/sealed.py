"""Predictions changed by hand, under a manifest as if the run had written them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.runs.folder import RunFolder
from tunesmith.runs.model_folder import amend_facts
from tunesmith.runs.predictions import manifest_of
from tunesmith.storage import atomic


@contextmanager
def resealed(run: RunFolder) -> Iterator[Path]:
    """Yield the folder of the predictions; afterwards manifest and model vouch for its content."""
    yield run.predictions
    files = {path.name: path.read_bytes() for path in run.predictions.glob("*.parquet")}
    shutil.rmtree(run.predictions)
    with atomic.publish(run.predictions) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    amend_facts(run.model, {"predictions": manifest_of(run)})
