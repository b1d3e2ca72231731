from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tunesmith.recipe.durations import (
    UNITS,
    Duration,
    EarlyStopping,
    EvaluationInterval,
    Percentage,
    SaveInterval,
    SplitSource,
    Warmup,
)

whole = st.integers(1, 10_000).map(float)
durations = st.builds(Duration, whole, st.sampled_from(UNITS)) | st.builds(
    Duration,
    st.floats(0.01, 1000, allow_nan=False).map(lambda x: float(f"{x:.3g}")),
    st.sampled_from(["epochs", "minutes", "hours", "seconds"]),
)


@given(durations)
def test_durations_round_trip(duration: Duration) -> None:
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize(
    ("written", "duration"),
    [
        ("epoch", Duration(1, "epochs")),
        ("1 epoch", Duration(1, "epochs")),
        ("3 epochs", Duration(3, "epochs")),
        ("0.5 epochs", Duration(0.5, "epochs")),
        ("500 steps", Duration(500, "steps")),
        ("10min", Duration(10, "minutes")),
        ("2 Hours", Duration(2, "hours")),
    ],
)
def test_how_durations_are_written(written: str, duration: Duration) -> None:
    assert Duration.parse(written) == duration


@pytest.mark.parametrize(
    "written", ["3", "epochs 3", "3 parsecs", "-1 steps", "0 steps", "1.5 steps", "", "3 epochs 2"]
)
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Duration.parse(written)


@given(
    st.floats(1e-6, 1e9) | st.integers(1, 10**9).map(float),
    st.sampled_from(["epochs", "minutes", "seconds"]),
)
def test_what_is_written_is_read_again_to_the_bit(amount: float, unit: str) -> None:
    assert Duration.parse(str(Duration(amount, unit))) == Duration(amount, unit)


@given(st.floats(1e-9, 1, exclude_max=True))
def test_shares_are_read_again_to_the_bit(fraction: float) -> None:
    assert Percentage.parse(str(Percentage(fraction))) == Percentage(fraction)


def test_numbers_are_written_in_full() -> None:
    assert str(Duration(1_234_567, "steps")) == "1234567 steps"
    assert str(Duration(1.0, "steps")) == "1 step"
    assert str(Duration(100.0, "steps")) == "100 steps"
    assert str(Duration(1e-6, "epochs")) == "0.000001 epochs"
    assert str(Percentage(0.1)) == "10%"
    assert str(Percentage(1e-9)) == "0.0000001%"


@pytest.mark.parametrize(
    "written",
    ["9" * 59 + " steps", "1000000001 steps", "0.0000009 epochs", "0" * 60 + "1 step",
     " " * 100_000 + "x", "1" * 100_000 + "x"],
)  # fmt: skip
def test_amounts_are_bounded(written: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        Duration.parse(written)
    assert len(str(caught.value)) < 300


def test_the_bounds_themselves_are_allowed() -> None:
    assert Duration.parse("1000000000 steps").amount == 1e9
    assert Duration.parse("0.000001 epochs").amount == 1e-6
    assert Duration.parse("0" * 54 + "1 step").amount == 1
    assert Percentage.parse("0.0000001%") == Percentage(1e-9)
    assert Percentage.parse(" " * 60 + "1%") is None
    for written in ("0.00000001%", "100%", "9" * 50 + "%"):
        with pytest.raises(ValueError, match="less than 100%"):
            Percentage.parse(written)


def test_only_time_has_seconds() -> None:
    assert Duration(10, "minutes").seconds == 600
    assert Duration(10, "steps").seconds is None


class Holder(BaseModel):
    evaluate: EvaluationInterval = None
    save: SaveInterval = None
    patience: EarlyStopping = None
    warmup: Warmup = None
    split: SplitSource = None


def test_units_refuse_to_mix() -> None:
    for wrong in ({"evaluate": "10 minutes"}, {"patience": "3 epochs"}, {"warmup": "3 minutes"}):
        with pytest.raises(ValidationError, match="cannot be in"):
            Holder.model_validate(wrong)


def test_a_bare_number_needs_a_unit_where_it_could_be_misread() -> None:
    with pytest.raises(ValidationError, match="needs a unit"):
        Holder.model_validate({"evaluate": 100})
    assert Holder.model_validate({"patience": 3}).patience == Duration(3, "evaluations")


@pytest.mark.parametrize("word", ["never", "No", None])
def test_never(word: str | None) -> None:
    assert Holder.model_validate({"save": word}).save is None


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        ("10%", Percentage(0.1)),
        (0.1, Percentage(0.1)),
        (100, Duration(100, "steps")),
        ("1 epoch", Duration(1, "epochs")),
        (0, None),
        (None, None),
    ],
)
def test_warmup_as_steps_or_share(given_: object, meant: object) -> None:
    assert Holder.model_validate({"warmup": given_}).warmup == meant


@pytest.mark.parametrize("wrong", ["110%", "0%", -1, 1.5, True, "soon"])
def test_what_is_no_warmup(wrong: object) -> None:
    with pytest.raises(ValidationError):
        Holder.model_validate({"warmup": wrong})


@given(st.integers(1, 99))
def test_shares_round_trip(percent: int) -> None:
    share = Percentage.parse(f"{percent}%")
    assert share is not None
    assert Percentage.parse(str(share)) == share


def test_a_split_is_a_fraction_a_name_or_files() -> None:
    assert Holder.model_validate({"split": "10%"}).split == Percentage(0.1)
    assert Holder.model_validate({"split": "validation"}).split == "validation"
    assert Holder.model_validate({"split": ["a.csv", "b.csv"]}).split == ("a.csv", "b.csv")


def test_the_schema_says_what_is_allowed() -> None:
    properties = Holder.model_json_schema()["properties"]
    assert any("pattern" in option for option in properties["evaluate"]["anyOf"])
    assert {"type": "integer", "minimum": 1} in properties["patience"]["anyOf"]
