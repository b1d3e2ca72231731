"""One contender of `prediction.py`: loads a model, then predicts on demand.

    python benchmarks/prediction_contenders.py NAME MODEL_FOLDER WORK_FOLDER

Each line of stdin names a file of texts, the places of calls in it, and where to write
probabilities; each line of stdout is the seconds of these calls. It needs no tunesmith except to
run `tunesmith...`, so that it runs in an environment of the peers.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

Texts = Sequence[Any]
"""Texts, or pairs of texts."""

Predict = Callable[[Texts], "np.ndarray[Any, Any]"]
"""From texts to probabilities, shape (n, classes)."""

_AT_ONCE = 32
"""Rows per batch of the runtimes, after sorting by length."""


def tunesmith(folder: Path, precision: str, disable: Sequence[str]) -> Predict:
    import tunesmith as ts

    model = ts.load(folder, precision=precision, device="cpu", disable=disable)
    return lambda texts: softmax(model.predict(texts).logits)


def trainer(folder: Path, _work: Path) -> Predict:
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(folder)
    predictor = Trainer(
        model=AutoModelForSequenceClassification.from_pretrained(folder),
        args=TrainingArguments(
            tempfile.mkdtemp(), report_to="none", disable_tqdm=True, use_cpu=True
        ),
        data_collator=DataCollatorWithPadding(tokenizer=tokenizer),
        processing_class=tokenizer,
    )

    def predict(texts: Texts) -> Any:
        encoded = tokenizer(*columns(texts), truncation=True)
        rows = [{name: encoded[name][i] for name in encoded} for i in range(len(texts))]
        return softmax(predictor.predict(rows).predictions)

    return predict


def pipeline(folder: Path, _work: Path) -> Predict:
    import transformers

    pipe = transformers.pipeline("text-classification", model=str(folder), device="cpu")
    names = pipe.model.config.id2label

    def predict(texts: Texts) -> Any:
        inputs = [t if isinstance(t, str) else {"text": t[0], "text_pair": t[1]} for t in texts]
        answers = pipe(inputs, top_k=None, truncation=True)
        scores = [{each["label"]: each["score"] for each in row} for row in answers]
        return np.array([[row[names[i]] for i in range(len(names))] for row in scores])

    return predict


def export(folder: Path, work: Path) -> Path:
    """The model as ONNX, once."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    target = work / "model.onnx"
    if target.exists():
        return target
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    example = AutoTokenizer.from_pretrained(folder)(["a text"] * 2, return_tensors="pt")
    names = [name for name in signature(model.forward).parameters if name in example]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            args=(),
            kwargs=dict(example),
            f=str(target),
            input_names=names,
            output_names=["logits"],
            dynamic_axes={name: {0: "rows", 1: "tokens"} for name in names},
            dynamo=False,
        )
    return target


def batched(folder: Path, run: Callable[[dict[str, Any]], Any]) -> Predict:
    """Rows sorted by length in batches through a runtime."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)

    def predict(texts: Texts) -> Any:
        encoded = tokenizer(*columns(texts), truncation=True)
        order = np.argsort([-len(ids) for ids in encoded["input_ids"]], kind="stable")
        parts = []
        for start in range(0, len(order), _AT_ONCE):
            chosen = order[start : start + _AT_ONCE]
            part = {name: [encoded[name][i] for i in chosen] for name in encoded}
            parts.append(run(dict(tokenizer.pad(part, return_tensors="np"))))
        logits = np.concatenate(parts)
        return softmax(logits[np.argsort(order)])

    return predict


def onnxruntime(folder: Path, work: Path, *, int8: bool) -> Predict:
    import onnxruntime as ort
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = export(folder, work)
    if int8:
        target = work / "model.int8.onnx"
        if not target.exists():
            quantize_dynamic(path, target, weight_type=QuantType.QInt8, per_channel=True)
        path = target
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return batched(folder, lambda batch: session.run(None, {n: batch[n] for n in names})[0])


def openvino(folder: Path, work: Path, *, precision: str) -> Predict:
    import openvino as ov

    model = ov.Core().compile_model(
        export(folder, work),
        "CPU",
        {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"},
    )
    names = [each.any_name for each in model.inputs]
    return batched(folder, lambda batch: model({n: batch[n] for n in names})[0].copy())


def columns(texts: Texts) -> list[list[str]]:
    return (
        [list(texts)] if isinstance(texts[0], str) else [list(c) for c in zip(*texts, strict=True)]
    )


def softmax(logits: Any) -> Any:
    logits = np.asarray(logits, dtype=np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


PEERS: dict[str, Callable[[Path, Path], Predict]] = {
    "trainer": trainer,
    "pipeline": pipeline,
    "onnxruntime": lambda folder, work: onnxruntime(folder, work, int8=False),
    "onnxruntime-int8": lambda folder, work: onnxruntime(folder, work, int8=True),
    "openvino": lambda folder, work: openvino(folder, work, precision="f32"),
    "openvino-bf16": lambda folder, work: openvino(folder, work, precision="bf16"),
}
_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "onnxruntime", "openvino")


def main() -> None:
    name, folder, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if name.startswith("tunesmith"):
        _ours, precision, *disable = name.split("-")
        predict = tunesmith(folder, precision, disable)
    else:
        predict = PEERS[name](folder, work)
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except ImportError:
            continue
    print(json.dumps(versions), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        texts = [
            tuple(t) if isinstance(t, list) else t
            for t in json.loads(Path(order["texts"]).read_text())
        ]
        outputs = []
        started = time.perf_counter()
        for start, stop in order["calls"]:
            outputs.append(predict(texts[start:stop]))
        seconds = time.perf_counter() - started
        np.save(order["out"], np.concatenate(outputs))
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
