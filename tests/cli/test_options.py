from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tunesmith.cli import COMMANDS
from tunesmith.cli.options import layers_from, reading
from tunesmith.data.open import Options


def test_flags_become_keys() -> None:
    layers = layers_from(
        ["a.csv"],
        ["train.epochs=1"],
        {
            "model": "m",
            "label": ("x", "y"),
            "delimiter": "\\t",
            "text": None,
            "other": 1,
            "columns": "body, queue",
            "normalize_labels": True,
        },
    )
    recipe = layers.recipe()
    assert recipe.data.train == "a.csv"
    assert recipe.data.label == ("x", "y")
    assert recipe.data.delimiter == "\t"
    assert layers.origin("data", "label").detail == "--label"
    assert layers_from(["a.csv", "b.csv"], [], {}).recipe().data.train == ("a.csv", "b.csv")
    assert recipe.data.header == ("body", "queue")
    assert recipe.data.normalize_labels


def test_how_files_are_read() -> None:
    nothing = {"encoding": None, "delimiter": None, "columns": None, "sheet": None}
    assert reading(nothing) == Options()
    given = {
        "encoding": "gb18030", "delimiter": "\\t", "columns": "text ,label", "sheet": "May",
        "config": "mrpc", "revision": "v1",
    }  # fmt: skip
    assert reading(given) == Options(
        "gb18030", "\t", "mrpc", "v1", header=("text", "label"), sheet="May"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, tunesmith: Command) -> None:
    said = tunesmith(command, "--help")
    assert said.code == 0
    assert "Examples:" in said.out or "Commands:" in said.out
    assert "--json" in said.out or "Commands:" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train"], "Missing argument"),
        (["train", "x.csv", "--modle", "y"], "--model"),
        (["train", "x.csv", "--set", "nonsense"], "KEY=VALUE"),
        (["eval", "only-a-model"], "Missing argument"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, tunesmith: Command) -> None:
    said = tunesmith(*arguments)
    assert said.code == 2
    assert words in said.err
    assert "error R1" in said.err


def test_a_bug_is_told_as_one(tunesmith: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.data import open

    def broken(*_arguments: object) -> None:
        raise KeyError("label")

    monkeypatch.setattr(open, "open_splits", broken)
    said = tunesmith("data", "show", "x.csv")
    assert said.code == 70
    assert "M000" in said.err
    assert "--debug" in said.err


@pytest.mark.parametrize(
    ("flag", "key", "written", "value"),
    [
        ("epochs", "epochs", "3", 3),
        ("epochs", "epochs", "0.5", 0.5),
        ("max_steps", "max_steps", "7", 7),
        ("batch_size", "batch_size", "16", 16),
        ("learning_rate", "learning_rate", "2e-5", 2e-5),
        ("max_length", "max_length", "64", 64),
        ("seed", "seed", "1", 1),
        ("device", "device", "cpu", "cpu"),
    ],
)
def test_flags_of_training(flag: str, key: str, written: str, value: object) -> None:
    layers = layers_from(["a.csv"], [], {flag: written})
    assert getattr(layers.recipe().train, key) == value
    assert layers.origin("train", key).detail == "--" + flag.replace("_", "-")


@pytest.mark.parametrize("command", ["train", "check", "init"])
def test_a_flag_of_training_that_does_not_fit(command: str, tunesmith: Command) -> None:
    said = tunesmith(command, "x.csv", "--epochs", "many")
    assert said.code == 2
    assert 'R104 --epochs: train.epochs cannot be "many"' in said.out + said.err


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("tunesmith tr", "train"),
        ("tunesmith runs d", "delete"),
        ("tunesmith train --learning", "--learning-rate"),
        ("tunesmith predict m --on-bad-row k", "keep"),
    ],
)
def test_a_shell_completes(
    words: str, completed: str, tunesmith: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TUNESMITH_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert tunesmith().out.split() == [f"plain,{completed}"]


def test_languages(tunesmith: Command, tmp_path: Path) -> None:
    chinese = ("错误 D105", ["--lang", "zh"]), ("错误 D105", ["--lang=zh"])
    english = ("error D105", ["--lang", "en"]), ("error D105", ["--lang", "zh", "--lang", "en"])
    for start, lang in (*chinese, *english):
        for words in ([*lang, "data", "show"], ["data", *lang, "show"], ["data", "show", *lang]):
            assert tunesmith(*words, "no.csv").err.startswith(start)
    assert tunesmith("data", "show", "no.csv", "--", "--lang", "zh").err.startswith("error D105")
    for words in (["--lang", "fr", "runs", "list"], ["runs", "list", "--lang=fr"]):
        said = tunesmith(*words)
        assert said.code == 2
        assert "'fr' is not one of 'en', 'zh'" in said.err


def test_what_every_command_takes_may_come_before_it(tunesmith: Command) -> None:
    (record,) = tunesmith("--json", "runs", "show", "none").records
    assert record["code"] == "C113"
    assert tunesmith("-q", "runs", "list").err == ""
    assert "Traceback" in tunesmith("--debug", "--json", "runs", "show", "none").err
    for name in ("./--debug", "--debug"):  # the second is no name that the Hub could have
        said = tunesmith("--json", "data", "show", "--", name)
        assert (said.code, said.records[0]["code"], len(said.records)) == (3, "D105", 1)
        assert "Traceback" not in said.err


def test_every_path_with_a_home_folder_is_expanded(
    tunesmith: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert tunesmith("predict", trained, "a", "--out=~/answers.csv").code == 0
    assert (home / "answers.csv").is_file()
    data = str(trained.parent.parent / "tickets.csv")
    assert tunesmith("init", data, "--out=~/first.yaml").code == 0
    assert (home / "first.yaml").is_file()
    assert tunesmith("check", "~/first.yaml").code == 0
    (home / "runs").symlink_to(trained.parent)
    assert "tickets" in tunesmith("runs", "list", "--root=~/runs").out
    assert tunesmith("runs", "show", "tickets", "--root=~/runs").code == 0
    for arguments in (["init", data, "--out"], ["runs", "list", "--root"]):
        said = tunesmith(*arguments, "~nosuchuser/x")
        assert (said.code, "error C136" in said.err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
