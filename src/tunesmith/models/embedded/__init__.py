"""Models that come with the package, to try every command without a download.

`embedded:mini`            a small BERT for kitchen texts in English and Chinese; see its card
`embedded:mini-untrained`  the same encoder with random weights, for comparison
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from tunesmith.data.token_cache import cache_folder
from tunesmith.errors import ModelError, Place
from tunesmith.i18n import gettext as _
from tunesmith.storage import atomic
from tunesmith.storage.library_logging import quiet_transformers
from tunesmith.storage.lock import hold
from tunesmith.text import nearest

__all__ = ["NAMES", "embedded_folder"]

NAMES = ("mini", "mini-untrained")

_MINI = Path(__file__).with_name("mini")
_SEED = 20_260_102
_WAIT_SECONDS = 600.0


def embedded_folder(name: str) -> Path:
    """Return the folder of an embedded model.

    Raises:
        ModelError: there is none of this name (M107).
        ResourceError: the cache, where the untrained one is made, cannot be written.
        FolderInUseError: another process held the cache for ten minutes (C106).
    """
    short = name.removeprefix("embedded:")
    if short == "mini":
        return _MINI
    if short == "mini-untrained":
        return _untrained()
    close = nearest(short, NAMES)
    fix = _("Embedded models: {names}.").format(names=", ".join(f"embedded:{n}" for n in NAMES))
    if close:
        fix = _('Did you mean "{name}"?').format(name=f"embedded:{close[0]}") + "\n" + fix
    raise ModelError.of(
        "M107", _("there is no such embedded model"), Place(f"embedded:{short}"), fix=fix
    )


def _untrained() -> Path:
    """Make the untrained model in the cache on first use; it is always the same."""
    home = cache_folder() / "models"
    made_of = [atomic.sha256_of(_MINI / name) for name in ("config.json", "tokenizer.json")]
    digest = hashlib.sha256(json.dumps([*made_of, _SEED]).encode()).hexdigest()
    target = home / f"mini-untrained-{digest[:12]}"
    with hold(home, wait_seconds=_WAIT_SECONDS):
        if os.path.lexists(target) and atomic.damage(target):
            atomic.set_aside(target)
        if not target.exists():
            with atomic.publish(target) as unfinished, quiet_transformers():
                _make(unfinished)
    return target


def _make(folder: Path) -> None:
    import torch
    from transformers import BertConfig, BertForMaskedLM

    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(_MINI / name, folder / name)
    facts = json.loads((_MINI / "config.json").read_text(encoding="utf-8"))
    config = BertConfig.from_dict({**facts, "dtype": "float32"})
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        BertForMaskedLM(config).save_pretrained(folder)
