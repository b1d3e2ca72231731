"""What each error, warning and note means: a title, the cause, and what to do.

The texts are in `recipe.toml`, `data.toml`, `model.toml` and `run.toml`, by the first letter of
the code: R, D, M and C. The messages themselves are where they are reported. The codes are
compared with those that the package reports by `tests/test_explanations.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files

from tunesmith.i18n import gettext as _

__all__ = ["LETTERS", "Explanation", "explanations"]

LETTERS = {"R": "recipe", "D": "data", "M": "model", "C": "run"}
"""The file for the codes that begin with a letter."""

_EXIT_CODES = {"R": 2, "D": 3}
"""Of the errors that begin with a letter, unless the file says otherwise."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means.

    Attributes:
        code: such as "D203".
        title: what is wrong.
        cause: why it happens.
        fix: what to do.
        exit_code: of a command that ends with it; 0 for warnings and notes, which end none.
    """

    code: str
    title: str
    cause: str
    fix: str
    exit_code: int

    def as_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return asdict(self)

    def translated(self) -> Explanation:
        """Return it in the language in use."""
        return Explanation(self.code, _(self.title), _(self.cause), _(self.fix), self.exit_code)


@cache
def explanations() -> Mapping[str, Explanation]:
    """Return every explanation by its code, in English."""
    folder = files("tunesmith.explanations")
    by_code: dict[str, Explanation] = {}
    for letter, name in LETTERS.items():
        content = (folder / f"{name}.toml").read_text(encoding="utf-8")
        for code, values in tomllib.loads(content).items():
            title, cause, fix = (" ".join(values[k].split()) for k in ("title", "cause", "fix"))
            exit_code = values.get("exit", _EXIT_CODES.get(letter, 0))
            by_code[code] = Explanation(code, title, cause, fix, exit_code)
    return by_code
