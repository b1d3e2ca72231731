"""Question answering as code: lines that use a model, and a script with windows and scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _
from tunesmith.tasks.protocol import Task
from tunesmith.tasks.question_answering.rows import Asked
from tunesmith.tasks.script_parts import ScriptCode, ScriptParts, ScriptTargets

__all__ = ["question_parts", "usage_lines"]

_USAGE = """\
import torch
from transformers import {model_class}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
model = {model_class}.from_pretrained("path/to/this/folder")
question, context = "…", "…"
length = min({length}, tokenizer.model_max_length)
inputs = tokenizer(question, context, truncation="only_second", max_length=length,
                   stride=min({stride}, length // 3), return_overflowing_tokens=True,
                   return_offsets_mapping=True, padding=True, return_tensors="pt")
del inputs["overflow_to_sample_mapping"]
offsets = inputs.pop("offset_mapping")
outputs = model(**inputs)
scores = outputs.start_logits[:, :, None] + outputs.end_logits[:, None, :]
inside = torch.tensor([[of == 1 for of in inputs.sequence_ids(i)] for i in range(len(offsets))])
may_be = (inside[:, :, None] & inside[:, None, :]).triu().tril({longest})
best = scores.masked_fill(~may_be, -torch.inf)
window, first, last = torch.unravel_index(best.argmax(), best.shape)
answer = context[offsets[window, first, 0] : offsets[window, last, 1]]
"""
_NULL = """\
if scores[:, 0, 0].min() - best.max() > {threshold:.4g}:  # no answer scores more
    answer = ""
"""


def usage_lines(model_class: str, *, stride: int, longest: int, threshold: float | None) -> str:
    """Return code that prints the answer to a question.

    Args:
        model_class: of transformers.
        stride: tokens by which windows overlap.
        longest: tokens of an answer.
        threshold: above which there is none; None where there always is one.
    """
    lines = _USAGE.format(model_class=model_class, length=384, stride=stride, longest=longest - 1)
    null = "" if threshold is None else _NULL.format(threshold=threshold)
    return lines + null + 'print({"answer": answer, "score": best.max().item()})'


_ENCODE = """\
SPECIAL = tokenizer.num_special_tokens_to_add(pair=True)


def trimmed(text, start, end):
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def windows_of(row):
    question, context = row[TEXT].lstrip(), row[TEXT_PAIR]
    size = MAX_LENGTH - SPECIAL - len(tokenizer(question, add_special_tokens=False)["input_ids"])
    windows = tokenizer(
        question,
        context,
        truncation="only_second",
        max_length=MAX_LENGTH,
        stride=STRIDE if STRIDE < size else size // 2,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    for i, offsets in enumerate(windows["offset_mapping"]):
        owners = windows.sequence_ids(i)
        places = {
            place: trimmed(context, *offsets[place])
            for place, owner in enumerate(owners)
            if owner == 1
        }
        yield {name: windows[name][i] for name in tokenizer.model_input_names}, places


def target(row, places):
    if not row[LABEL]:
        return [0, 0]
    start = row[LABEL][0]["answer_start"]
    stop = start + len(row[LABEL][0]["text"])
    starts = [place for place, (first, _last) in places.items() if first <= start]
    stops = [place for place, (_first, last) in places.items() if last >= stop]
    return [starts[-1], stops[0]] if starts and stops else [0, 0]


def encode(rows):
    encoded = {name: [] for name in [*tokenizer.model_input_names, "labels"]}
    for values in zip(*rows.values()):
        row = dict(zip(rows, values))
        for inputs, places in windows_of(row):
            for name, value in inputs.items():
                encoded[name].append(value)
            encoded["labels"].append(target(row, places))
    return encoded


data = raw.map(encode, batched=True, remove_columns=raw["train"].column_names)
collate = DataCollatorWithPadding(tokenizer)
"""
_HOOKS = """\
def take_labels(model, args, inputs):
    labels = inputs.pop("labels", None)
    if labels is not None:
        inputs["start_positions"], inputs["end_positions"] = labels.unbind(1)
    model.is_padding = inputs["attention_mask"] == 0
    return args, inputs


def hide_padding(_head, _args, logits):
    return logits.masked_fill(model.is_padding[..., None], -1e9)


def join_logits(_model, _args, outputs):
    logits = torch.stack([outputs.start_logits, outputs.end_logits], dim=-1)
    return SequenceClassifierOutput(loss=outputs.loss, logits=logits)


model.register_forward_pre_hook(take_labels, with_kwargs=True)
model.qa_outputs.register_forward_hook(hide_padding)
model.register_forward_hook(join_logits)
"""
_STATISTICS = """\
def statistics(logits, labels):
    logits = logits.float().transpose(1, 2)
    losses = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    best = logits.topk(min(N_BEST, logits.shape[2]), dim=2).indices.sort(dim=2).values
    kept = torch.stack([best.float(), logits.gather(2, best)], dim=3)
    missing = torch.tensor([0.0, -1e9], device=kept.device)
    missing = missing.expand(len(kept), 2, N_BEST - kept.shape[2], 2)
    kept = torch.cat([kept, missing], dim=2).flatten(1)
    null, loss = logits[:, :, 0].sum(1, keepdim=True), losses.view(-1, 2).sum(1, keepdim=True)
    return torch.cat([kept, null, loss], dim=1)


def best_answer(row, kept):
    best, answer = -math.inf, ""
    for values, (_inputs, places) in zip(kept, windows_of(row)):
        pairs = values[:-2].reshape(2, N_BEST, 2)
        firsts, lasts = (
            [
                (int(place), logit)
                for place, logit in side[np.argsort(side[:, 1], kind="stable")[::-1]]
                if logit > -1e8 and int(place) in places
            ]
            for side in pairs
        )
        for first, start_logit in firsts:
            for last, end_logit in lasts:
                is_short = 0 <= last - first < MAX_ANSWER_LENGTH
                start, stop = places[first][0], places[last][1]
                if is_short and start < stop and start_logit + end_logit > best:
                    best, answer = start_logit + end_logit, row[TEXT_PAIR][start:stop]
    return answer, kept[:, -2].min() - best if answer else 0.0


"""
_WORDS = """\
def words(text):
    text = "".join(sign for sign in text.lower() if sign not in string.punctuation)
    return re.sub(r"\\b(a|an|the)\\b", " ", text).split()


"""
_CHARACTERS = """\
def characters(text):
    is_sign = [unicodedata.category(sign)[0] == "P" or sign in string.punctuation for sign in text]
    text = "".join(sign for sign, is_left_out in zip(text.lower(), is_sign) if not is_left_out)
    text = re.sub("([\\u3040-\\u30ff\\u3400-\\u9fff\\uf900-\\ufaff])", r" \\1 ", text)
    return re.sub(r"\\b(a|an|the)\\b", " ", text).split()


"""
_COMPARE = """\
def compare(answer, golds, words_of):
    own, exact, f1 = words_of(answer), 0.0, 0.0
    for gold in [gold for gold in map(words_of, golds) if gold] or [[]]:
        shared = sum((collections.Counter(own) & collections.Counter(gold)).values())
        share = 2 * shared / (len(own) + len(gold)) if own and gold else float(own == gold)
        exact, f1 = max(exact, float(own == gold)), max(f1, share)
    return exact, f1


def percent(values):
    return 100 * values.mean().item() if len(values) else math.nan
"""
_BEST = """\


def best_threshold(rows, column):
    rows = rows[np.argsort(rows[:, 3], kind="stable")]
    nulls, has_answer = rows[:, 3], rows[:, 2]
    sums = np.append(0.0, np.cumsum(rows[:, column] - (1 - has_answer))) + (1 - has_answer).sum()
    is_last = np.append(True, np.append(nulls[1:] > nulls[:-1], True))
    place = int(np.argmax(np.where(is_last, sums, -np.inf)))
    bounds = [nulls[0] - 2, *nulls, nulls[-1] + 2]
    return 100 * sums[place].item() / len(rows), (bounds[place] + bounds[place + 1]).item() / 2


FINAL = {"threshold": NO_ANSWER_THRESHOLD, "choose": False}
"""
_RESULTS = """\
results, start = [], 0
for row in raw[name]:
    stop = start + sum(1 for _window in windows_of(row))
    answer, null = best_answer(row, values[start:stop])
    results.append((answer, null, [gold["text"] for gold in row[LABEL]]))
    start = stop
"""
_ALWAYS = """\
answers = [answer for answer, _null, _golds in results]
"""
_MAYBE = """\
best = np.array(
    [[*compare(answer, golds, words), bool(golds), null] for answer, null, golds in results]
)
if FINAL["choose"] and name == "validation":
    FINAL["threshold"] = best_threshold(best, 1)[1]
answers = ["" if null > FINAL["threshold"] else answer for answer, null, _golds in results]
has_answer = best[:, 2] > 0
"""
_ROWS = """\
rows = np.array(
    [compare(answer, golds, words) for answer, (_best, _null, golds) in zip(answers, results)]
)
"""
_CJK_ROWS = """\
cjk = np.array(
    [compare(answer, golds, characters) for answer, (_best, _null, golds) in zip(answers, results)]
)
"""
_METRICS = {"exact": "percent(rows[:, 0])", "f1": "percent(rows[:, 1])"}
_CJK_METRICS = {"exact_cjk": "percent(cjk[:, 0])", "f1_cjk": "percent(cjk[:, 1])"}
_METRICS_OF_BOTH = {
    "HasAns_exact": "percent(rows[has_answer, 0])",
    "HasAns_f1": "percent(rows[has_answer, 1])",
    "NoAns_exact": "percent(rows[~has_answer, 0])",
    "NoAns_f1": "percent(rows[~has_answer, 1])",
    "best_exact": "best_threshold(best, 0)[0]",
    "best_f1": "best_threshold(best, 1)[0]",
}


def question_parts(
    task: Task,
    read: Callable[[Row], Asked],
    *,
    constants: Sequence[tuple[str, object, str]],
    threshold: float | None,
    is_chosen: bool,
    is_cjk: bool,
) -> ScriptParts:
    """Windows of contexts, the best answers in them, and the scores of SQuAD's script.

    Args:
        task: fitted.
        read: gives a valid row as a question.
        constants: settings of windows and answers.
        threshold: for giving no answer; None where there always is one.
        is_chosen: whether another one is chosen on the validation rows at the end.
        is_cjk: whether scores count characters.
    """
    has_both = threshold is not None
    metrics = {
        **_METRICS,
        **(_CJK_METRICS if is_cjk else {}),
        **(_METRICS_OF_BOTH if has_both else {}),
    }
    statistics = _STATISTICS + _WORDS + (_CHARACTERS if is_cjk else "") + _COMPARE
    scores = _RESULTS + (_MAYBE if has_both else _ALWAYS) + _ROWS
    answers = _("Answers combine the most likely first and last tokens of each window.")
    return ScriptParts(
        model_class=task.model_class,
        model_arguments=["num_labels=2"],
        constants=[*constants, *([("NO_ANSWER_THRESHOLD", threshold, "")] if has_both else [])],
        scores=(scores + (_CJK_ROWS if is_cjk else "")).rstrip(),
        metrics={**metrics, "loss": "values[:, -1].astype(float).sum().item() / (2 * len(values))"},
        loss_sum=(
            'cross_entropy(outputs.logits.mT.flatten(0, 1), labels.flatten(), reduction="sum")'
        ),
        num_targets='batch["labels"].numel()',
        targets=ScriptTargets((), task.targets, lambda row: _golds(read(row))),
        encode=ScriptCode(
            _ENCODE,
            (
                _(
                    "The question is whole in each window; the windows of a long context overlap. "
                    "Where a window does not hold the first answer, its target is the first token."
                ),
            ),
        ),
        network=ScriptCode(
            _HOOKS,
            (
                _(
                    "Padding has no probability as an answer, so that the loss does not depend on "
                    "the other windows of a batch."
                ),
            ),
        ),
        own_loss=True,
        trainer_arguments=['label_names=["labels"]'],
        statistics=ScriptCode(
            statistics + (_BEST if has_both else ""),
            (
                _(
                    "Of each window the most likely first and last tokens are kept, what its first "
                    "token scores, which stands for no answer, and its summed loss."
                ),
                answers,
            ),
        ),
        before_final='FINAL["choose"] = True' if has_both and is_chosen else "",
        scores_read_rows=True,
        record=lambda row: {"text": read(row).question, "text_pair": read(row).context},
    )


def _golds(question: Asked) -> list[dict[str, object]]:
    return [{"text": one.text, "answer_start": one.start} for one in question.answers]
