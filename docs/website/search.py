"""Search in Chinese: pairs of neighboring characters, in the index and in the query.

A dictionary would have to cut a text and a query of a few characters at the same places. Pairs need
none: a query is found where all of its pairs are.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

__all__ = ["ChineseSearch", "setup"]

_WORDS = re.compile(r"[\u3400-\u9fff]+|[A-Za-z0-9_]+")


class ChineseSearch(SearchEnglish):
    """Pairs of Chinese characters, and English words by their stems."""

    lang = "zh"
    language_name = "English"  # of the stemmer
    js_splitter_code = """
function splitQuery(query) {
  return (query.match(/[\\u3400-\\u9fff]+|[A-Za-z0-9_]+/g) || []).flatMap((word) =>
    word.charCodeAt(0) < 0x3400 || word.length < 3
      ? [word]
      : Array.from({ length: word.length - 1 }, (_, i) => word.slice(i, i + 2)),
  );
}
"""

    def split(self, input: str) -> list[str]:
        """Return the words of a text."""
        words: list[str] = []
        for word in _WORDS.findall(input):
            if word[0] < "\u3400" or len(word) < 3:
                words.append(word)
            else:
                words += [word[i : i + 2] for i in range(len(word) - 1)]
        return words


def setup(app: Sphinx) -> None:
    """Register the language."""
    app.add_search_language(ChineseSearch)
