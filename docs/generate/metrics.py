# ruff: noqa: E501 - a Chinese character counts as two
"""`reference/metrics.md`: every score, with formula, range, direction, interval and source.

Names, tasks and directions come from the registry of `tunesmith.metrics` and the tasks; formulas
and sources are in `DESCRIBED`, which `tests/test_metrics_page.py` compares with the code.
"""

from __future__ import annotations

from collections.abc import Mapping

from docs.generate.answer_metrics import ANSWERS
from docs.generate.described import Described
from docs.generate.ranking_metrics import RANKINGS
from docs.generate.text import Text, prose, table

from tunesmith.metrics import bootstrap, differences, likelihood, temperature
from tunesmith.metrics.confident_learning import _FAR
from tunesmith.metrics.scores import GLUE, METRICS, Metric
from tunesmith.tasks import TASKS, task_named

__all__ = ["DESCRIBED", "Described", "page", "scores_of_tasks"]


INTERVALS = {
    "wilson": Text("[Wilson](#wilson)", "[Wilson](#wilson)"),
    "likelihood": Text("[profile likelihood](#profile-likelihood)", "[剖面似然](#剖面似然)"),
    "fisher": Text("[Fisher](#fisher)", "[Fisher](#fisher)"),
    "student": Text("[Student](#student)", "[Student](#student)"),
    "bootstrap": Text("[bootstrap](#bootstrap)", "[自助法](#自助法)"),
}
_FRACTION, _SIGNED = "0 … 1", "−1 … 1"
_NEVER = Text("Always defined.", "总有定义。")
_ZERO = Text(
    "0 where the denominator is 0: the class is never predicted, or there are no rows of it.",
    "分母为 0 时取 0：该类别从未被预测，或没有该类别的行。",
)
_ZERO_EACH = Text(
    "A class whose denominator is 0 counts as 0. With one class per row, classes that are neither in "
    "the rows nor in the predictions are left out.",
    "分母为 0 的类别按 0 计。每行一个类别时，既不在行中也不在预测中的类别不计入。",
)
_CONSTANT = Text(
    "Not reported (`null`) if one side is constant or there are fewer than two rows.",
    "一侧为常量或不足两行时不报告（`null`）。",
)

