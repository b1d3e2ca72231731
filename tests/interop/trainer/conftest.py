"""Tokenized pairs and small models, as scripts for a Trainer bring them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_tiny_bert
from tests.test_parity import pair_rows

MakeModel = Callable[..., Any]


@pytest.fixture(scope="package", autouse=True)
def _young_heap() -> Iterator[None]:
    """transformers collects garbage at each training: spare it all that was imported before."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _no_open_loader() -> None:
    """A loader that an earlier test left halfway would tell accelerate how many rows to keep."""
    from accelerate.state import GradientState

    GradientState().dataloader_references = [None]


@pytest.fixture(scope="package")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers without dropout."""
    return make_tiny_bert(tmp_path_factory.mktemp("trainer") / "bert", dropout=0.0)


@pytest.fixture(scope="package")
def tokenizer(bert: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(bert)


@pytest.fixture(scope="package")
def pairs(tokenizer: Any) -> Any:
    """A `DatasetDict` as `map` leaves it: 60 rows to train on, 20 for validation."""
    from datasets import Dataset, DatasetDict, disable_progress_bars

    disable_progress_bars()
    rows = pair_rows(80)
    whole = DatasetDict(train=Dataset.from_list(rows[:60]), validation=Dataset.from_list(rows[60:]))
    return whole.map(
        lambda batch: tokenizer(batch["sentence1"], batch["sentence2"], truncation=True),
        batched=True,
    )


@pytest.fixture
def make_model(bert: Path) -> MakeModel:
    """The body with a fresh head, the same each time."""
    from transformers import AutoModelForSequenceClassification, set_seed

    from tunesmith.storage.library_logging import quiet_transformers

    def make(kind: Any = AutoModelForSequenceClassification, **settings: Any) -> Any:
        set_seed(42)
        with quiet_transformers():
            return kind.from_pretrained(bert, **settings)

    return make


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """What has been logged so far, a line each."""

    def lines() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.name == "tunesmith.interop.trainer"]

    yield lines
