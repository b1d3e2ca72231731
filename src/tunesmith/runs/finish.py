"""The end of a run: the chosen weights scored once more, predictions on disk, the model folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _
from tunesmith.metrics.headline import headline
from tunesmith.metrics.scores import Scores
from tunesmith.metrics.uncertainty import with_intervals
from tunesmith.recipe import to_yaml
from tunesmith.runs.agreement import agree_on_checkpoint, fetch_from_main
from tunesmith.runs.baselines import BaselineScores, baseline_scores, needed_rows
from tunesmith.runs.fingerprint import hash_of, versions
from tunesmith.runs.model_card import CardFacts
from tunesmith.runs.model_folder import score_facts, write_model
from tunesmith.runs.open_session import check_saved
from tunesmith.runs.predictions import manifest_of, write_predictions
from tunesmith.runs.prepare import PreparedRun
from tunesmith.runs.public_names import public_name, with_public_names
from tunesmith.runs.session import Session
from tunesmith.training import checkpoint
from tunesmith.training.events import Finished
from tunesmith.training.peers import current

__all__ = ["finish"]


def finish(session: Session, *, train_seconds: float, examples: int) -> Finished:
    """Score the chosen weights, write the predictions, commit the model.

    The rows are read once more, for predictions and baselines; nothing is written unless they are
    still those that the run was trained on.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
        IntegrityError: the best checkpoint is damaged (C102) or of another run (C109), or the data
            changed (D160).
    """
    job, progress = session.job, session.progress
    splits = [name for name in ("validation", "test") if name in job.examples]
    labeled = [name for name in splits if job.splits[name].is_labeled]
    rows = _rows_of(job, splits, labeled) if session.accelerator.is_main_process else {}
    best_step = progress.best_step or progress.step
    if best_step != progress.step:
        _load_best(session, best_step)
    evaluations = {split: session.evaluated(split, best_step) for split in splits}
    if "validation" in labeled:
        session.settle(evaluations["validation"])
        job = session.job
    scores = {
        split: with_intervals(
            session.score(split, evaluations[split]), examples=job.examples[split].num_rows
        )
        for split in labeled
    }
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
        simple = baseline_scores(job, labeled, rows)
        scores = {
            split: replace(
                each,
                baselines=simple.scores.get(split, {}),
                baseline_answers=simple.answers.get(split, {}),
            )
            for split, each in scores.items()
        }
        write_predictions(
            session.run,
            job.task,
            {split: each.predictions for split, each in evaluations.items()},
            {
                split: [rows[split][number] for number in job.examples[split].row_numbers.tolist()]
                for split in splits
            },
        )
        _write_model(session, finished, scores, simple)
    current().meet()
    return finished


def _rows_of(
    job: PreparedRun, splits: Iterable[str], labeled: Iterable[str]
) -> dict[str, dict[int, Row]]:
    """Return the rows of evaluated splits, and those that baselines need, by number."""
    needed: dict[str, Sequence[int]] = dict(needed_rows(job, labeled))
    needed |= {split: job.examples[split].row_numbers.tolist() for split in splits}
    return job.rows(needed)


def _load_best(session: Session, best_step: int) -> None:
    """Put the best weights into every process; process 0 has them on disk."""
    home = session.run.checkpoints
    folder = home / f"step-{best_step:08d}"

    def best() -> checkpoint.Checkpoint:
        check_saved(session, folder)
        return checkpoint.read(folder)

    chosen = agree_on_checkpoint(home, "best", best)
    assert chosen is not None  # noqa: S101 - `best` returns one or raises
    fetch = fetch_from_main(folder, chosen[1], session.accelerator)
    with session.engine.plain_model():
        checkpoint.load_weights(folder, session.network, fetch)


def _write_model(
    session: Session,
    finished: Finished,
    scores: Mapping[str, Scores],
    simple: BaselineScores,
) -> None:
    job = session.job
    best = job.selection.score if job.selection else None
    facts: dict[str, Any] = {
        "metrics": [metric.name for metric in job.metrics],
        **score_facts(scores, by=best),
        "rows": {split: examples.num_rows for split, examples in job.examples.items()},
        "constant": simple.constant,
        "words_counted_in": [simple.learned, simple.rows],
        "steps": finished.step,
        "best_step": finished.best_step,
        "reason": finished.reason,
        "best": best,
        "train_seconds": round(finished.train_seconds, 3),
        "samples_per_second": round(finished.samples_per_second, 3),
        "base_model": {"name": public_name(job.files.name), "revision": job.files.revision},
        "recipe": hash_of(job.recipe.model_dump(mode="json")),
        "data": dict(job.fingerprint["data"]),
        "predictions": manifest_of(session.run),
        "precision": session.precision,
        "versions": versions(),
    }
    with session.engine.plain_model():
        write_model(
            session.run.model,
            session.network,
            job.tokenizer,
            job.task,
            max_length=job.max_length,
            card=_card(session, scores, headline(facts).sentence),
            facts=facts,
        )


def _card(session: Session, scores: Mapping[str, Scores], sentence: str) -> CardFacts:
    job = session.job
    source = job.splits["train"].source
    repository = getattr(source, "repository", None)
    cut = job.examples["train"].prepared
    length = (
        _("rows are cut at {limit} tokens ({rows} of {total} were longer)")
        if job.task.cuts_long_texts
        else _("sequences have up to {limit} tokens ({rows} of {total} rows were not read whole)")
    ).format(limit=job.max_length, rows=cut.num_cut, total=len(cut))
    return CardFacts(
        name=session.run.name,
        task=job.task.name,
        pipeline=job.task.pipeline or job.task.hub_tag,
        base_model=public_name(job.files.name),
        base_revision=job.files.revision,
        dataset=source.name if repository else _public_names(source.name),
        hub_dataset=repository,
        rows={name: examples.num_rows for name, examples in job.examples.items()},
        labels=job.task.summary(),
        length=length,
        scores=scores,
        headline=sentence,
        recipe=to_yaml(with_public_names(job.recipe)),
        seed=job.recipe.train.seed,
        versions=versions(),
        usage=job.task.usage,
        warnings=[
            f"{problem.code} {problem.message}"
            for problem in session.data_warnings
            if problem.code.startswith("D")
        ],
    )


def _public_names(names: str) -> str:
    """Data sets by the names of their files, as sources of several files are called."""
    return ", ".join(public_name(name) for name in names.split(", "))
