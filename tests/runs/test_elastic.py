"""A run that continues with another number of processes is the run of one process.

Each part is a job of its own, stopped by a signal after a chosen step. Processes keep a ledger of
what they read: step, number of the micro-batch, examples, and seed of the dropout.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.capabilities import needs
from tests.conftest import ticket_rows
from tests.golden import ALONE as GOLDEN
from tests.runs.children import ended, in_child, start_each, train
from tunesmith.runs.folder import RunFolder

pytestmark = needs("signals")

SETTINGS: dict[str, object] = {
    "train.log_every": 1,
    "train.epochs": 2,
    "train.learning_rate": 1e-3,
    "train.micro_batch_size": 2,
    "train.evaluate_every": "4 steps",
    "train.preflight": False,
    "train.precision": "fp32",
    "data.validation": "21%",  # 47 rows are left: the last of six steps has seven of them
}


class Part(NamedTuple):
    """A job that continues the run.

    Attributes:
        processes: how many.
        stop: the step after which it is stopped; None for the end.
    """

    processes: int
    stop: int | None = None


ALONE_AT_ONCE = [Part(1)]
ELASTIC = [Part(2, 4), Part(4, 8), Part(1)]

Ledger = dict[int, dict[int, tuple[list[int], int]]]
"""Of each step, by their numbers, the micro-batches: examples, and seed of the dropout."""


def train_part(
    stop: int | None,
    in_double: bool,
    out: Path,
    data: Path,
    model: Path,
    settings: dict[str, object],
) -> None:
    """Train, and write down what is read; the first process gets a signal in the step `stop`."""
    from tunesmith.runs import open_session
    from tunesmith.runs.session import Session

    real = Session.micro_batches
    file = (out.parent / f"ledger-{os.getpid()}.jsonl").open("a", encoding="utf-8")

    def recorded(self: Session, step: int) -> Any:
        batches = real(self, step)
        for number, batch in batches:
            if not batch.is_dummy:
                seed = self.job.plan.dropout_seed(step, number)
                file.write(json.dumps([step, number, batch.examples.tolist(), seed]) + "\n")
        file.flush()
        if stop is not None and step == stop - 1 and self.accelerator.is_main_process:
            os.kill(os.getpid(), signal.SIGTERM)
        return batches

    Session.micro_batches = recorded  # type: ignore[method-assign]
    if in_double:
        build = open_session._build_model

        def built(*arguments: Any) -> Any:
            network, new_weights = build(*arguments)
            return network.double(), new_weights

        open_session._build_model = built
    train(out, data, model, settings)


def run_parts(
    parts: Sequence[Part],
    out: Path,
    data: Path,
    model: Path,
    *,
    in_double: bool = False,
    settings: Mapping[str, object],
) -> RunFolder:
    """Run parts one after the other on one folder, by the same command."""
    out.parent.mkdir(parents=True, exist_ok=True)
    for processes, stop in parts:
        arguments = (stop, in_double, out, data, model, dict(settings))
        if processes == 1:
            codes = [in_child(train_part, *arguments)]
        else:
            codes = ended(start_each(train_part, *[arguments] * processes))  # type: ignore[assignment]
        error = out.parent / "error.txt"
        assert codes == [0 if stop is None else 75] * processes, (
            error.read_text() if error.exists() else codes
        )
        if stop is not None:
            assert [p.name for p in (out / "checkpoints").glob(f"*{stop:08d}")], "not stopped there"
    return RunFolder(out)


def ledger(run: RunFolder) -> Ledger:
    """What all processes of all parts read; no micro-batch was read twice."""
    read: Ledger = {}
    for file in run.path.parent.glob("ledger-*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            step, number, examples, seed = json.loads(line)
            assert number not in read.setdefault(step, {}), "read twice"
            read[step][number] = examples, seed
    return read


def of_steps(run: RunFolder, name: str) -> list[float]:
    return [event[name] for event in run.events() if event["event"] == "step"]


def notes_of(run: RunFolder) -> list[Mapping[str, Any]]:
    """What the run says of being continued."""
    return [event for event in run.events() if event.get("code") == "C103"]


def weights(run: RunFolder) -> dict[str, Any]:
    return load_file(run.model / "model.safetensors")


def check_same(one: RunFolder, several: RunFolder, *, rounding: float, steps: int = 12) -> None:
    """The rows, seeds, losses, norms and scores of the run of one process.

    Args:
        one: that run.
        several: the one in parts.
        rounding: how far losses and norms may be apart, relative to their size.
        steps: how many there are.
    """
    assert ledger(several) == ledger(one)
    assert len(ledger(one)) == steps
    for name in ("loss", "grad_norm"):
        assert len(of_steps(one, name)) == steps
        np.testing.assert_allclose(
            of_steps(several, name), of_steps(one, name), rtol=rounding, err_msg=name
        )
    assert of_steps(several, "learning_rate") == of_steps(one, "learning_rate")
    scored = [
        [(event["step"], event["scores"], event.get("is_best")) for event in run.events()
         if event["event"] == "evaluated"]
        for run in (one, several)
    ]  # fmt: skip
    assert len(scored[0]) == len(scored[1])
    for (step, scores, is_best), (same_step, others, same_best) in zip(*scored, strict=True):
        assert (step, is_best) == (same_step, same_best)
        assert others == pytest.approx(scores, rel=1e-5)


def each_row_once_an_epoch(read: Ledger, rows: int, steps: int) -> None:
    for start in range(0, len(read), steps):
        parts = [read[step].values() for step in range(start, start + steps)]
        examples = [i for part in parts for batch, _seed in part for i in batch]
        assert sorted(examples) == list(range(rows))


def test_two_processes_then_one(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    """The fast engine, in float32, with dropout; stopped where an evaluation is due."""
    settings = {**SETTINGS, "train.epochs": 1, "train.evaluate_every": "2 steps"}
    one, several = (
        run_parts(parts, tmp_path / name / "run", tickets, tiny_bert, settings=settings)
        for name, parts in {"one": ALONE_AT_ONCE, "several": [Part(2, 4), Part(1)]}.items()
    )
    check_same(one, several, rounding=1e-6, steps=6)
    each_row_once_an_epoch(ledger(several), 47, 6)
    (note,) = notes_of(several)
    assert "processes 2 → 1" in note["message"] and "micro_batch_size" not in note["message"]
    assert "same rows and the same dropout" in note["fix"]
    assert notes_of(one) == []


# slow: three jobs each


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["exact in double precision", "exact", "fast"])
def test_two_processes_then_four_then_one(
    engine: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """With weights in double precision they end within 1e-8: only rounding keeps the runs apart.

    In float32 AdamW divides gradients that are zero but for rounding, such as those of the bias of
    keys, by themselves: these weights, on which nothing depends, differ by up to the learning rate
    in each step.
    """
    in_double = engine.endswith("double precision")
    settings = {**SETTINGS, "train.engine": engine.partition(" ")[0]}
    one, several = (
        run_parts(
            parts, tmp_path / name / "run", tickets, tiny_bert,
            in_double=in_double, settings=settings,
        )
        for name, parts in {"one": ALONE_AT_ONCE, "several": ELASTIC}.items()
    )  # fmt: skip
    check_same(one, several, rounding=1e-7 if in_double else 1e-6)
    each_row_once_an_epoch(ledger(several), 47, 6)
    assert ["processes 2 → 4" in note["message"] for note in notes_of(several)] == [True, False]
    for name, tensor in weights(one).items():
        if in_double or not name.endswith("key.bias"):
            np.testing.assert_allclose(
                weights(several)[name], tensor, rtol=0, atol=1e-8 if in_double else 1e-5
            )


TASKS: dict[str, tuple[list[dict[str, object]], dict[str, object]]] = {
    "masked-lm": (list(GOLDEN["masked-lm"].rows), {"task": "masked-lm"}),
    "windows": (
        list(GOLDEN["text-classification"].rows),
        {"options.long": "windows", "train.max_length": 9},
    ),
    "balanced": (
        [row for i, row in enumerate(GOLDEN["text-classification"].rows) if i % 3 or i % 2],
        {"train.sampling": "balanced"},
    ),
    "text-regression": (list(GOLDEN["text-regression"].rows), {"data.label": "score"}),
    "multi-label-classification": (
        list(GOLDEN["multi-label-classification"].rows), {"data.label": "tags"},
    ),
    "early stopping": (
        [{"text": text, "label": label} for _id, text, label in ticket_rows(60)[1:]],
        {"train.evaluate_every": "1 step", "train.select_by": "loss", "train.learning_rate": 3e-3,
         "train.early_stopping": "2 evaluations", "train.max_steps": 40},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_kind_of_rows(task: str, tiny_bert: Path, tmp_path: Path) -> None:
    """Masked words, several sequences per row, sampling by classes, and the best checkpoint."""
    rows, own = TASKS[task]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {**SETTINGS, "train.max_steps": 8, "train.engine": "exact", **own}

    def run(name: str, parts: Sequence[Part]) -> RunFolder:
        out = tmp_path / name / "run"
        return run_parts(parts, out, data, tiny_bert, in_double=True, settings=settings)

    one = run("one", ALONE_AT_ONCE)
    last = len(of_steps(one, "loss"))
    several = run("several", [Part(2, 2), Part(3, last - 1), Part(1)])
    check_same(one, several, rounding=1e-6, steps=last)
    facts = [folder.facts() for folder in (one, several)]
    for name in ("best_step", "reason", "steps"):
        assert facts[0][name] == facts[1][name]
    if task == "early stopping":
        assert facts[0]["reason"] == "early stopping" and facts[0]["best_step"] > 2


@pytest.mark.slow
def test_micro_batches_that_no_recipe_sets_stay_as_they_are_for_fewer_processes(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """Those of four processes have two rows; one process keeps them, and with them the dropout."""
    of_two = {**SETTINGS, "train.engine": "exact"}
    of_none = {**of_two, "train.micro_batch_size": None}
    one = run_parts(ALONE_AT_ONCE, tmp_path / "one" / "run", tickets, tiny_bert, settings=of_two)
    several = run_parts(
        [Part(4, 4), Part(1, 8), Part(2)],
        tmp_path / "several" / "run", tickets, tiny_bert, settings=of_none,
    )  # fmt: skip
    check_same(one, several, rounding=1e-6)
    assert not any("micro_batch_size" in note["message"] for note in notes_of(several))


@pytest.mark.slow
def test_more_processes_have_smaller_micro_batches_and_the_same_rows(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """Without dropout the numbers are the same, too; the run says that it would be drawn again."""
    settings = {
        **SETTINGS, "train.engine": "exact", "train.micro_batch_size": None, "train.dropout": 0.0,
    }  # fmt: skip
    one, several = (
        run_parts(parts, tmp_path / name / "run", tickets, tiny_bert, settings=settings)
        for name, parts in {"one": ALONE_AT_ONCE, "several": [Part(1, 4), Part(3)]}.items()
    )
    rows = [
        {step: sorted(i for batch, _seed in parts.values() for i in batch)
         for step, parts in ledger(run).items()}
        for run in (one, several)
    ]  # fmt: skip
    assert rows[0] == rows[1]
    np.testing.assert_allclose(of_steps(several, "loss"), of_steps(one, "loss"), rtol=1e-6)
    (note,) = notes_of(several)
    assert "processes 1 → 3, micro_batch_size 8 → 3" in note["message"]
    assert "train.micro_batch_size=8 keeps it" in note["fix"]
