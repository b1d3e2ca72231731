"""What pages show below their code: a block of text right after it, which the tests compare.

Numbers with decimals may differ a little, because processors round differently.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from pathlib import Path

from tests.doc_twins import BLOCK

NUMBER = re.compile(r"\d+\.\d+")
TOLERANCE = 0.03


def shown_outputs(page: Path) -> dict[str, str]:
    """The output that a page shows below a block of code, by the code.

    A comment between both, such as <!-- excerpt: … -->, says why it is not compared.
    """
    text = page.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    return {
        textwrap.dedent(code["code"]): textwrap.dedent(output["code"])
        for code, output in itertools.pairwise(blocks)
        if code["mark"] is None
        and code["kind"] in ("sh", "python")
        and output["kind"] == "text"
        and not text[code.end() : output.start()].strip()
    }


def agree(shown: str, printed: str, *, tolerance: float = TOLERANCE) -> bool:
    """Whether two outputs have the same words, and nearly the same numbers."""
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (shown, printed)]
    words = [NUMBER.sub("#", text).rstrip() for text in (shown, printed)]
    return words[0] == words[1] and all(
        abs(first - second) <= tolerance for first, second in zip(*numbers, strict=True)
    )
