"""The end of a run: the chosen weights scored once more, predictions on disk, the model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tunesmith import checkpoint, commit
from tunesmith.artifact.card import CardFacts
from tunesmith.artifact.folder import score_facts, write_model
from tunesmith.errors import IntegrityError, Place, Problem
from tunesmith.evaluate import Evaluation
from tunesmith.events import Finished
from tunesmith.language import gettext as _
from tunesmith.metrics import Scores
from tunesmith.recipe import to_yaml
from tunesmith.run.baseline_scores import BaselineScores, baseline_scores
from tunesmith.run.fingerprint import hash_of, versions
from tunesmith.run.folder import RunFolder
from tunesmith.run.job import Job
from tunesmith.run.predictions import stored_name
from tunesmith.run.session import Session
from tunesmith.statistics import with_intervals
from tunesmith.verdict import Verdict

__all__ = ["finish"]


def finish(session: Session, *, train_seconds: float, examples: int) -> Finished:
    """Score the chosen weights, write the predictions, commit the model.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
        IntegrityError: the best checkpoint is damaged (C102).
    """
    job, progress = session.job, session.progress
    best_step = progress.best_step or progress.step
    if best_step != progress.step:
        _load_best(session, best_step)
    scores: dict[str, Scores] = {}
    for split in ("validation", "test"):
        if split in job.examples:
            evaluation = session.predict(split)
            if job.splits[split].is_labelled:
                found = session.score(split, evaluation)
                scores[split] = with_intervals(found, examples=len(job.examples[split]))
            if session.accelerator.is_main_process:
                _write_predictions(session.run, job, split, evaluation)
    is_complete = progress.step >= job.plan.total_steps
    finished = Finished(
        progress.step,
        "all steps done" if is_complete else "early stopping",
        best_step,
        scores.get("validation"),
        scores.get("test"),
        train_seconds,
        examples / train_seconds if train_seconds else 0.0,
    )
    if session.accelerator.is_main_process:
        simple = baseline_scores(job, list(scores))
        scores = {
            split: replace(found, baselines=simple.scores.get(split, {}))
            for split, found in scores.items()
        }
        _write_model(session, finished, scores, simple)
    session.accelerator.wait_for_everyone()
    return finished


def _load_best(session: Session, best_step: int) -> None:
    folder = session.run.checkpoints / f"step-{best_step:08d}"
    if damage := commit.damage(folder):
        raise IntegrityError(
            Problem(
                "C102",
                _("the best checkpoint is damaged: {damage}").format(damage=damage),
                Place(str(folder)),
                fix=_("Run again: training goes back to a checkpoint that is whole."),
            )
        )
    with session.engine.at_rest():
        checkpoint.load_weights(folder, session.network)


def _write_predictions(run: RunFolder, job: Job, split: str, evaluation: Evaluation) -> None:
    """One Parquet file: a row per example with its row number, texts, label and answer."""
    target = run.predictions / f"{split}.parquet"
    answers = job.task.decode(evaluation.predictions)
    rows = job.examples[split].rows.tolist()
    found = job.rows(split, rows)
    table: dict[str, object] = {"row": rows}
    for name in next(iter(found.values())).values:
        table[stored_name(name)] = [found[row].values[name] for row in rows]
    table["predicted"] = [answer["label"] for answer in answers]
    table["score"] = [answer["score"] for answer in answers]
    table["scores"] = [answer["scores"] for answer in answers]
    with commit.replace_file(target) as unfinished:
        pq.write_table(pa.table(table), unfinished)


def _write_model(
    session: Session,
    finished: Finished,
    scores: Mapping[str, Scores],
    simple: BaselineScores,
) -> None:
    job = session.job
    best = job.choice.score if job.choice else None
    facts: dict[str, Any] = {
        "metrics": [metric.name for metric in job.metrics],
        **score_facts(scores, by=best),
        "constant": simple.constant,
        "words_counted_in": [simple.learned, simple.rows],
        "steps": finished.step,
        "best_step": finished.best_step,
        "reason": finished.reason,
        "best": best,
        "train_seconds": round(finished.train_seconds, 3),
        "samples_per_second": round(finished.samples_per_second, 3),
        "base_model": {"name": job.files.name, "revision": job.files.revision},
        "recipe": hash_of(job.recipe.model_dump(mode="json")),
        "precision": session.precision,
        "versions": versions(),
    }
    with session.engine.at_rest():
        write_model(
            session.run.model,
            session.network,
            job.tokenizer,
            job.task,
            max_length=job.max_length,
            card=_card(session, scores, facts["verdicts"]),
            facts=facts,
        )


def _card(session: Session, scores: Mapping[str, Scores], verdicts: Mapping[str, Any]) -> CardFacts:
    job = session.job
    source = job.splits["train"].source
    cut = job.examples["train"].prepared
    length = _("rows are cut at {limit} tokens ({rows} of {total} were longer)").format(
        limit=job.max_length, rows=cut.num_cut, total=len(cut)
    )
    return CardFacts(
        name=session.run.name,
        task=job.task.name,
        pipeline=job.task.pipeline,
        base_model=job.files.name,
        base_revision=job.files.revision,
        dataset=_public_name(source.name),
        hub_dataset=source.name.split(":")[0] if getattr(source, "revision", None) else None,
        rows={name: len(found) for name, found in job.examples.items()},
        labels=job.task.summary(),
        length=length,
        scores=scores,
        verdicts=[
            Verdict.from_json(told).problem(split).message for split, told in verdicts.items()
        ],
        recipe=to_yaml(job.recipe),
        seed=job.recipe.train.seed,
        versions=versions(),
        usage=job.task.usage,
        warnings=[told for told in session.run.warnings() if told.startswith("D")],
    )


def _public_name(name: str) -> str:
    """A data set by the name of its file: where it lay is nobody's business."""
    return ", ".join(
        Path(part).name if "/" in part and Path(part).exists() else part
        for part in name.split(", ")
    )
