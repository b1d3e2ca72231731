"""Model folders with something changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from tunesmith.models import load_model, locate

HEAD = "AutoModelForSequenceClassification"


def edited(source: Path, target: Path, **changes: object) -> Path:
    """A copy of a model folder with another config.json; None removes a key."""
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text()) | changes
    config = {key: value for key, value in config.items() if value is not None}
    (target / "config.json").write_text(json.dumps(config))
    return target


def loaded(folder: Path, **settings: object) -> torch.nn.Module:
    return load_model(
        locate(str(folder)),
        HEAD,
        seed=1,
        id2label={0: "a", 1: "b"},
        **settings,  # type: ignore[arg-type]
    ).model