DESCRIBED: Mapping[str, Described] = {
    "accuracy": Described(
        r"\frac{1}{n}\sum_{i=1}^{n}[a_i = y_i]",
        _FRACTION,
        Text(
            "Fraction of rows that are answered exactly right. With several labels per row, all of "
            "them must be right (subset accuracy).",
            "完全答对的行所占的比例。每行多个标签时，所有标签都须正确（子集准确率）。",
        ),
        _NEVER,
        "wilson",
        "sklearn.metrics.accuracy_score",
    ),
    "precision": Described(
        r"\frac{TP_+}{TP_+ + FP_+}",
        _FRACTION,
        Text(
            "Of the rows that are answered with the positive class, the fraction that has it.",
            "被预测为正类的行中，确为正类的比例。",
        ),
        _ZERO,
        "wilson",
        "sklearn.metrics.precision_score",
    ),
    "recall": Described(
        r"\frac{TP_+}{TP_+ + FN_+}",
        _FRACTION,
        Text(
            "Of the rows of the positive class, the fraction that is answered with it.",
            "正类的行中，被预测为正类的比例。",
        ),
        _ZERO,
        "wilson",
        "sklearn.metrics.recall_score",
    ),
    "f1": Described(
        r"\frac{2\ TP_+}{2\ TP_+ + FP_+ + FN_+}",
        _FRACTION,
        Text(
            "Harmonic mean of precision and recall of the positive class: the one of "
            "`data.positive_label`, else the last. In token-classification, `f1`, `precision` and "
            "`recall` count entities of all types together, and `f1_macro` is the mean over types: "
            "an entity is right if its borders and its type are, as in conlleval and in seqeval's "
            "default mode; `accuracy` is then that of words. Their intervals are by bootstrap. In "
            "question-answering it is the mean of the F1 of the words of each answer; see `exact`.",
            "正类精确率与召回率的调和平均。正类由 `data.positive_label` 指定，否则为最后一个类别。"
            "在 token-classification 中，`f1`、`precision` 和 `recall` 统计所有类型的实体，`f1_macro` 是各类型的平均："
            "边界和类型都正确的实体才算正确，与 conlleval 和 seqeval 的默认模式一致；`accuracy` 则按词计算。区间用自助法得到。在 question-answering 中，它是各答案按词计算的 F1 的平均，见 `exact`。",
        ),
        _ZERO,
        "wilson",
        "sklearn.metrics.f1_score",
    ),
    "f1_macro": Described(
        r"\frac{1}{C}\sum_{c=1}^{C} F1_c",
        _FRACTION,
        Text(
            "Mean of the F1 of each class: every class counts the same, however rare it is.",
            "各类别 F1 的平均：无论多稀少，每个类别权重相同。",
        ),
        _ZERO_EACH,
        "likelihood",
        "sklearn.metrics.f1_score",
    ),
    "f1_strict": Described(
        r"\frac{2\ TP}{2\ TP + FP + FN}",
        _FRACTION,
        Text(
            "F1 of entities whose first tag is B-, as in seqeval's strict mode with IOB2: an entity "
            "that the model begins with I- does not count. `f1` counts it.",
            "只统计首个标签为 B- 的实体的 F1，与 seqeval 的 strict 模式（IOB2）一致：模型以 I- 开头的实体不计入，而 `f1` 计入。",
        ),
        Text("0 where no entity is marked and none is there.", "既无标注也无预测的实体时为 0。"),
        "bootstrap",
    ),
    "f1_micro": Described(
        r"\frac{2\sum_c TP_c}{\sum_c (2\ TP_c + FP_c + FN_c)}",
        _FRACTION,
        Text(
            "F1 of all labels counted together. With one class per row it is the accuracy.",
            "所有标签合并计数的 F1。每行一个类别时等于准确率。",
        ),
        _ZERO,
        "likelihood",
        "sklearn.metrics.f1_score",
    ),
    "f1_weighted": Described(
        r"\frac{\sum_c n_c\  F1_c}{\sum_c n_c}",
        _FRACTION,
        Text(
            "Mean of the F1 of each class, weighted by its rows.",
            "各类别 F1 按行数加权的平均。",
        ),
        _ZERO_EACH,
        "likelihood",
        "sklearn.metrics.f1_score",
    ),
    "precision_macro": Described(
        r"\frac{1}{C}\sum_{c=1}^{C} P_c",
        _FRACTION,
        Text("Mean of the precision of each class.", "各类别精确率的平均。"),
        _ZERO_EACH,
        "likelihood",
        "sklearn.metrics.precision_score",
    ),
    "precision_micro": Described(
        r"\frac{\sum_c TP_c}{\sum_c (TP_c + FP_c)}",
        _FRACTION,
        Text(
            "Of all labels that are answered, the fraction that is right.",
            "所有给出的标签中正确的比例。",
        ),
        _ZERO,
        "likelihood",
        "sklearn.metrics.precision_score",
    ),
    "recall_macro": Described(
        r"\frac{1}{C}\sum_{c=1}^{C} R_c",
        _FRACTION,
        Text(
            "Mean of the recall of each class (balanced accuracy).",
            "各类别召回率的平均（均衡准确率）。",
        ),
        _ZERO_EACH,
        "likelihood",
        "sklearn.metrics.recall_score",
    ),
    "recall_micro": Described(
        r"\frac{\sum_c TP_c}{\sum_c (TP_c + FN_c)}",
        _FRACTION,
        Text(
            "Of all labels that the rows have, the fraction that is answered.",
            "行的所有标签中被给出的比例。",
        ),
        _ZERO,
        "likelihood",
        "sklearn.metrics.recall_score",
    ),
    "matthews_correlation": Described(
        r"\frac{n\sum_c TP_c - \sum_c n_c\ h_c}"
        r"{\sqrt{\left(n^2 - \sum_c h_c^2\right)\left(n^2 - \sum_c n_c^2\right)}}",
        _SIGNED,
        Text(
            "Correlation of answers and labels: 0 for a constant prediction and for guessing, however "
            "unequal the classes are. The multiclass form is that of Gorodkin (2004).",
            "预测与标签的相关系数：无论类别多不均衡，常数预测和随机猜测都为 0。多类别形式出自 Gorodkin（2004）。",
        ),
        Text(
            "0 if the labels or the answers are of one class only.",
            "标签或预测只有一个类别时为 0。",
        ),
        "likelihood",
        "sklearn.metrics.matthews_corrcoef",
    ),
    "pearson": Described(
        r"\frac{\sum_i (a_i - \bar{a})(y_i - \bar{y})}"
        r"{\sqrt{\sum_i (a_i - \bar{a})^2 \sum_i (y_i - \bar{y})^2}}",
        _SIGNED,
        Text(
            "Linear correlation of predicted and true numbers.",
            "预测值与真实值的线性相关系数。",
        ),
        _CONSTANT,
        "fisher",
        "scipy.stats.pearsonr",
    ),
    "spearman": Described(
        r"\mathrm{pearson}\left(\mathrm{rank}(a),\ \mathrm{rank}(y)\right)",
        _SIGNED,
        Text(
            "Correlation of the ranks; equal numbers share their mean rank. It is 1 wherever the "
            "order is right.",
            "秩的相关系数，相等的数取平均秩。次序正确即为 1。",
        ),
        _CONSTANT,
        "fisher",
        "scipy.stats.spearmanr",
    ),
    "mean_squared_error": Described(
        r"\frac{1}{n}\sum_{i=1}^{n}(a_i - y_i)^2",
        "≥ 0",
        Text("Mean of the squared errors.", "误差平方的平均。"),
        _NEVER,
        "student",
        "sklearn.metrics.mean_squared_error",
    ),
    "perplexity": Described(
        r"\exp\left(-\frac{1}{m}\sum_{j=1}^{m}\log p_j\right)",
        "≥ 1",
        Text(
            "Of $m$ masked tokens with the probability $p_j$ of the right one: among how many equally "
            "likely tokens the model would be choosing. A text and a mask are drawn once, so that "
            "every evaluation scores the same tokens.",
            "对 $m$ 个被遮住的词元，$p_j$ 为正确词元的概率：相当于模型在多少个等可能的词元中选择。遮住哪些词元只抽取一次，每次评估的词元都相同。",
        ),
        Text(
            "The exponent is limited to 700, where numbers end.",
            "指数上限为 700，再大超出浮点数范围。",
        ),
        "bootstrap",
    ),
    "token_accuracy": Described(
        r"\frac{1}{m}\sum_{j=1}^{m}[u_j = t_j]",
        _FRACTION,
        Text(
            "Fraction of masked tokens whose most likely token is the right one.",
            "被遮住的词元中，最可能的词元即正确词元的比例。",
        ),
        _NEVER,
        "bootstrap",
    ),
    **ANSWERS,
    **RANKINGS,
    "loss": Described(
        r"\frac{1}{m}\sum_{j=1}^{m}\ell_j",
        "≥ 0",
        Text(
            "Mean of what training minimizes, over the $m$ targets: $-\\log p$ of the right class or "
            "masked token, the mean binary cross entropy over the labels of a row, or the squared "
            "error. Natural logarithm; class weights and focal loss are left out of evaluations.",
            "训练所最小化的量在 $m$ 个目标上的平均：正确类别或被遮住词元的 $-\\log p$、一行各标签二元交叉熵的平均，或误差平方。使用自然对数；评估时不计类别权重和 focal loss。",
        ),
        Text(
            "Not reported (`null`) if it is not finite. The loss of masked-lm has no interval.",
            "不是有限值时不报告（`null`）。masked-lm 的损失没有区间。",
        ),
        "student",
    ),
}

