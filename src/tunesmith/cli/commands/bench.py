"""`tunesmith bench`."""

from __future__ import annotations

import json
from typing import Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, examples, layers_from, recipe_options, set_option
from tunesmith.cli.options import data_options as columns
from tunesmith.errors import Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest

__all__ = ["command"]

_USUAL = ("trainer", "exact", "fast")


@click.command(
    "bench",
    help=_(
        "Train the same data, model, batches, seed and schedule with transformers' Trainer and "
        "with tunesmith, a few steps in turn, and compare. WHAT is a recipe or data, as for train."
    ),
    epilog=examples(
        "tunesmith bench embedded:pairs --model embedded:mini",
        "tunesmith bench glue/mrpc --model bert-base-uncased --set train.batch_size=32 --ablate",
    ),
)
@click.argument("what", nargs=-1, required=True)
@click.option(
    "--who", "names", multiple=True,
    help=_("Contenders, the first is what others are compared with; all: every one."),
)  # fmt: skip
@click.option("--ablate", is_flag=True, help=_("The fast engine without each of its parts."))
@click.option(
    "--turns",
    type=click.IntRange(min=2),
    default=7,
    show_default=True,
    help=_("Turns of each contender, besides one to warm up."),
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=8, show_default=True, help=_("Steps of a turn.")
)
@recipe_options
@columns
@set_option
@common
def command(
    what: tuple[str, ...],
    names: tuple[str, ...],
    turns: int,
    steps: int,
    sets: tuple[str, ...],
    **given: Any,
) -> int:
    """Choose contenders, let them take turns, print one table."""
    from tunesmith.analysis.bench.compare import compare, machine, steps_taken
    from tunesmith.analysis.bench.contenders import CONTENDERS, ablations
    from tunesmith.inputs import check, look

    terminal = Terminal.of(given)
    recipe = check(look(layers_from(what, sets, given))).recipe
    if given["ablate"]:
        contenders = ablations("fast-bf16" if "fast-bf16" in names else "fast")
    else:
        wanted = CONTENDERS if "all" in names else tuple(dict.fromkeys(names)) or _USUAL
        for name in wanted:
            if name not in CONTENDERS:
                close = nearest(name, CONTENDERS)
                fix = _("Contenders: {names}.").format(names=", ".join(CONTENDERS))
                if close:
                    fix = _('did you mean "{name}"?').format(name=close[0]) + "\n" + fix
                raise RecipeError(
                    Problem("R100", _('there is no contender "{name}"').format(name=name), fix=fix)
                )
        contenders = [CONTENDERS[name] for name in wanted]
    settings = _settings(recipe, steps_taken(turns, steps))
    results = compare(contenders, settings, turns=turns, steps=steps, say=terminal.say)
    rows = []
    for result in results:
        if result.problem:
            terminal.problems([_no_part(result.name, result.problem)])
            continue
        quartiles = result.ratio_quartiles
        rows.append(
            {
                "": result.name,
                _("samples/s"): f"{result.samples_per_second:.1f}",
                _("tokens/s"): f"{result.tokens_per_second:.0f}",
                _("ms/step"): f"{1000 * result.seconds_per_step:.1f}",
                _("peak MB"): f"{result.peak_mb:.0f}",
                _("ratio"): "-" if result.ratio is None else f"{result.ratio:.2f}",
                _("quartiles"): (
                    "-" if quartiles is None else f"{quartiles[0]:.2f} - {quartiles[1]:.2f}"
                ),
                _("of the limit"): _of_the_limit(result.fraction),
                _("loss"): f"{result.loss:.4f}",
                _("same rows"): (
                    "-" if result.same_rows is None else _("yes") if result.same_rows else _("no")
                ),
            }
        )
    terminal.problems(_unsteady(result.name) for result in results if result.is_unsteady)
    terminal.table(rows, align_right=[key for key in (rows[0] if rows else {}) if key])
    terminal.record(
        {
            "settings": json.loads(json.dumps(settings, default=str)),
            "results": [result.as_json() for result in results],
            "turns": turns,
            "steps_per_turn": steps,
            "machine": machine(),
        }
    )
    return 0 if rows else 4


def _no_part(name: str, reason: str) -> Problem:
    message = _("{name} takes no part: {reason}").format(name=name, reason=reason)
    return Problem("M123", message, severity=Severity.WARNING)


def _of_the_limit(fraction: float | None) -> str:
    """No step is faster than its limit: more than all of it was measured on a busy machine."""
    if fraction is None:
        return "-"
    return _("too unsteady to tell") if fraction > 1 else f"{fraction:.0%}"


def _unsteady(name: str) -> Problem:
    return Problem(
        "M138",
        _("{name}: too unsteady to tell, the machine is busy with something else").format(
            name=name
        ),
        fix=_("Run it again when nothing else does, or with more turns (--turns)."),
        severity=Severity.WARNING,
    )


def _settings(recipe: Any, steps: int) -> dict[str, object]:
    """What all contenders share, as recipe keys."""
    found: dict[str, object] = {}
    for section in ("data", "train"):
        for key, value in getattr(recipe, section).model_dump(mode="json").items():
            found[f"{section}.{key}"] = value
    found |= {"task": recipe.task, "model": recipe.model, "revision": recipe.revision}
    found |= {f"options.{key}": value for key, value in recipe.options.items()}
    found |= {"preset": None, "train.max_steps": steps, "train.select_by": None, "data.test": None}
    found |= {"train.early_stopping": None, "trackers": []}
    return found
