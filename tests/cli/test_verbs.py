from __future__ import annotations

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], 'did you mean "train"'),
        (["runs", "lsit"], 'did you mean "list"'),
        (["config", "scheam"], 'did you mean "schema"'),
        (["data", "xyzzy"], 'there is no command "xyzzy"'),
    ],
)
def test_an_unknown_verb_names_the_nearest(
    arguments: list[str], words: str, tunesmith: Command
) -> None:
    said = tunesmith(*arguments)
    assert said.code == 2
    assert words in said.err
    assert "error R100" in said.err


@pytest.mark.parametrize("group", ["runs", "config", "data"])
def test_a_group_alone_shows_its_verbs(group: str, tunesmith: Command) -> None:
    said = tunesmith(group)
    assert "Commands:" in said.out + said.err
