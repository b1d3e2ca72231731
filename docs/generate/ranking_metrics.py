# ruff: noqa: E501 - a Chinese character counts as two
"""What the page of scores says of those of rankings."""

from __future__ import annotations

from collections.abc import Mapping

from docs.generate.described import Described
from docs.generate.text import Text

__all__ = ["RANKINGS"]

_RANKED = Text(
    "Queries without a relevant passage are left out. Of passages with equal scores it is the mean "
    "over all their orders.",
    "没有相关段落的查询不计入。分数相等的段落，取其所有排列的平均。",
)


RANKINGS: Mapping[str, Described] = {
    "ndcg_at_10": Described(
        r"\frac{1}{Q}\sum_q \frac{\sum_{i=1}^{10} g_{qi} / \log_2(i+1)}"
        r"{\sum_{i=1}^{10} g^{*}_{qi} / \log_2(i+1)}",
        "0 … 1",
        Text(
            "Of $Q$ queries, with $g_{qi}$ the label of the passage at rank $i$ and $g^{*}_{qi}$ that "
            "in the best order: how far up the relevant passages are. Labels count as they are, so "
            "grades of 0 to 3 distinguish a little from a very relevant passage.",
            "$Q$ 个查询中，$g_{qi}$ 是第 $i$ 名段落的标签，$g^{*}_{qi}$ 是最佳顺序下的标签：衡量相关段落排得多靠前。标签按原值计，所以 0 到 3 的等级能区分略相关与很相关。",
        ),
        _RANKED,
        "bootstrap",
    ),
    "mrr_at_10": Described(
        r"\frac{1}{Q}\sum_q \frac{[r_q \le 10]}{r_q}",
        "0 … 1",
        Text(
            "Mean over queries of 1 divided by the rank $r_q$ of the first relevant passage, 0 below "
            "rank 10.",
            "各查询中第一个相关段落的名次 $r_q$ 的倒数的平均；第 10 名之后为 0。",
        ),
        _RANKED,
        "bootstrap",
    ),
    "map": Described(
        r"\frac{1}{Q}\sum_q \frac{1}{R_q}\sum_{k=1}^{R_q} \frac{k}{r_{qk}}",
        "0 … 1",
        Text(
            "Mean average precision, with $r_{qk}$ the rank of the $k$-th of $R_q$ relevant passages: "
            "all of them count, at any rank.",
            "平均精确率均值：$r_{qk}$ 是 $R_q$ 个相关段落中第 $k$ 个的名次；所有相关段落都计入，不论名次。",
        ),
        _RANKED,
        "bootstrap",
    ),
    "recall_at_10": Described(
        r"\frac{1}{Q}\sum_q \frac{|\{k : r_{qk} \le 10\}|}{R_q}",
        "0 … 1",
        Text(
            "Mean over queries of the fraction of relevant passages that are among the first ten.",
            "各查询的相关段落中排在前十名的比例，取平均。",
        ),
        _RANKED,
        "bootstrap",
    ),
}
