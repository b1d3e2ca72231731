"""`tunesmith bench`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import examples, layers_from, recipe_options
from tunesmith.errors import Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.text import did_you_mean

if TYPE_CHECKING:
    from tunesmith.analysis.bench.compare import Result
    from tunesmith.analysis.bench.contenders import Contender
    from tunesmith.analysis.bench.load import Load

__all__ = ["command"]

_DEFAULT = ("trainer", "exact", "fast")


@click.command(
    "bench",
    help=_(
        "Train the same data, model, batches, seed and schedule with transformers' Trainer and "
        "with tunesmith, a few steps each in turn, and compare. WHAT is a recipe or data, as for "
        "train."
    ),
    epilog=examples(
        "tunesmith bench embedded:pairs --model embedded:mini",
        "tunesmith bench glue/mrpc --model bert-base-uncased --set train.batch_size=32 --ablate",
        "tunesmith bench embedded:pairs --model embedded:mini --drop-in",
    ),
)
@click.argument("what", nargs=-1, required=True)
@click.option(
    "--who", "names", multiple=True,
    help=_("Contenders; the others are compared with the first. all: every one."),
)  # fmt: skip
@click.option(
    "--drop-in",
    is_flag=True,
    help=_(
        "A script of transformers with its own Trainer, with tunesmith.Trainer in its place, and "
        "the recipe."
    ),
)
@click.option("--ablate", is_flag=True, help=_("The fast engine without each of its parts."))
@click.option(
    "--turns",
    type=click.IntRange(min=2),
    default=7,
    show_default=True,
    help=_("Measured turns of each contender, after one to warm up."),
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=8, show_default=True, help=_("Steps per turn.")
)
@recipe_options
def command(
    terminal: Terminal,
    what: tuple[str, ...],
    names: tuple[str, ...],
    turns: int,
    steps: int,
    *,
    drop_in: bool,
    ablate: bool,
    **flags: Any,
) -> int:
    """Choose contenders, time them in turns, print one table."""
    from tunesmith.analysis.bench.compare import compare, machine, ratio_of, steps_taken
    from tunesmith.inputs import resolve_inputs, validate_inputs

    recipe = validate_inputs(resolve_inputs(layers_from(what, flags))).recipe
    contenders = _contenders(names, drop_in=drop_in, ablate=ablate)
    settings = _settings(recipe, steps_taken(turns, steps))
    results = compare(contenders, settings, turns=turns, steps=steps, say=terminal.say)
    rows = []
    for result in results:
        if result.problem:
            terminal.problems([_excluded(result.name, result.problem)])
        else:
            rows.append(_table_row(result))
    load = results[0].load
    if load is not None and load.is_too_busy:
        terminal.problems([_too_busy(load)])
    else:
        terminal.problems(_unsteady(result.name) for result in results if result.is_unsteady)
    against = ratio_of(results[1], results[2]) if drop_in else None
    terminal.table(rows, align_right=[key for key in (rows[0] if rows else {}) if key])
    if against is not None:
        ratio, (low, high) = against
        terminal.say(
            _("{name} / {other}: {ratio} ({low} - {high})").format(
                name=results[1].name, other=results[2].name,
                ratio=f"{ratio:.2f}", low=f"{low:.2f}", high=f"{high:.2f}",
            )
        )  # fmt: skip
    terminal.record(
        {
            "settings": json.loads(json.dumps(settings, default=str)),
            "results": [result.as_json() for result in results],
            "turns": turns,
            "steps_per_turn": steps,
            "load": None if load is None else load.as_json(),
            "machine": machine(),
        }
    )
    return 0 if rows else 4


def _contenders(names: tuple[str, ...], *, drop_in: bool, ablate: bool) -> list[Contender]:
    """Who is compared, with the first of them."""
    from tunesmith.analysis.bench import contenders as known

    base = "fast-bf16" if "fast-bf16" in names else "fast"
    if ablate:
        return known.ablations(base)
    if drop_in:
        return known.drop_in(base)
    if "all" in names:
        return list(known.CONTENDERS.values())
    names = tuple(dict.fromkeys(names)) or _DEFAULT
    for name in names:
        if name not in known.CONTENDERS:
            fix = _("Contenders: {names}.").format(names=", ".join(known.CONTENDERS))
            message = _('there is no contender "{name}"').format(name=name)
            fix_name = did_you_mean(name, known.CONTENDERS, otherwise=fix)
            raise RecipeError.of("R100", message, fix=fix_name)
    return [known.CONTENDERS[name] for name in names]


def _table_row(result: Result) -> dict[str, str]:
    """The columns of the table for one contender."""
    quartiles = result.ratio_quartiles
    refusal = _("too busy") if result.is_too_busy else _("too noisy")

    def shown(value: float | None, known: float | None, style: str) -> str:
        if known is not None:
            return format(known, style)
        return "-" if value is None else refusal

    return {
        "": result.name,
        _("samples/s"): f"{result.samples_per_second:.1f}",
        _("tokens/s"): f"{result.tokens_per_second:.0f}",
        _("ms/step"): f"{1000 * result.seconds_per_step:.1f}",
        _("peak MB"): f"{result.peak_mb:.0f}",
        _("ratio"): shown(result.ratio, result.known_ratio, ".2f"),
        _("quartiles"): (
            "-"
            if quartiles is None or result.is_too_busy
            else f"{quartiles[0]:.2f} - {quartiles[1]:.2f}"
        ),
        _("of the limit"): shown(result.fraction, result.known_fraction, ".0%"),
        _("loss"): f"{result.loss:.4f}",
        _("same rows"): (
            "-" if result.same_rows is None else _("yes") if result.same_rows else _("no")
        ),
    }


def _excluded(name: str, reason: str) -> Problem:
    message = _("{name} is left out: {reason}").format(name=name, reason=reason)
    return Problem("M123", message, severity=Severity.WARNING)


def _too_busy(load: Load) -> Problem:
    """Why nothing can be compared: what other processes took of the CPUs, and which ones did."""
    message = _(
        "the machine is too busy to compare: in {disturbed} of {rounds} turns other processes used "
        "{others:.1f} of {cpus} CPUs"
    ).format(
        disturbed=load.disturbed, rounds=load.rounds, others=load.others, cpus=load.cpus
    )  # fmt: skip
    if load.others < 0.05:
        message = _(
            "the machine is too unsteady to compare: in {disturbed} of {rounds} turns the "
            "processor was slower than in the others"
        ).format(disturbed=load.disturbed, rounds=load.rounds)
    evidence = tuple(f"{name}: " + _("{cpus:.1f} CPUs").format(cpus=cpus) for name, cpus in load.by)
    return Problem(
        "M138",
        message,
        evidence=evidence,
        fix=_("End these programs, or run again on an idle machine."),
        severity=Severity.WARNING,
    )


def _unsteady(name: str) -> Problem:
    return Problem(
        "M138",
        _("{name}: timings are too noisy, the machine is busy").format(name=name),
        fix=_("Run again on an idle machine, or with more turns (--turns)."),
        severity=Severity.WARNING,
    )


def _settings(recipe: Any, steps: int) -> dict[str, object]:
    """Settings that all contenders share, as recipe keys."""
    settings: dict[str, object] = {
        f"{section}.{key}": value
        for section in ("data", "train")
        for key, value in getattr(recipe, section).model_dump(mode="json").items()
    }
    settings |= {"task": recipe.task, "model": recipe.model, "revision": recipe.revision}
    settings |= {f"options.{key}": value for key, value in recipe.options.items()}
    settings |= {
        "preset": None,
        "train.max_steps": steps,
        "train.select_by": None,
        "data.test": None,
    }
    return settings | {"train.early_stopping": None, "trackers": []}
