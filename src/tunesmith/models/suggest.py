"""The pretrained model to start from, if none is named."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tunesmith.data.profile import script_fractions
from tunesmith.i18n import gettext as _
from tunesmith.storage import hub

__all__ = ["EMBEDDED", "has_accelerator", "suggest_model"]

EMBEDDED = "embedded:mini"


@dataclass(frozen=True, slots=True)
class _Models:
    """Models of one kind of language; each has weights as safetensors on its main branch.

    Attributes:
        small: trains on a CPU in minutes.
        base: for a GPU.
        masked: small, with a trained head for masked words.
    """

    small: str
    base: str
    masked: str


_MILLIONS = {
    "sentence-transformers/all-MiniLM-L6-v2": 23,
    "distilbert/distilbert-base-uncased": 66,
    "bert-base-uncased": 110,
    "BAAI/bge-small-zh-v1.5": 24,
    "bert-base-chinese": 103,
    "distilbert/distilbert-base-multilingual-cased": 135,
    "bert-base-multilingual-cased": 178,
}
"""Parameters of each model, in millions."""

_ENGLISH = _Models(
    "sentence-transformers/all-MiniLM-L6-v2",
    "bert-base-uncased",
    "distilbert/distilbert-base-uncased",
)
_CHINESE = _Models("BAAI/bge-small-zh-v1.5", "bert-base-chinese", "bert-base-chinese")
_SEVERAL = _Models(
    "distilbert/distilbert-base-multilingual-cased",
    "bert-base-multilingual-cased",
    "distilbert/distilbert-base-multilingual-cased",
)

_ENGLISH_WORDS = frozenset("the and of to is was it that for you with this are on not".split())
_OTHER_WORDS = frozenset(
    # German, French, Spanish, Portuguese, Italian, Dutch, Turkish, Indonesian, Swedish, Polish
    "der und ist nicht ein eine mit auf für das les des est une pas pour dans que los las una por "
    "con para não uma com di che il della het een niet van bir bu ve için yang dan tidak och att "
    "det är nie się jest".split()
)
"""Frequent short words that identify languages in Latin letters."""


_DRIVERS = (
    "/dev/nvidiactl", "/dev/kfd", "/dev/dxg",
    r"C:\Windows\System32\nvcuda.dll", r"C:\Windows\System32\amdhip64.dll",
)  # fmt: skip
"""What the drivers of NVIDIA and AMD put on a machine: Linux, WSL, Windows."""


def suggest_model(
    texts: Sequence[str], *, device: str = "auto", model_class: str | None = None
) -> tuple[str, str]:
    """Return the smallest sensible model for texts like these, and why.

    Offline it is one in the cache or, with a remark, the embedded one.

    Args:
        texts: some of the texts to train on.
        device: as `train.device` says: "auto", "cpu", "cuda" or "mps".
        model_class: of transformers, which loads the model; one for masked words needs its head.
    """
    from huggingface_hub import constants

    models, language = _for_language(texts)
    is_fast = has_accelerator(device)
    if model_class == "AutoModelForMaskedLM":
        order = [models.base, models.masked] if is_fast else [models.masked, models.base]
    else:
        order = [models.base, models.small] if is_fast else [models.small, models.base]
    name = order[0]
    if constants.HF_HUB_OFFLINE and not hub.is_cached(name):
        cached = [other for other in (*order, models.masked) if hub.is_cached(other)]
        if not cached:
            return EMBEDDED, _(
                "{name} is not in the cache and HF_HUB_OFFLINE is set; this one is only for "
                "trying things out"
            ).format(name=name)
        return cached[0], _("{language}; offline, and this one is in the cache").format(
            language=language
        )
    if is_fast or name == models.base:
        return name, language
    return name, _("{language}; {count} million weights, few enough for a CPU").format(
        language=language, count=_MILLIONS[name]
    )


def has_accelerator(device: str) -> bool:
    """Return whether training would run on a GPU, as far as is known without loading torch.

    Args:
        device: as `train.device` says; "auto" takes a GPU if there is one.
    """
    if device != "auto":
        return device != "cpu"
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    spec = find_spec("torch")
    libraries = Path(spec.origin).parent / "lib" if spec and spec.origin else None
    is_for_gpus = libraries is not None and any(
        re.fullmatch(r"(lib)?torch_(cuda|hip)\.(so|dll)", library.name)
        for library in libraries.glob("*torch_*")
    )
    return is_for_gpus and any(Path(driver).exists() for driver in _DRIVERS)


def _for_language(texts: Sequence[str]) -> tuple[_Models, str]:
    """Return the models for the language of some texts, and how it was recognized."""
    shares = script_fractions(texts)
    chinese, other = shares["chinese"], shares["other"]
    if chinese > 0.5:
        return _CHINESE, _("{share:.0%} of the letters are Chinese").format(share=chinese)
    if chinese + other > 0.05:
        return _SEVERAL, _("{share:.0%} of the letters are not plain Latin").format(
            share=chinese + other
        )
    words = re.findall(r"[^\W\d_]+", " ".join(texts).casefold())
    english = sum(word in _ENGLISH_WORDS for word in words)
    if sum(word in _OTHER_WORDS for word in words) > english:
        return _SEVERAL, _("the words are not English")
    return _ENGLISH, _("the letters are plain Latin")
