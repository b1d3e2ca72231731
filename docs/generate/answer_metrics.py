"""The scores of answers from a text, as the page of metrics describes them."""

from __future__ import annotations

from collections.abc import Mapping

from docs.generate.described import Described
from docs.generate.text import Text

__all__ = ["ANSWERS"]

_PERCENT = "0 … 100"
_NEVER = Text("Always defined.", "总有定义。")
_NO_ROWS = Text(
    "Not reported (`null`) if there are no such questions.", "没有这类问题时不报告（`null`）。"
)


def _of(
    text: Text, undefined: Text = _NEVER, formula: str = r"\frac{100}{n}\sum_{i=1}^{n} s_i"
) -> Described:
    return Described(formula, _PERCENT, text, undefined, "bootstrap")


ANSWERS: Mapping[str, Described] = {
    "exact": _of(
        Text(
            "Of questions, the percentage answered exactly right, as the script of SQuAD compares "
            "answers: in lower case, without ASCII punctuation and the words a, an and the. Of "
            "several right answers the nearest counts; no answer is right where there is none. "
            "`f1` gives answers with some of the words of a right one a part of 1: "
            "2 · shared words / (words of the answer + words of the right one).",
            "完全答对的问题所占的百分比，比较方式与 SQuAD 的脚本一致："
            "转为小写，去掉 ASCII 标点以及 a、an、the。"
            "有多个正确答案时取最接近的；没有答案的问题，给出空答案才算对。"
            "`f1` 对含有正确答案部分词语的答案给部分分："
            "2 · 相同词数 /（答案词数 + 正确答案词数）。",
        )
    ),
    "exact_cjk": _of(
        Text(
            "`exact` without punctuation of any script, as MLQA computes it.",
            "去掉所有文字的标点后的 `exact`，与 MLQA 的计算方式一致。",
        )
    ),
    "f1_cjk": _of(
        Text(
            "`f1` in which each Chinese or Japanese character is a word, as MLQA computes it. It "
            "is the first score where the contexts are Chinese.",
            "每个中文或日文字符算作一个词的 `f1`，与 MLQA 的计算方式一致。"
            "上下文为中文时它是第一个分数。",
        )
    ),
    "HasAns_exact": _of(
        Text("`exact` of the questions that have an answer.", "有答案的问题的 `exact`。"), _NO_ROWS
    ),
    "HasAns_f1": _of(
        Text("`f1` of the questions that have an answer.", "有答案的问题的 `f1`。"), _NO_ROWS
    ),
    "NoAns_exact": _of(
        Text(
            "Of the questions without an answer, the percentage that gets none.",
            "没有答案的问题中，未给出答案的百分比。",
        ),
        _NO_ROWS,
    ),
    "NoAns_f1": _of(
        Text("The same number as `NoAns_exact`.", "与 `NoAns_exact` 的数值相同。"), _NO_ROWS
    ),
    "best_exact": _of(
        Text(
            "The highest `exact` that any threshold for giving no answer reaches on these rows. It "
            "looks at the labels, so it is optimistic.",
            "在这些行上，任何“无答案”阈值所能达到的最高 `exact`。它看了标签，因此偏乐观。",
        ),
        formula=r"\max_t \frac{100}{n}\sum_{i=1}^{n} s_i(t)",
    ),
    "best_f1": _of(
        Text(
            "The highest `f1` that any threshold for giving no answer reaches on these rows.",
            "在这些行上，任何“无答案”阈值所能达到的最高 `f1`。",
        ),
        formula=r"\max_t \frac{100}{n}\sum_{i=1}^{n} s_i(t)",
    ),
}
