from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.cli.conftest import Command
from tunesmith.cli.suggestions import with_corrected_command, with_new_flags
from tunesmith.errors import Problem


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], 'did you mean "train"'),
        (["runs", "lsit"], 'did you mean "list"'),
        (["config", "scheam"], 'did you mean "schema"'),
        (["data", "xyzzy"], 'there is no command "xyzzy"'),
    ],
)
def test_unknown_command_suggests_the_nearest(
    arguments: list[str], words: str, tunesmith: Command
) -> None:
    output = tunesmith(*arguments)
    assert output.code == 2
    assert words in output.err
    assert "error R100" in output.err


@pytest.mark.parametrize("group", ["runs", "config", "data"])
def test_group_without_command_shows_help(group: str, tunesmith: Command) -> None:
    output = tunesmith(group)
    assert "Commands:" in output.out + output.err


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
def test_unknown_option_suggests_a_recipe_key(
    arguments: list[str], meant: str | None, tunesmith: Command
) -> None:
    output = tunesmith("train", "x.csv", *arguments)
    assert output.code == 2
    if meant is None:
        assert "error R100" in output.err
    else:
        assert f"error R150: there is no option {arguments[0].split('=')[0]}" in output.err
        assert f'did you mean "{meant}"?' in output.err


def test_unknown_option_prefers_an_option_of_the_command(tunesmith: Command) -> None:
    output = tunesmith("train", "x.csv", "--leraning-rate", "1")
    assert "error R100: No such option '--leraning-rate'" in output.err
    assert "'--learning-rate'" in output.err
    assert "Usage: tunesmith train" in output.err


def test_commands_without_recipe_suggest_no_keys(tunesmith: Command) -> None:
    output = tunesmith("predict", "model", "--weight-decay", "1")
    assert "error R100" in output.err
    assert "train.weight_decay" not in output.err


@click.command("read")
@click.option("--encoding")
@click.option("--delimiter")
@click.argument("what")
def read(**_options: object) -> None: ...


GROUP = click.Group("group", commands=[read])
ENCODING = Problem("D101", "not UTF-8", fix="Use it.", flags=("--encoding", "cp1252"))
DELIMITER = Problem("D112", "one column", flags=("--delimiter", ";"))


def corrected(
    problems: list[Problem], line: str, command: click.Command | None = read
) -> list[str]:
    result = with_corrected_command(problems, line.split(), command)
    assert [(p.code, p.message) for p in result] == [(p.code, p.message) for p in problems]
    return [str(problem.fix) for problem in result]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("read a.csv", "tunesmith read a.csv --encoding cp1252"),
        ("read --encoding utf-8 a.csv", "tunesmith read a.csv --encoding cp1252"),
        ("read --encoding=utf-8 a.csv", "tunesmith read a.csv --encoding cp1252"),
        ("read -- a.csv", "tunesmith read --encoding cp1252 -- a.csv"),
        ("read it's.csv", "tunesmith read 'it'\"'\"'s.csv' --encoding cp1252"),
    ],
)
def test_correction_adds_the_option(line: str, command: str) -> None:
    assert corrected([ENCODING], line) == [f"Use it.\n{command}"]


def test_one_correction_for_all_problems() -> None:
    other = Problem("D999", "no flag", fix="Think.")
    assert corrected([ENCODING, DELIMITER, ENCODING, other], "read a b.csv") == [
        "Use it.",
        "None",
        "Use it.\ntunesmith read a b.csv --encoding cp1252 --delimiter ';'",
        "Think.",
    ]
    assert corrected([DELIMITER], "read a.csv") == ["tunesmith read a.csv --delimiter ';'"]


def test_no_correction_for_options_that_the_command_lacks() -> None:
    assert corrected([ENCODING], "group read a.csv", GROUP)[0].endswith("--encoding cp1252")
    assert corrected([ENCODING], "group", GROUP) == ["Use it."]
    assert corrected([ENCODING], "read a.csv", None) == ["Use it."]
    assert corrected([ENCODING], "other a", click.Command("other")) == ["Use it."]
    assert corrected([], "read a.csv") == []


def test_the_corrected_command_works(tunesmith: Command, tmp_path: Path) -> None:
    lines = "".join(f"Schöne Grüße Nummer {i};{'ja' if i % 2 else 'nein'}\r\n" for i in range(40))
    (tmp_path / "export.csv").write_bytes(("Text;Klasse\r\n" + lines).encode("cp1252"))
    arguments = ["check", "export.csv", "--model", "embedded:mini"]
    output = tunesmith(*arguments)
    assert output.code == 3
    command = "tunesmith check export.csv --model embedded:mini --encoding cp1252"
    assert command in [line.strip() for line in output.out.splitlines()]
    assert tunesmith(*command.split()[1:]).code == 0
    assert tunesmith(*arguments, "--encoding", "auto").code == 0
    output = tunesmith("init", "export.csv")
    assert "tunesmith init export.csv --encoding cp1252" in output.err


def test_renamed_flags_are_read_with_a_notice(tunesmith: Command, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("soup,a\ntea, A\n" * 10)
    output = tunesmith(
        "config",
        "show",
        "new.csv",
        "--no-header=text,label",
        "--normalise-labels",
        "--set",
        "track=[]",
    )
    assert "data.header" in output.out and "[text, label]" in output.out
    notices = [line for line in output.err.splitlines() if "R124" in line]
    assert notices == [
        "note R124 --no-header: --no-header is now called --columns",
        "note R124 --normalise-labels: --normalise-labels is now called --normalize-labels",
        "note R124 --set track=[]: track is now called trackers",
    ]
    assert "R124" not in tunesmith("config", "show", "new.csv", "-q", "--no-header", "a,b").err


def test_flag_under_both_names_is_an_error(tunesmith: Command, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("soup,a\n")
    output = tunesmith("check", "new.csv", "--no-header", "a,b", "--columns", "a,b")
    assert output.code == 2
    assert "error R125 --no-header" in output.err and "Remove --no-header." in output.err


def test_arguments_after_two_hyphens_are_no_flags() -> None:
    assert with_new_flags(["predict", "--", "--no-header"]) == ["predict", "--", "--no-header"]
