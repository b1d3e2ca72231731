"""The quickstart: a whole fine-tuning in about a minute, offline, as a stream of stages.

It shows an embedded data set and the tokens of its first rows, fine-tunes `embedded:mini` and, for
as long, the same encoder without pretraining, compares both with simple baselines, and predicts a
new text.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.rows import first_rows
from tunesmith.recipe import Layers, gather
from tunesmith.training.events import Event, Warned
from tunesmith.training.plan import Plan

__all__ = [
    "LESSONS",
    "Answer",
    "Begun",
    "Compared",
    "DataSeen",
    "Lesson",
    "Stage",
    "TokensSeen",
    "Trained",
    "quickstart",
]

MODEL, UNTRAINED = "embedded:mini", "embedded:mini-untrained"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A training on one of the embedded sets.

    Attributes:
        data: the name of the set.
        settings: of both trainings.
        question: what the finished model predicts, by language: a text, or both of a pair.
    """

    data: str
    settings: Mapping[str, object]
    question: Mapping[str, tuple[str, ...]]


_COMMON: Mapping[str, object] = {
    "preset": None,
    "data.validation": "validation",
    "data.test": "test",
    "train.batch_size": 32,
    "train.warmup": "10%",
    "train.precision": "fp32",
    "train.save_every": None,
}
LESSONS: Mapping[str, Lesson] = {
    "pairs": Lesson(
        "embedded:pairs",
        {**_COMMON, "train.epochs": 1, "train.learning_rate": 3e-4, "metrics": ["accuracy", "f1"]},
        {
            "en": (
                "The waiter gave the key to the cook, and the terrace is open tonight.",
                "Guests can use the outdoor area this evening, and the chef got the key from "
                "the server.",
            ),
            "zh": (
                "服务员把钥匙交给了厨师，露台今晚开放。",
                "今天晚上可以用户外区。大厨从侍者那里拿到了钥匙。",
            ),
        },
    ),
    "tickets": Lesson(
        "embedded:tickets",
        {**_COMMON, "train.epochs": 3, "train.learning_rate": 1e-3},
        {
            "en": ("We waited an hour for the mushroom soup, and then it was cold.",),
            "zh": ("蘑菇汤等了一个小时，端上来还是凉的。",),
        },
    ),
    "entities": Lesson(
        "embedded:spans",
        {**_COMMON, "train.epochs": 4, "train.learning_rate": 2e-3},
        {
            "en": (
                "Two bowls of mushroom soup for table five, and the plum cake at half past six.",
            ),
            "zh": ("五号桌要两碗蘑菇汤，六点半上李子蛋糕。",),
        },
    ),
    "ratings": Lesson(
        "embedded:ratings",
        {**_COMMON, "train.epochs": 4, "train.learning_rate": 1e-3},
        {
            "en": ("The plum cake was a dream, but the price of 20 euros was rather poor.",),
            "zh": ("李子蛋糕太棒了，可是二十元的价格不怎么样。",),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class DataSeen:
    """The data was opened.

    Attributes:
        name: of the set.
        rows: how many each split has.
        columns: each with its type and, if it has some, its class names.
        example: the first training row.
    """

    name: str
    rows: Mapping[str, int]
    columns: Sequence[tuple[str, str, Sequence[str]]]
    example: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TokensSeen:
    """The first rows were tokenized and padded.

    Attributes:
        text: of the first row.
        tokens: of the first row.
        lengths: of the first eight rows.
        shape: of a batch of these.
    """

    text: str
    tokens: Sequence[str]
    lengths: Sequence[int]
    shape: tuple[int, int]

    @property
    def real(self) -> float:
        """The fraction of positions that are not padding."""
        return sum(self.lengths) / (self.shape[0] * self.shape[1])


@dataclass(frozen=True, slots=True)
class Begun:
    """One of the two trainings begins.

    Attributes:
        model: what is fine-tuned.
        plan: its length.
    """

    model: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Trained:
    """One of the two trainings ended.

    Attributes:
        model: what was fine-tuned.
        run: its folder.
        scores: on the test rows.
        seconds: in steps.
    """

    model: str
    run: Path
    scores: Mapping[str, float | None]
    seconds: float


@dataclass(frozen=True, slots=True)
class Compared:
    """The scores of both models and the baselines.

    Attributes:
        metrics: in order, the first chooses.
        rows: name and scores on the test rows of each.
    """

    metrics: Sequence[str]
    rows: Sequence[tuple[str, Mapping[str, float | None]]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the finished model predicts for a new text.

    Attributes:
        texts: one, or the two of a pair.
        label: a class or a number.
        score: its probability, or the number again.
    """

    texts: tuple[str, ...]
    label: object
    score: float


Stage = DataSeen | TokensSeen | Begun | Trained | Compared | Answer


def quickstart(task: str, out: Path, language: str) -> Iterator[Stage | Event]:
    """Run the quickstart; events of both trainings come between the stages.

    Args:
        task: one of `LESSONS`.
        out: the folder of the runs; a finished run is not repeated.
        language: of the question at the end, "en" or "zh".
    """
    from tunesmith.data.open import open_splits
    from tunesmith.inputs import resolve_inputs, validate_inputs
    from tunesmith.runs.folder import RunFolder
    from tunesmith.runs.prepare import prepare_run

    lesson = LESSONS[task]
    splits = open_splits(lesson.data)
    source = splits["train"]
    yield DataSeen(
        lesson.data,
        {name: sum(len(chunk) for chunk in split.chunks(())) for name, split in splits.items()},
        [(column.name, column.type, column.class_names or ()) for column in source.columns],
        first_rows(source, 1)[0].values,
    )
    job = prepare_run(validate_inputs(resolve_inputs(_layers(lesson, MODEL))))
    yield _tokens_of(job)
    trained = []
    for model in (MODEL, UNTRAINED):
        yield Begun(model, job.plan)
        folder = out / task / model.removeprefix("embedded:")
        one = yield from _train(lesson, model, folder)
        trained.append(one)
        yield one
    metrics = [metric.name for metric in job.metrics]
    simple = RunFolder(trained[0].run).facts().get("baselines", {}).get("test", {})
    named = list(simple.items())
    named += [(one.model, one.scores) for one in reversed(trained)]
    yield Compared(metrics, named)
    yield _predict(trained[0].run, lesson.question[language])


def _tokens_of(job: Any) -> TokensSeen:
    import numpy as np

    from tunesmith.data.batches import make_batch

    examples = job.examples["train"]
    places = np.arange(min(8, len(examples)))
    batch = make_batch(examples, places, job.padding)
    ids = examples.prepared.sequence("input_ids", 0)
    row = first_rows(job.splits["train"].source, 1)[0]
    text = " | ".join(job.task.texts_of(row))
    count, longest = batch.inputs["input_ids"].shape
    return TokensSeen(
        text,
        job.tokenizer.convert_ids_to_tokens(ids.tolist()),
        examples.lengths[places].tolist(),
        (int(count), int(longest)),
    )


def _train(lesson: Lesson, model: str, folder: Path) -> Generator[Event, None, Trained]:
    from tunesmith.analysis.report import write_report
    from tunesmith.runs.prepare import prepare_run
    from tunesmith.runs.signals import StopRequest
    from tunesmith.runs.start import start
    from tunesmith.runs.train import train_run

    with (
        StopRequest() as stop,
        start(_layers(lesson, model), out=folder, named_after=lesson.data) as started,
    ):
        for note in started.notes:
            yield Warned(0, note)
        if not started.is_finished:
            job = prepare_run(started.checked, revision=started.revision)
            yield from train_run(job, started.run, stop=stop)
        if not started.run.report.is_file():
            write_report(started.run)
    facts = started.run.facts()
    scores = facts.get("scores", {}).get("test", {})
    return Trained(model, started.run.path, scores, float(facts["train_seconds"]))


def _layers(lesson: Lesson, model: str) -> Layers:
    """Return the recipe of a lesson for one of its models."""
    values = {"data.train": lesson.data, "model": model, **lesson.settings}
    return gather(flags={tuple(key.split(".")): (key, value) for key, value in values.items()})


def _predict(run: Path, texts: tuple[str, ...]) -> Answer:
    from tunesmith.inference.load import load

    (answer,) = load(run).predict([texts[0] if len(texts) == 1 else texts])
    return Answer(texts, answer["label"], float(str(answer["score"])))
