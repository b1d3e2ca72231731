"""`tunesmith inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, examples, layers_from, reading
from tunesmith.cli.options import data_options as columns
from tunesmith.errors import DataError, Place, Problem, RecipeError
from tunesmith.i18n import gettext as _

__all__ = ["command"]


@click.command(
    "inspect",
    help=_(
        "What a model reads: tokens, ids, token types, attention mask, and what is cut off. "
        "WHAT is a model and is followed by a text or two; or it is data or a recipe, and a row "
        "of it is shown."
    ),
    epilog=examples(
        'tunesmith inspect bert-base-uncased "This is one." "This is another."',
        "tunesmith inspect tickets.csv --model bert-base-uncased --row 15",
    ),
)
@click.argument("what")
@click.argument("texts", nargs=-1, metavar="[TEXT] [PAIR]")
@click.option("--model", help=_("Hub name, local folder or embedded:mini."))
@click.option("--row", type=click.IntRange(min=0), default=0, help=_("Which row to show, from 0."))
@click.option("--max-length", type=click.IntRange(min=4), help=_("Tokens per row, if fewer."))
@columns
@common
def command(
    what: str, texts: tuple[str, ...], model: str | None, max_length: int | None, **given: Any
) -> int:
    """Load a tokenizer, cut, show."""
    from tunesmith.models import load_tokenizer, locate, longest_input
    from tunesmith.models.inspect_tokens import inspect_texts

    terminal = Terminal.of(given)
    if len(texts) > 2:
        raise RecipeError(
            Problem(
                "R100",
                _("a model reads one text, or two jointly; these are {count}").format(
                    count=len(texts)
                ),
            )
        )
    asked = _Asked(texts, model or what) if texts else _row_of(what, model, given)
    files = locate(asked.model, revision=asked.revision)
    tokenizer = load_tokenizer(files)
    limit = longest_input(files, tokenizer)
    max_length = max_length or asked.max_length or limit
    found = inspect_texts(tokenizer, asked.texts, min(max_length, limit))
    for text in asked.texts:
        terminal.say(text)
    types = found.types or found.mask
    rows = [
        {
            "": i,
            _("token"): token,
            "input_ids": number,
            **({} if found.types is None else {"token_type_ids": kind}),
            "attention_mask": mask,
        }
        for i, (token, number, kind, mask) in enumerate(
            zip(found.tokens, found.ids, types, found.mask, strict=True)
        )
    ]
    terminal.table(rows, align_right=["", "input_ids", "token_type_ids", "attention_mask"])
    terminal.say(_("{count} tokens of at most {limit}").format(count=len(rows), limit=found.limit))
    if found.unknown:
        terminal.say(
            _("{count} of them stand for what the vocabulary lacks").format(count=found.unknown)
        )
    for tokens in found.cut:
        if tokens:
            terminal.say(_("cut off: {tokens}").format(tokens=" ".join(tokens)))
    terminal.record({"model": asked.model, "texts": list(asked.texts), **found.as_json()})
    return 0


@dataclass(frozen=True)
class _Asked:
    """A row of data or of a recipe, and the model that reads it."""

    texts: tuple[str, ...]
    model: str
    revision: str | None = None
    max_length: int | None = None


def _row_of(what: str, model: str | None, given: dict[str, Any]) -> _Asked:
    """The row that was named; of data alone, text columns and model are suggested."""
    from tunesmith.data.columns import Roles, missing_columns, need_a_role, suggest_texts
    from tunesmith.data.findings import Findings
    from tunesmith.data.open import open_splits
    from tunesmith.data.profile import profile
    from tunesmith.data.rows import first_rows
    from tunesmith.inputs import look
    from tunesmith.models import suggest_model
    from tunesmith.tasks.labeled_text import examine_texts

    recipe = None
    if what.endswith((".yaml", ".yml")):
        seen = look(layers_from([what], [], {**given, "model": model}))
        recipe, source = seen.recipe, seen.train
        roles = Roles(str(recipe.data.text), recipe.data.text_pair)
    else:
        source = next(iter(open_splits(what, reading(given)).values()))
        found = profile(source, rows=1000)
        hinted = {role: hint.value for role, hint in suggest_texts(found).items()}
        only = source.columns[0].name if len(source.columns) == 1 else None
        text = given["text"] or hinted.get("text") or only
        if not isinstance(text, str):
            raise need_a_role("text", found)
        pair = given["text_pair"] or (None if given["text"] else hinted.get("text_pair"))
        roles = Roles(text, pair if isinstance(pair, str) else None)
        wanted = list(zip(("text", "text_pair"), roles.text_columns, strict=False))
        if problems := [p for _role, p in missing_columns(wanted, source)]:
            raise DataError(problems)
    row = given["row"]
    rows = first_rows(source, row + 1)
    if len(rows) <= row:
        raise DataError(
            Problem(
                "D308",
                _("there is no row {row}; {split} has {count} rows, from 0").format(
                    row=row, split="train", count=len(rows)
                ),
                Place(source.name),
            )
        )
    if finding := examine_texts(rows[row], roles):
        findings = Findings(source)
        findings.add(row, finding)
        raise DataError(findings.problems())
    texts = tuple(str(rows[row].values[name]) for name in roles.text_columns)
    if recipe is not None:
        return _Asked(texts, str(recipe.model), recipe.revision, recipe.train.max_length)
    return _Asked(texts, model or suggest_model(texts)[0])
