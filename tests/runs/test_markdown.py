from __future__ import annotations

import pytest

from tunesmith.runs.markdown import code, plain, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("打印机 👩\u200d🔧 a, b; 84 % of c-d", "打印机 👩\u200d🔧 a, b; 84 % of c-d"),
        ("![x](http://e)", r"\!\[x\]\(http:\//e\)"),
        ("WWW.e.org a@b.c https://e", r"WWW\.e.org a\@b.c https:\//e"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("# a\n\n# b", r"\# a\\u000a\\u000a\# b"),
        ("a\u202eb  c", r"a\\u202eb c"),
        ("| `a` | $b$ |", r"\| \`a\` \| \$b\$ \|"),
    ],
)
def test_text_of_the_data_is_shown_and_does_nothing(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_code_outlives_the_backticks_it_holds() -> None:
    assert code("a") == "`a`"
    assert code("`a` ``b``") == "``````` `a` ``b`` ```````"
    assert code("a\r\n\x1b[1m") == r"`a\u000d\u000a\u001b[1m`"


def test_a_table_has_a_line_a_row() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"
