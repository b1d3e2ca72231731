"""`tunesmith tokenizer`."""

from __future__ import annotations

from typing import Any

import click

from tunesmith.api.display.terminal import Terminal
from tunesmith.cli.options import common, examples, reading, reading_options
from tunesmith.cli.suggestions import SuggestingGroup
from tunesmith.errors import DataError
from tunesmith.i18n import gettext as _
from tunesmith.storage.disk import as_path
from tunesmith.text import shortened

__all__ = ["command"]


@click.group("tokenizer", cls=SuggestingGroup, help=_("Train tokenizers on your own text."))
def command() -> None:
    """The group."""


@command.command(
    "train",
    help=_(
        "Train a tokenizer on text: WordPiece as in BERT, byte-level BPE as in RoBERTa, or with "
        "--from a new vocabulary for the pipeline of an existing tokenizer. The same text gives "
        "the same file."
    ),
    epilog=examples(
        "tunesmith tokenizer train notes.txt --vocab-size 8000 --out my-tokenizer",
        "tunesmith tokenizer train reviews.csv --text body --from bert-base-uncased --out mine",
    ),
)
@click.argument("what", nargs=-1, required=True)
@click.option("--out", metavar="DIR", required=True, help=_("Folder to write."))
@click.option(
    "--kind", type=click.Choice(["wordpiece", "bpe"]), default="wordpiece", show_default=True,
    help=_("Tokenization algorithm."),
)  # fmt: skip
@click.option(
    "--vocab-size",
    type=click.IntRange(min=100),
    help=_("Maximum vocabulary size; default: 30000, or that of --from."),
)
@click.option("--from", "old", metavar="MODEL", help=_("Tokenizer whose pipeline to reuse."))
@click.option("--cased", is_flag=True, help=_("Distinguish capital letters and accents."))
@click.option("--alphabet", default="", help=_("Characters that wordpiece must include."))
@click.option("--text", metavar="COLUMN", multiple=True, help=_("Column of the text; repeatable."))
@reading_options
@common
def train(
    terminal: Terminal,
    what: tuple[str, ...],
    out: str,
    old: str | None,
    text: tuple[str, ...],
    **flags: Any,
) -> int:
    """Read the text, train, write, and show the tokens of the first text."""
    from tunesmith.data.columns import missing_columns, need_a_role, suggest_texts
    from tunesmith.data.open import open_splits
    from tunesmith.data.profile import profile
    from tunesmith.models.train_tokenizer import Texts, retrain_tokenizer, train_tokenizer
    from tunesmith.storage import atomic

    target = as_path(out)
    atomic.refuse_existing([target], force=None)
    splits = open_splits(what[0] if len(what) == 1 else list(what), reading(flags))
    source = splits["train"] if "train" in splits else next(iter(splits.values()))
    columns = list(text)
    named = [("text", name) for name in columns]
    if problems := [problem for _role, problem in missing_columns(named, source)]:
        raise DataError(problems)
    if not columns:
        profiled = profile(source, rows=1000)
        roles = suggest_texts(profiled)
        columns = [roles[role].value for role in ("text", "text_pair") if role in roles]
        if not columns:
            raise need_a_role("text", profiled)
    texts = Texts(source, columns)
    if old is None:
        made = train_tokenizer(
            texts,
            kind=flags["kind"],
            vocab_size=flags["vocab_size"] or 30_000,
            lowercase=not flags["cased"],
            alphabet=flags["alphabet"],
        )
    else:
        from tunesmith.models import load_tokenizer, locate

        before = load_tokenizer(locate(old))
        made = retrain_tokenizer(before, texts, vocab_size=flags["vocab_size"])
    with atomic.publish(target) as folder:
        made.save_pretrained(folder)
    first = next(iter(texts))
    pieces = made.tokenize(first)
    terminal.result(_("{count} pieces  {path}").format(count=len(made), path=target))
    terminal.result(f"  {shortened(first)}")
    terminal.result(f"  {shortened(' '.join(pieces), at_most=160)}")
    if old is not None:
        terminal.result(
            _("  {new} pieces here, {old} by {name}").format(
                new=len(pieces), old=len(before.tokenize(first)), name=old
            )
        )
    terminal.record(
        {"tokenizer": str(target), "pieces": len(made), "example": first, "tokens": pieces}
    )
    return 0
