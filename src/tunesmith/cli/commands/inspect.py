"""`tunesmith inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, data_options, examples, layers_from, reading, row_at
from tunesmith.errors import DataError, RecipeError, TunesmithError
from tunesmith.i18n import gettext as _

if TYPE_CHECKING:
    from tunesmith.data.profile import Profile

__all__ = ["command"]


@click.command(
    "inspect",
    help=_(
        "Show what a model reads: tokens, ids, token types, attention mask, and what is cut off. "
        "WHAT is a model, followed by one text or a pair; or data or a recipe, of which a row is "
        "shown."
    ),
    epilog=examples(
        'tunesmith inspect bert-base-uncased "This is one." "This is another."',
        "tunesmith inspect tickets.csv --model bert-base-uncased --row 15",
    ),
)
@click.argument("what")
@click.argument("texts", nargs=-1, metavar="[TEXT] [PAIR]")
@click.option("--model", help=_("Hub name, local folder or embedded:mini."))
@click.option("--row", type=click.IntRange(min=0), default=0, help=_("Row to show, from 0."))
@click.option(
    "--max-length",
    type=click.IntRange(min=4),
    help=_("Tokens per row, if fewer than the model reads."),
)
@data_options
@common
def command(
    terminal: Terminal,
    what: str,
    texts: tuple[str, ...],
    model: str | None,
    max_length: int | None,
    **flags: Any,
) -> int:
    """Load the tokenizer, tokenize, show."""
    from tunesmith.models import load_tokenizer, locate, longest_input
    from tunesmith.models.inspect_tokens import inspect_texts

    if len(texts) > 2:
        raise RecipeError.of(
            "R100",
            _("a model reads one text, or two jointly; these are {count}").format(count=len(texts)),
            fix=_("Put a text with spaces in quotes."),
        )
    subject = _Subject(texts, model or what) if texts else _row_of(what, model, flags)
    files = locate(subject.model, revision=subject.revision)
    tokenizer = load_tokenizer(files)
    limit = longest_input(files, tokenizer)
    max_length = max_length or subject.max_length or limit
    tokens = inspect_texts(tokenizer, subject.texts, min(max_length, limit))
    for text in subject.texts:
        terminal.say(text)
    types = tokens.types or tokens.mask
    rows = [
        {
            "": i,
            _("token"): token,
            "input_ids": number,
            **({} if tokens.types is None else {"token_type_ids": kind}),
            "attention_mask": mask,
        }
        for i, (token, number, kind, mask) in enumerate(
            zip(tokens.tokens, tokens.ids, types, tokens.mask, strict=True)
        )
    ]
    terminal.table(rows, align_right=["", "input_ids", "token_type_ids", "attention_mask"])
    terminal.say(_("{count} tokens of at most {limit}").format(count=len(rows), limit=tokens.limit))
    if tokens.unknown:
        terminal.say(
            _("{count} of them are unknown tokens: the vocabulary lacks the text").format(
                count=tokens.unknown
            )
        )
    for pieces in tokens.cut:
        if pieces:
            terminal.say(_("cut off: {tokens}").format(tokens=" ".join(pieces)))
    if any(tokens.cut) and subject.long != "head":
        note = _("this is the head; training reads long texts as options.long says: {way}")
        terminal.say(note.format(way=subject.long))
    terminal.record({"model": subject.model, "texts": list(subject.texts), **tokens.as_json()})
    return 0


@dataclass(frozen=True)
class _Subject:
    """The texts to show, and the model that reads them."""

    texts: tuple[str, ...]
    model: str
    revision: str | None = None
    max_length: int | None = None
    long: object = "head"


def _texts_of_task(profiled: Profile, row: int) -> tuple[str, ...] | None:
    """A row as the task reads it that fits the data best, such as tokens as one text."""
    from tunesmith.recipe import DataSettings
    from tunesmith.tasks import match_task

    source, settings = profiled.source, DataSettings(train=profiled.source.name)
    try:
        of, match = match_task(profiled, settings)
    except TunesmithError:
        return None
    task = of.make(match.roles, settings, source.columns, {})
    chosen = row_at(source, row, "train")
    if (finding := task.validate_row(chosen)) is not None:
        raise DataError.of(finding.code, finding.message, fix=finding.fix)
    return task.texts_of(chosen)


def _row_of(what: str, model: str | None, flags: dict[str, Any]) -> _Subject:
    """The row of a recipe or of data, where text columns and model are suggested."""
    from tunesmith.data.columns import Roles, missing_columns, need_a_role, suggest_texts
    from tunesmith.data.findings import Findings
    from tunesmith.data.open import open_splits
    from tunesmith.data.profile import profile
    from tunesmith.inputs import resolve_inputs
    from tunesmith.models import suggest_model
    from tunesmith.tasks.tokenize_texts import validate_texts

    recipe = None
    if what.endswith((".yaml", ".yml")):
        seen = resolve_inputs(layers_from([what], {**flags, "model": model}))
        recipe, source = seen.recipe, seen.train
        roles = Roles(str(recipe.data.text), recipe.data.text_pair)
    else:
        source = next(iter(open_splits(what, reading(flags)).values()))
        profiled = profile(source, rows=1000)
        hinted = {role: hint.value for role, hint in suggest_texts(profiled).items()}
        only = source.columns[0].name if len(source.columns) == 1 else None
        text = flags["text"] or hinted.get("text") or only
        if not isinstance(text, str):
            if (texts := _texts_of_task(profiled, flags["row"])) is None:
                raise need_a_role("text", profiled)
            return _Subject(texts, model or suggest_model(texts)[0])
        pair = flags["text_pair"] or (None if flags["text"] else hinted.get("text_pair"))
        roles = Roles(text, pair if isinstance(pair, str) else None)
        named = list(zip(("text", "text_pair"), roles.text_columns, strict=False))
        if problems := [p for _role, p in missing_columns(named, source)]:
            raise DataError(problems)
    row = row_at(source, flags["row"], "train")
    if finding := validate_texts(row, roles):
        findings = Findings(source)
        findings.add(row.index, finding)
        raise DataError(findings.problems())
    texts = tuple(str(row.values[name]) for name in roles.text_columns)
    if recipe is not None:
        long = recipe.options.get("long", "head")
        return _Subject(texts, str(recipe.model), recipe.revision, recipe.train.max_length, long)
    return _Subject(texts, model or suggest_model(texts)[0])
