from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tunesmith.cli.verbs import with_new_flags


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


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["--weight-decay", "0.01"], "--set train.weight_decay=0.01"),
        (["--num-train-epochs=3", "--json"], "--set train.epochs=3"),
        (["--evaluate-evry", "1 epoch"], "--set train.evaluate_every=1 epoch"),
        (["--label-smoothing", "--lr"], None),
        (["--dropout", "--json"], "--set train.dropout=…"),
        (["--dropout"], "--set train.dropout=…"),
    ],
)
def test_an_unknown_option_that_is_a_key(
    arguments: list[str], meant: str | None, tunesmith: Command
) -> None:
    said = tunesmith("train", "x.csv", *arguments)
    assert said.code == 2
    if meant is None:
        assert "error R100" in said.err
    else:
        assert f"error R150: there is no option {arguments[0].split('=')[0]}" in said.err
        assert f'did you mean "{meant}"?' in said.err


def test_an_option_of_the_command_is_nearer_than_a_key(tunesmith: Command) -> None:
    said = tunesmith("train", "x.csv", "--leraning-rate", "1")
    assert "error R100: No such option '--leraning-rate'" in said.err
    assert "'--learning-rate'" in said.err
    assert "Usage: tunesmith train" in said.err


def test_commands_without_a_recipe_do_not_speak_of_its_keys(tunesmith: Command) -> None:
    said = tunesmith("predict", "model", "--weight-decay", "1")
    assert "error R100" in said.err
    assert "train.weight_decay" not in said.err


def test_flags_of_earlier_command_lines_are_read_with_a_line_for_each(
    tunesmith: Command, tmp_path: Path
) -> None:
    (tmp_path / "new.csv").write_text("soup,a\ntea, A\n" * 10)
    said = tunesmith(
        "config",
        "show",
        "new.csv",
        "--no-header=text,label",
        "--normalise-labels",
        "--set",
        "track=[]",
    )
    assert "data.header" in said.out and "[text, label]" in said.out
    notices = [line for line in said.err.splitlines() if "R124" in line]
    assert notices == [
        "note R124 --no-header: --no-header is now called --columns",
        "note R124 --normalise-labels: --normalise-labels is now called --normalize-labels",
        "note R124 --set track=[]: track is now called trackers",
    ]
    assert "R124" not in tunesmith("config", "show", "new.csv", "-q", "--no-header", "a,b").err


def test_a_flag_under_both_names_is_refused(tunesmith: Command, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("soup,a\n")
    said = tunesmith("check", "new.csv", "--no-header", "a,b", "--columns", "a,b")
    assert said.code == 2
    assert "error R125 --no-header" in said.err and "Remove --no-header." in said.err


def test_words_behind_two_hyphens_are_no_flags() -> None:
    assert with_new_flags(["predict", "--", "--no-header"]) == ["predict", "--", "--no-header"]
