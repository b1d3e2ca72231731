from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tunesmith.data.batches import Examples, Padding
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.training.device import make_accelerator
from tunesmith.training.fast.predictor import Predictor
from tunesmith.training.predict import predict

TEXTS = ["the soup", "the rice is good", "the printer is broken again", "good", "the soup is bad"]


class Setting:
    """A tiny model and its task, as `load` puts them together."""

    def __init__(self, folder: Path) -> None:
        files = locate(str(folder))
        self.tokenizer = load_tokenizer(files)
        self.task = TextClassification(Roles("text", None, "label"), labels=("a", "b"))
        self.network = self.task.build(files, seed=0, dropout=None).model
        self.accelerator = make_accelerator(device="cpu")

    def predictor(self) -> Predictor:
        return Predictor(self.network, self.task, self.accelerator, "fp32")

    def examples(self, texts: list[str]) -> Examples:
        rows = [Row(i, {"text": text}) for i, text in enumerate(texts)]
        encoded = self.task.encode(rows, self.tokenizer, 64, labeled=False)
        return Examples(hold_in_memory(encoded))

    def logits(self, predictor: Predictor, texts: list[str]) -> np.ndarray:
        examples, padding = self.examples(texts), Padding.of(self.tokenizer)
        with predictor.patched(examples, padding) as forward:
            result = predict(forward, self.task, examples, padding, accelerator=self.accelerator)
        return result.predictions["logits"]


@pytest.fixture
def setting(tiny_bert: Path) -> Setting:
    return Setting(tiny_bert)


def test_few_rows_are_computed_as_the_model_is(setting: Setting) -> None:
    predictor = setting.predictor()
    few = setting.logits(predictor, TEXTS[:3])
    assert predictor._probe_result is None
    many = setting.logits(predictor, TEXTS)
    assert predictor._probe_result is not None and predictor._probe_result.exit is not None
    np.testing.assert_allclose(many[:3], few, atol=1e-6)


def test_rows_of_one_length_prove_nothing_for_others(setting: Setting) -> None:
    predictor = setting.predictor()
    setting.logits(predictor, ["the soup", "the rice"] * 4)
    assert predictor._probe_result is None
    setting.logits(predictor, TEXTS)
    assert predictor._probe_result is not None


def test_the_model_is_left_plain(setting: Setting) -> None:
    setting.logits(setting.predictor(), TEXTS)
    assert not [module for module in setting.network.modules() if "forward" in vars(module)]
    assert setting.network.config._attn_implementation != "tunesmith_packed"  # type: ignore[union-attr]
