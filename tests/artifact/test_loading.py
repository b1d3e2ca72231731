from __future__ import annotations

from pathlib import Path

import pytest

import tunesmith as ts
from tunesmith.data.roles import Roles
from tunesmith.errors import ModelError


def test_a_plain_hugging_face_model_predicts_too(tiny_bert: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    plain = AutoModelForSequenceClassification.from_pretrained(
        tiny_bert, id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1}
    )
    plain.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    model = ts.load(tmp_path)
    assert model.predict("the soup")[0]["label"] in ("no", "yes")
    rows = [{"body": "the soup", "gold": "yes"}, {"body": "the rice", "gold": "no"}]
    other = ts.load(tmp_path, roles=Roles("body", None, "gold"))
    assert set(other.evaluate(rows).values) == {"f1", "accuracy", "loss"}


def test_a_bare_encoder_is_no_finished_model(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="M114"):
        ts.load(tiny_bert)
