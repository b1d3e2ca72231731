"""One rule for the names of runs and models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.errors import ModelError, Problem, RecipeError, ResourceError, TunesmithError
from tunesmith.storage.names import locate_run, model_source, run_names, with_near_names

STRANGE = ["", ".", "a\0b", "x" * 5000, "~nobody-here/x", "a/b/c/d", "\ud800", "-", "\n"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a finished run, a stopped one, and a model folder."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "runs" / "tickets")
    make(tmp_path / "runs" / "half", is_finished=False)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "config.json").write_text("{}")
    return tmp_path


def make(run: Path, *, is_finished: bool = True) -> None:
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text("")
    if is_finished:
        (run / "model").mkdir()
        (run / "model" / "config.json").write_text("{}")


def code_of(error: TunesmithError) -> tuple[str, str | None]:
    (problem,) = error.problems
    return problem.code, problem.fix


@pytest.mark.usefixtures("desk")
def test_every_way_to_name_a_run() -> None:
    for name in ("tickets", "runs/tickets", "./runs/tickets", "runs/tickets/model"):
        assert locate_run(name).resolve() == Path("runs/tickets").resolve()
        assert Path(model_source(name)).resolve().is_relative_to(Path("runs/tickets").resolve())
    assert locate_run(Path("half")) == Path("runs/half")
    assert run_names() == ["half", "tickets"]


def test_from_anywhere(desk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    monkeypatch.setenv("HOME", str(desk))
    assert locate_run("~/runs/tickets") == desk / "runs" / "tickets"
    assert model_source("~/plain") == str(desk / "plain")
    assert locate_run("tickets", desk / "runs") == desk / "runs" / "tickets"
    assert model_source("tickets", desk / "runs") == str(desk / "runs" / "tickets")
    assert run_names(desk / "runs") == ["half", "tickets"]
    with pytest.raises(RecipeError):
        locate_run("tickets")
    assert model_source("tickets") == "tickets"


def test_a_path_wins_over_a_run_of_that_name(desk: Path) -> None:
    make(desk / "tickets")
    assert locate_run("tickets") == Path("tickets")
    assert model_source("tickets") == "tickets"
    assert (desk / "plain").is_dir()
    make(desk / "runs" / "plain")
    assert model_source("plain") == "plain"
    assert locate_run("plain") == Path("runs/plain")


def test_a_folder_of_data_does_not_hide_the_run(desk: Path) -> None:
    (desk / "tickets").mkdir()
    assert locate_run("tickets") == Path("runs/tickets")
    assert model_source("tickets") == "runs/tickets"
    (desk / "tickets" / "recipe.yaml").write_text("")  # a run that was only begun
    assert model_source("tickets") == "runs/tickets"


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("name", ["half", "runs/half"])
def test_a_run_without_a_model_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        model_source(name)
    assert code_of(caught.value)[0] == "C114"
    assert str(caught.value.problems[0].place) == "runs/half"


@pytest.mark.usefixtures("desk")
def test_only_a_model_folder_stands_for_the_run_around_it() -> None:
    (Path("runs/half/model")).mkdir()
    for name in ("runs/half/model", "runs/tickets/checkpoints", "model"):
        with pytest.raises(RecipeError, match="C113"):
            locate_run(name)


def test_no_such_run_names_the_nearest(desk: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        locate_run("tikets")
    assert code_of(caught.value) == ("C113", 'did you mean "tickets"?')
    with pytest.raises(RecipeError) as caught:
        locate_run("xyz")
    assert code_of(caught.value) == ("C113", 'Runs in runs: "half", "tickets".')
    with pytest.raises(RecipeError) as caught:
        locate_run("xyz", desk / "none")
    assert code_of(caught.value)[1] == f"no runs in {desk / 'none'}"
    assert run_names(desk / "plain" / "config.json") == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [("embeded:mini", "embedded:mini"), ("Embedded:x", "embedded:x"), ("embed:", "embedded:")],
)
def test_a_misspelled_prefix_never_reaches_the_hub(name: str, meant: str) -> None:
    with pytest.raises(ModelError) as caught:
        model_source(name)
    assert code_of(caught.value) == ("M107", f'Did you mean "{meant}"?')


@pytest.mark.parametrize("name", ["embedded:mini", "owner/name", "gpt2", "C:/models/x", "http://x"])
def test_other_names_stay_themselves(name: str) -> None:
    assert model_source(name) == name


@pytest.mark.usefixtures("desk")
def test_a_name_the_hub_does_not_know_is_compared_with_runs_and_embedded_models() -> None:
    error = ModelError(Problem("M107", "none", fix="Log in."))
    near = with_near_names(error, "ticket", ("mini",))
    assert type(near) is ModelError
    assert code_of(near) == ("M107", 'did you mean "tickets"?\nLog in.')
    unreachable = ResourceError(Problem("M104", "none"))
    near_embedded = with_near_names(unreachable, "mini", ("mini",))
    assert code_of(near_embedded) == ("M104", 'did you mean "embedded:mini"?')
    assert with_near_names(error, "bert-base-uncased", ("mini",)) is error


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_are_only_unknown(name: str) -> None:
    with pytest.raises(RecipeError, match="C113"):
        locate_run(name)
    assert model_source(name) == name