KINDS = {
    "classes": Text("one class per row", "每行一个类别"),
    "labels": Text("several labels per row", "每行多个标签"),
    "numbers": Text("a number per row", "每行一个数值"),
}
WORDS = {
    "score": Text("score", "分数"),
    "for": Text("answers", "答案类型"),
    "better": Text("better", "更优"),
    "higher": Text("higher", "越高越好"),
    "lower": Text("lower", "越低越好"),
    "range": Text("range", "范围"),
    "interval": Text("interval", "区间"),
    "each": Text("Each score", "各分数"),
    "every": Text("every task", "所有任务"),
    "undefined": Text("**Edge cases.** {text}", "**边界情况**：{text}"),
    "interval_line": Text("**Interval.** {text}.", "**区间**：{text}"),
    "space": Text(" ", ""),
    "same_as": Text("The same number as `{name}`.", "与 `{name}` 的数值相同。"),
    "glue": Text("GLUE", "GLUE"),
    "set": Text("set", "数据集"),
    "first": Text("the first chooses the model", "第一个用于选择模型"),
    "comma": Text(", ", "，"),
}


def scores_of_tasks() -> dict[str, Metric]:
    """Every score that a task can report, by name."""
    scores = dict(METRICS)
    for name in TASKS:
        scores |= task_named(name).metrics
    return scores


