from __future__ import annotations

import pytest
from pydantic import Field

from tunesmith.errors import RecipeError
from tunesmith.recipe import Options, read_options


class Own(Options):
    share: float = Field(0.15, gt=0, lt=1, description="How much.")
    whole: bool = Field(False, description="All of it.")


def test_defaults_and_given_values() -> None:
    assert read_options(Own, {}) == Own()
    assert read_options(Own, {"share": 0.3, "whole": True}) == Own(share=0.3, whole=True)
    assert read_options(Options, {}) == Options()


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({"shares": 0.3}, "R101", 'did you mean "share"?'),
        ({"xyz": 1}, "R101", "Known here: share, whole."),
        ({"share": 2}, "R104", "options.share cannot be 2: it must be less than 1"),
        ({"whole": "perhaps"}, "R104", "it must be true or false"),
    ],
)
def test_what_does_not_fit_is_reported(values: dict[str, object], code: str, words: str) -> None:
    with pytest.raises(RecipeError, match=code) as caught:
        read_options(Own, values)
    assert words in str(caught.value)


def test_all_problems_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        read_options(Own, {"share": 0, "other": 1})
    assert {str(problem.place) for problem in caught.value.problems} == {
        "options.share",
        "options.other",
    }
