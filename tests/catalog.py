"""The Chinese catalog: collect the texts of the code into it, and compile it.

`make catalog` runs this; new texts get an empty translation to fill in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from tunesmith.explanations import explanations
from tunesmith.recipe import DataSettings, Recipe, TrainSettings
from tunesmith.recipe.settings import description_of

SOURCE = Path(__file__).parents[1] / "src" / "tunesmith"
FOLDER = SOURCE / "locale" / "zh" / "LC_MESSAGES"
PO, MO = FOLDER / "tunesmith.po", FOLDER / "tunesmith.mo"
CLICK_WORDS = (
    "Usage:", "Options", "Commands", "Positional arguments", "Show this message and exit.",
    "Show the version and exit.", "%(prog)s, version %(version)s", "default: {default}",
    "Missing command.", "Missing argument", "Missing option", "Missing parameter",
    "No such option {name!r}.", "Option {name!r} does not take a value.",
    "Invalid value: {message}", "Invalid value for {param_hint}: {message}",
    "{value!r} is not a valid {number_type}.", "{value} is not in the range {range}.",
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
)  # fmt: skip
"""Messages of click, which it translates with this catalog."""

KEYWORDS = {"_": None, "N_": None, "gettext_noop": None, "gettext": None, "ngettext": (1, 2)}


def collect() -> Catalog:
    """Return every text of the code, without translations."""
    catalog = Catalog(domain="tunesmith", locale="zh", project="tunesmith", fuzzy=False)
    for file, _line, text, _comments, _context in extract_from_dir(SOURCE, keywords=KEYWORDS):
        catalog.add(text, locations=[(Path(file).as_posix(), 0)])
    for section in (Recipe, DataSettings, TrainSettings):
        for name in section.model_fields:
            catalog.add(description_of(section, name))
    for each in explanations().values():
        for text in (each.title, each.cause, each.fix):
            catalog.add(text)
    for text in CLICK_WORDS:
        catalog.add(text)
    return catalog


def read() -> Catalog:
    """Read the committed catalog."""
    with PO.open("rb") as file:
        return read_po(file, locale="zh")


def compiled(catalog: Catalog) -> bytes:
    """Return the content of the .mo file of a catalog."""
    import io

    stream = io.BytesIO()
    write_mo(stream, catalog)
    return stream.getvalue()


def main() -> None:
    """Update the .po file and compile it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    fresh = collect()
    if PO.is_file():
        for message in read():
            if message.id and message.id in fresh:
                fresh[message.id].string = message.string
    fresh.header_comment = "# The Chinese words of tunesmith."
    # no dates: the same texts give the same file
    fresh.version, fresh.msgid_bugs_address = "1", "tunesmith"
    fresh.last_translator = fresh.language_team = "tunesmith"
    fresh.creation_date = fresh.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    with PO.open("wb") as file:
        write_po(file, fresh, width=100, sort_output=True, no_location=True, omit_header=False)
    catalog = read()
    MO.write_bytes(compiled(catalog))
    missing = [m.id for m in catalog if m.id and not all(_strings(m.string))]
    print(f"{len(catalog)} texts, {len(missing)} without a translation")


def _strings(string: object) -> tuple[object, ...]:
    return tuple(string) if isinstance(string, list | tuple) else (string,)


if __name__ == "__main__":
    main()