def page() -> str:
    """The page in the language in use."""
    parts = [prose("metrics"), _overview(), f"## {WORDS['each']}"]
    for name, described in DESCRIBED.items():
        parts += _entry(name, described)
    rows = [
        (f"`{name}`", ", ".join(f"`{score}`" for score in scores)) for name, scores in GLUE.items()
    ]
    head = (str(WORDS["set"]), f"{WORDS['score']} ({WORDS['first']})")
    parts += [f"## {WORDS['glue']}", prose("metrics-glue"), table(head, rows)]
    numbers = {
        "DRAWS": f"{bootstrap.DRAWS:,}",
        "BINS": temperature.BINS,
        "COLDEST": temperature.COLDEST,
        "HOTTEST": temperature.HOTTEST,
        "IMAGINED": likelihood._IMAGINED,
        "FEWEST": differences._FEWEST_CHANGES,
        "FAR": _FAR,
    }
    methods = prose("metrics-methods")
    for name, number in numbers.items():
        assert f"<{name}>" in methods, name
        methods = methods.replace(f"<{name}>", str(number))
    return "\n\n".join([*parts, methods]) + "\n"


def _overview() -> str:
    rows = []
    for name, described in DESCRIBED.items():
        metric = scores_of_tasks().get(name)
        better = "higher" if metric is not None and metric.higher_is_better else "lower"
        rows.append(
            (
                f"[`{name}`](#{name.lower()})",
                _answers_of(name),
                str(WORDS[better]),
                described.span,
                str(INTERVALS[described.interval]),
            )
        )
    return table([str(WORDS[w]) for w in ("score", "for", "better", "range", "interval")], rows)


def _answers_of(name: str) -> str:
    kinds = [str(KINDS[kind]) for kind in METRICS[name].kinds] if name in METRICS else []
    own = [
        f"`{task}`"
        for task in TASKS
        if name in (scores := task_named(task).metrics) and scores[name] is not METRICS.get(name)
    ]
    return str(WORDS["comma"]).join([*kinds, *own]) or str(WORDS["every"])


def _entry(name: str, described: Described) -> list[str]:
    text = str(described.text)
    if described.reference:
        text += str(WORDS["space"]) + WORDS["same_as"].format(name=described.reference)
    return [
        f"### {name}",
        f"$$\n{described.formula}\n$$",
        text,
        WORDS["undefined"].format(text=described.undefined),
        WORDS["interval_line"].format(text=INTERVALS[described.interval]),
    ]
