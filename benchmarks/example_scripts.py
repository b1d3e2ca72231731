"""Whether training gives the losses and scores of transformers' own example scripts.

    python benchmarks/example_scripts.py --scripts DIR

The same rows, the same model with the same new head, float32, no dropout, the row order of the
script, both engines; compared are the loss of every step and the scores of the validation rows.

DIR holds run_ner.py, run_swag.py, run_qa.py, trainer_qa.py and utils_qa.py. They are in
`examples/pytorch` of the repository of transformers; take them of a version near the installed one,
and change nothing but names in imports that the installed one no longer has.
run_ner.py also needs `pip install seqeval`; nothing is downloaded while they run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from machine import facts

import tunesmith as ts
from tunesmith.models import locate

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "example_scripts.json"
SPLITS = ("train", "validation")
ENGINES = ("exact", "fast")
STEPS, BATCH, SEED = 60, 8, 42
NO_DROPOUT = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout",
)  # fmt: skip

Rows = Sequence[Mapping[str, Any]]


def rows_of(name: str, split: str) -> Rows:
    source = ts.load_data(f"embedded:{name}")[split]
    return [dict(row.values) for chunk in source.chunks() for row in chunk]


def as_lines(rows: Rows, path: Path) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def as_table(rows: Rows, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def entities(split: str) -> Rows:
    return [{name: row[name] for name in ("tokens", "tags")} for row in rows_of("entities", split)]


def tags() -> list[str]:
    """O, then B- and I- of each type, as the model is trained with."""
    types = sorted({tag[2:] for row in entities("train") for tag in row["tags"] if tag != "O"})
    return ["O", *(f"{mark}-{name}" for name in types for mark in "BI")]


def swag(split: str) -> Rows:
    """The questions that have four choices or more, as SWAG writes them."""
    made = []
    for row in rows_of("choices", split):
        texts, right = row["choices"], row["label"]
        if len(texts) < 4:
            continue
        places = [i for i in range(len(texts)) if i < 4 or i == right][-4:]
        endings = {f"ending{i}": texts[place] for i, place in enumerate(places)}
        start = {"sent1": row["context"], "sent2": row["question"]}
        made.append({**start, **endings, "label": places.index(right)})
    return made


def answered(split: str) -> Rows:
    """The questions that have an answer."""
    return [row for row in questions(split) if row["answers"]["text"]]


def questions(split: str) -> Rows:
    """Questions with answers, as the tables of SQuAD write them."""
    return [
        {
            **{name: row[name] for name in ("id", "context", "question")},
            "answers": {
                name: [answer[name] for answer in row["answers"]]
                for name in ("text", "answer_start")
            },
        }
        for row in rows_of("questions", split)
    ]


def as_data(rows: Rows, path: Path) -> None:
    """Lines for us; the script wants them in an object."""
    as_lines(rows, path)
    whole = path.parent / "theirs" / path.name
    whole.parent.mkdir(exist_ok=True)
    whole.write_text(json.dumps({"data": rows}, ensure_ascii=False), encoding="utf-8")


@dataclass(frozen=True)
class Work:
    """A script and the same training here.

    Attributes:
        script: its name.
        head: the class of the model.
        rows: of a split.
        suffix: of the files of rows.
        write: writes rows to a file.
        arguments: of the script.
        settings: of the recipe.
        scores: what the script calls each of our scores.
        labels: the names of the outputs; none for a head without.
        rate: of learning; the script's default where that learns something in so few steps.
        one_by_one: whether the script sees one row at a time, and adds up gradients.
    """

    script: str
    head: str
    rows: Callable[[str], Rows]
    suffix: str
    write: Callable[[Rows, Path], None]
    arguments: Sequence[str]
    settings: Mapping[str, object]
    scores: Mapping[str, str]
    labels: Callable[[], list[str]] = field(default=list)
    rate: float = 5e-5
    one_by_one: bool = False


_QA = ("--max_seq_length", "384", "--doc_stride", "128", "--pad_to_max_length", "False")
"""The script's softmax gives probability to padding, ours does not: so it gets none."""
_ANSWERING: dict[str, object] = {"task": "question-answering", "train.max_length": 384}
_NER = ("--text_column_name", "tokens", "--label_column_name", "tags", "--max_seq_length", "128")
WORK = {
    "ner": Work(
        "run_ner.py",
        "AutoModelForTokenClassification",
        entities,
        "json",
        as_lines,
        _NER,
        {"task": "token-classification", "options": {"pieces": "first"}, "train.max_length": 128},
        {name: name for name in ("precision", "recall", "f1", "accuracy")},
        tags,
        rate=5e-4,
    ),
    "ner, all pieces": Work(
        "run_ner.py",
        "AutoModelForTokenClassification",
        entities,
        "json",
        as_lines,
        (*_NER, "--label_all_tokens"),
        {"task": "token-classification", "train.max_length": 128},
        {},  # the script scores pieces, as if each were a word
        tags,
        rate=5e-4,
    ),
    "swag": Work(
        "run_swag.py",
        "AutoModelForMultipleChoice",
        swag,
        "csv",
        as_table,
        ("--max_seq_length", "128"),
        {"task": "multiple-choice", "train.max_length": 128},
        {"accuracy": "accuracy"},
    ),
    "qa": Work(
        "run_qa.py",
        "AutoModelForQuestionAnswering",
        answered,
        "json",
        as_data,
        _QA,
        _ANSWERING,
        {"exact": "exact_match", "f1": "f1"},
        rate=3e-4,
        one_by_one=True,
    ),
    "qa, version 2": Work(
        "run_qa.py",
        "AutoModelForQuestionAnswering",
        questions,
        "json",
        as_data,
        (*_QA, "--version_2_with_negative", "--null_score_diff_threshold", "3"),
        {**_ANSWERING, "options": {"no_answer_threshold": 3.0}},  # else all would be none
        {
            name: name
            for name in (
                "exact",
                "f1",
                "HasAns_exact",
                "HasAns_f1",
                "NoAns_exact",
                "NoAns_f1",
            )
        },
        rate=3e-4,
        one_by_one=True,
    ),
}


