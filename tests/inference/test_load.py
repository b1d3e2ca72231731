from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import tunesmith as ts
from tests.models.folders import loaded
from tunesmith.data.columns import Roles
from tunesmith.errors import IntegrityError, ModelError, RecipeError
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks.text_classification import TextClassification


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


def test_damaged_weights_do_not_answer(tiny_bert: Path, tmp_path: Path) -> None:
    """One flipped bit of a weight gives other answers, and no other sign of it."""
    rows = [{"text": f"the soup {i}", "label": "ab"[i % 2]} for i in range(20)]
    settings = {"model": str(tiny_bert), "train.max_steps": 1}
    run = ts.train(rows, out=tmp_path / "run", settings=settings, verbose=False)
    assert ts.load(run.folder).predict("the soup")
    path = Path(run.model) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)
    for name in (run.folder, run.model):
        with pytest.raises(IntegrityError, match="C118"):
            ts.load(name)


def test_a_bare_encoder_is_no_finished_model(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="M114"):
        ts.load(tiny_bert)


def test_names_of_classes_that_no_file_holds(tiny_bert: Path, tmp_path: Path) -> None:
    """Two labels are what a configuration has anyway, so that none are written."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    plain = AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=2)
    plain.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    assert "id2label" not in (tmp_path / "config.json").read_text()
    scores = ts.load(tmp_path).predict("the soup")[0]["scores"]
    assert list(scores) == ["LABEL_0", "LABEL_1"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"precision": "fp16"}, 'precision cannot be "fp16": choose from auto, fp32, bf16'),
        ({"device": "gpu"}, 'device cannot be "gpu": choose from auto, cpu, cuda, mps'),
        ({"device": "cuda:1"}, 'device cannot be "cuda:1"'),
    ],
)
def test_devices_and_precisions_that_nothing_knows(wrong: dict[str, str], words: str) -> None:
    with pytest.raises(RecipeError, match="R104") as caught:
        ts.load("embedded:mini", **wrong)  # type: ignore[arg-type]
    assert words in str(caught.value)


@pytest.fixture
def finished(tiny_bert: Path, tmp_path: Path) -> Path:
    """A plain classifier with our file next to it."""
    model = loaded(tiny_bert)
    model.save_pretrained(tmp_path / "m")
    load_tokenizer(locate(str(tiny_bert))).save_pretrained(tmp_path / "m")
    task = TextClassification(Roles("text", None, "label"), ("a", "b"))
    facts = {"format": 1, "task": task.as_json(), "max_length": 1000, "scores": {}}
    (tmp_path / "m" / "tunesmith.json").write_text(json.dumps(facts))
    return tmp_path / "m"


def test_rows_are_never_longer_than_the_model_takes(finished: Path) -> None:
    model = ts.load(finished)
    assert model.max_length == 64
    assert model.predict("soup " * 900)[0]["label"] in ("a", "b")


def test_weights_that_are_no_numbers(finished: Path) -> None:
    tensors = load_file(finished / "model.safetensors")
    tensors["classifier.weight"][0, 0] = float("nan")
    save_file(tensors, finished / "model.safetensors")
    with pytest.raises(ModelError, match="M126"):
        ts.load(finished)


def test_a_head_that_is_missing(finished: Path) -> None:
    tensors = load_file(finished / "model.safetensors")
    save_file(
        {name: tensor for name, tensor in tensors.items() if "classifier" not in name},
        finished / "model.safetensors",
    )
    with pytest.raises(ModelError, match=r"M114 .*weights of its head are missing"):
        ts.load(finished)
