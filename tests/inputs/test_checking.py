from __future__ import annotations

from tunesmith.data.columnar import Memory
from tunesmith.data.roles import Roles
from tunesmith.inputs import check_other
from tunesmith.tasks.text_classification import TextClassification

TASK = TextClassification(Roles("text", None, "label"), ("a", "b"))


def rows(*labels: str) -> Memory:
    return Memory.of_records([{"text": f"t {i}", "label": x} for i, x in enumerate(labels)], "m")


def test_a_test_split_may_lack_all_labels_but_not_some() -> None:
    for labels, codes in ((("", ""), []), (("a", ""), ["D201"]), (("a", "b"), [])):
        split, kept = check_other("test", rows(*labels), TASK)
        assert [problem.code for problem in kept.problems] == codes
        assert split.is_labelled == ("a" in labels)
    _split, kept = check_other("validation", rows("", ""), TASK)
    assert [problem.code for problem in kept.problems] == ["D201"]
