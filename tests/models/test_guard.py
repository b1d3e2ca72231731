from __future__ import annotations

import pytest
import torch
from torch import nn

from tunesmith.errors import ModelError, Problem, RecipeError
from tunesmith.models.guard import TooLarge, bounded, coded, first_line


def build(layers: int) -> nn.Module:
    model = nn.ModuleList()
    for _layer in range(layers):
        model.append(nn.Linear(4, 5, bias=False))
    return model


def test_both_bounds_are_exact() -> None:
    with bounded(modules=3, elements=60), torch.device("meta"):
        build(3)
    with pytest.raises(TooLarge, match=r"^more than 2 modules$"), bounded(modules=2, elements=60):
        build(3)
    with pytest.raises(TooLarge, match=r"^more than 59 numbers$"), bounded(modules=3, elements=59):
        build(3)
    with bounded(modules=0, elements=9):
        nn.BatchNorm1d(2)  # two weights, three buffers
    with pytest.raises(TooLarge), bounded(modules=0, elements=8):
        nn.BatchNorm1d(2)
    build(100)  # outside there is no bound


def test_the_first_line_of_an_error() -> None:
    assert first_line(ValueError("\n  what is wrong \nand more")) == "what is wrong"
    assert first_line(ValueError("Field 'x':\n  expected int\nmore")) == "Field 'x': expected int"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(ValueError("x" * 300)) == "x" * 199 + "…"


class PanicException(BaseException):
    """As libraries in Rust raise it."""


@pytest.mark.parametrize(
    "error", [PanicException("boom"), RecursionError("boom"), KeyError("boom")]
)
def test_errors_of_libraries_get_a_code(error: BaseException) -> None:
    with (
        pytest.raises(ModelError, match=r"^error M113: .?boom.?!$") as caught,
        coded(lambda reason: Problem("M113", f"{reason}!")),
    ):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(1),
        GeneratorExit(),
        TimeoutError(),
        RecipeError(Problem("R101", "x")),
    ],
)
def test_what_is_not_about_a_file_stays_itself(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, coded(lambda _reason: Problem("M113", "")):
        raise error
    assert caught.value is error