def make_model(work: Work, folder: Path) -> None:
    """`embedded:mini` with a new head and without dropout, which both sides load."""
    start = locate("embedded:mini").folder
    names = work.labels()
    config = transformers.AutoConfig.from_pretrained(start)
    for name in NO_DROPOUT:
        setattr(config, name, 0.0)
    if names:
        config.id2label = dict(enumerate(names))
        config.label2id = {name: i for i, name in enumerate(names)}
    torch.manual_seed(SEED)
    model = getattr(transformers, work.head).from_pretrained(start, config=config)
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(start).save_pretrained(folder)


def theirs(work: Work, scripts: Path, folder: Path) -> dict[str, Any]:
    out = folder / "theirs"
    data = folder / "data" / "theirs"
    data = data if data.is_dir() else data.parent
    files = [f"--{split}_file={data / split}.{work.suffix}" for split in SPLITS]
    command = [
        sys.executable, HERE / "run_script.py", folder / "steps.json", scripts / work.script,
        "--model_name_or_path", folder / "model", *files, *work.arguments,
        "--do_train", "--do_eval", "--output_dir", out, "--use_cpu", "--report_to", "none",
        "--save_strategy", "no", "--max_steps", STEPS, "--learning_rate", work.rate,
        "--per_device_train_batch_size", 1 if work.one_by_one else BATCH,
        "--gradient_accumulation_steps", BATCH if work.one_by_one else 1, "--seed", SEED,
    ]  # fmt: skip
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "home")}
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, **offline}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{work.script} failed:\n{done.stderr[-3000:]}")
    results = json.loads((out / "eval_results.json").read_text())
    scores = {name: results[f"eval_{theirs}"] for name, theirs in work.scores.items()}
    losses = json.loads((folder / "steps.json").read_text())
    each = len(losses) // STEPS
    counts = {
        split: json.loads((out / f"{name}_results.json").read_text())[f"{name}_samples"]
        for split, name in (("train", "train"), ("validation", "eval"))
    }
    return {
        "losses": [sum(losses[i : i + each]) for i in range(0, len(losses), each)],
        "scores": scores,
        "examples": counts,
    }


def ours(work: Work, folder: Path, engine: str) -> dict[str, Any]:
    settings = {
        "model": str(folder / "model"),
        "data.validation": f"{folder / 'data' / 'validation'}.{work.suffix}",
        **({"metrics": list(work.scores)} if work.scores else {}),
        "train.max_steps": STEPS,
        "train.batch_size": BATCH,
        "train.learning_rate": work.rate,
        "train.seed": SEED,
        "train.evaluate_every": None,
        "train.save_every": None,
        "train.log_every": 1,
        "train.device": "cpu",
        "train.engine": engine,
        **work.settings,
    }
    out = folder / engine
    run = ts.train(
        f"{folder / 'data' / 'train'}.{work.suffix}", out=out, settings=settings, verbose=False
    )  # fmt: skip
    events = map(json.loads, (out / "events.jsonl").read_text().splitlines())
    losses = [event["loss"] for event in events if event["event"] == "step"]
    splits = json.loads((out / "plan.json").read_text())["data"]
    return {
        "losses": losses,
        "scores": {name: run.scores[name] for name in work.scores},
        "examples": {split: splits[split]["examples"] for split in SPLITS},
    }


def compared(work: Work, scripts: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        data.mkdir()
        for split in SPLITS:
            work.write(work.rows(split), data / f"{split}.{work.suffix}")
        make_model(work, folder / "model")
        expected = theirs(work, scripts, folder)
        result: dict[str, Any] = {
            "rows": {split: len(work.rows(split)) for split in SPLITS},
            "script": {"sha256": sha256((scripts / work.script).read_bytes()).hexdigest()},
            "theirs": expected,
        }
        for engine in ENGINES:
            trained = ours(work, folder, engine)
            pairs = list(zip(expected["losses"], trained["losses"], strict=True))
            result[engine] = {
                "scores": trained["scores"],
                "examples": trained["examples"],
                "loss_differences": [abs(one - two) for one, two in pairs],
                "equal_scores": {  # run_swag.py computes its score in float32
                    name: bool(np.float32(value) == np.float32(trained["scores"][name]))
                    for name, value in expected["scores"].items()
                },
            }
        return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--scripts", type=Path, required=True)
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in options.work:
        results[name] = compared(WORK[name], options.scripts)
        command = "python benchmarks/example_scripts.py --scripts DIR"
        results["machine"] = {**facts(), "command": command}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        for engine in ENGINES:
            result = results[name][engine]
            print(name, engine, max(result["loss_differences"]), result["equal_scores"], flush=True)


if __name__ == "__main__":
    main()
