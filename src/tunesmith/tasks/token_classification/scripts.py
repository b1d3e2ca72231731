"""Token classification as code for a script: alignment, windows, entities and their scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _
from tunesmith.tasks.protocol import Task
from tunesmith.tasks.script_parts import ScriptCode, ScriptParts, ScriptTargets
from tunesmith.tasks.token_classification.rows import MarkedText

__all__ = ["token_parts"]

_SPECIAL = """\
special = tokenizer("a", return_special_tokens_mask=True)
is_special = special.pop("special_tokens_mask")
BEFORE = is_special.index(0)
AFTER = is_special[::-1].index(0)
WINDOW = MAX_LENGTH - BEFORE - AFTER


"""
_ALIGN = """\
def align(row):
    text = row[TEXT]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    places = []
    for start, end in encoded["offset_mapping"]:
        part = text[start:end]
        start += len(part) - len(part.lstrip())
        places.append((start, start + len(part.strip())))
"""
_UNITS_ARE_TOKENS = """\
    spans, units, unit = [tuple(word) for word in row["words"]], [], -1
    for start, end in places:
        while unit + 1 < len(spans) and spans[unit + 1][0] <= start:
            unit += 1
        if unit < 0 or start < spans[unit][1]:
            units.append(unit)
        else:
            units.append(unit + 1 if start == end and unit + 1 < len(spans) else -1)
    return encoded["input_ids"], places, spans, units, units


"""
_UNITS_ARE_PIECES = """\
    words = [-1 if word is None else word for word in encoded.word_ids()]
    return encoded["input_ids"], places, places, list(range(len(places))), words


"""
_UNITS_ARE_WORDS = """\
    words = [-1 if word is None else word for word in encoded.word_ids()]
    spans = [(0, 0)] * (max(words, default=-1) + 1)
    for word, (start, end) in zip(words, places):
        if word >= 0:
            spans[word] = (spans[word][0] if spans[word][0] < spans[word][1] else start, end)
    return encoded["input_ids"], places, spans, words, words


"""
_TAGS = """\
def tags_of(spans, entities):
    tags, rest, begun = [], sorted(entities), None
    for start, end in spans:
        while rest and rest[0][1] <= start:
            rest.pop(0)
        if not rest or rest[0][0] >= end or start == end and rest[0][0] >= start:
            tags.append("O")
            continue
        tags.append(("I-" if rest[0] == begun or not rest[0][3] else "B-") + rest[0][2])
        begun = rest[0]
    return tags


def entities_of(tags):
    entities = []
    for i, tag in enumerate(tags):
        if tag[0] == "I" and i and tags[i - 1] != "O" and tags[i - 1][2:] == tag[2:]:
            entities[-1][1] = i + 1
        elif tag != "O":
            entities.append([i, i + 1, tag[2:], tag[0] == "B"])
    return entities


"""
_PLAIN_TAGS = """\
def tags_of(spans, entities):
    classes = {(start, end): name for start, end, name, _begun in entities}
    return [classes.get(span, LABELS[0]) for span in spans]


def entities_of(tags):
    return [[i, i + 1, tag, True] for i, tag in enumerate(tags)]


"""
_WINDOWS = """\
def true_entities(row):
    return [(one["start"], one["end"], one["label"], True) for one in row[LABEL]]


def label_pieces(row, spans, units):
    labels, seen = [], set()
    tags = tags_of(spans, true_entities(row))
    for unit in units:
        {label}
        seen.add(unit)
    return labels


def windows(words):
    starts, first = [0], 0
    while starts[-1] + WINDOW < len(words):
        starts.append(min(starts[-1] + WINDOW - WINDOW // 4, len(words) - WINDOW))
    for start, following in zip(starts, [*starts[1:], None]):
        stop = last = min(start + WINDOW, len(words))
        if following is not None:
            last = middle = (following + stop + 1) // 2
            while last > following and words[last] >= 0 and words[last] == words[last - 1]:
                last -= 1
            if words[last] >= 0 and words[last] == words[last - 1]:
                last = middle
        last = max(first, last)
        yield start, stop, first, last
        first = last


def encode(rows):
    encoded = {{name: [] for name in [*special, "labels"]}}
    for values in zip(*rows.values()):
        row = dict(zip(rows, values))
        ids, _places, spans, units, words = align(row)
        labels = label_pieces(row, spans, units)
        for start, stop, first, last in windows(words):
            for name, around in special.items():
                inside = [around[BEFORE]] * (stop - start)
                if name == "input_ids":
                    inside = ids[start:stop]
                behind = around[len(around) - AFTER :]
                encoded[name].append([*around[:BEFORE], *inside, *behind])
            own = [-100] * (BEFORE + first - start) + labels[first:last]
            encoded["labels"].append(own + [-100] * (stop - last + AFTER))
    return encoded


data = raw.map(encode, batched=True, remove_columns=raw["train"].column_names)
collate = DataCollatorForTokenClassification(tokenizer)
"""
_ALL_PIECES = """\
tag = tags[unit].replace("B-", "I-", 1) if unit in seen else tags[unit]
        labels.append(LABELS.index(tag) if unit >= 0 else -100)"""
_FIRST_PIECES = """\
is_first = unit >= 0 and unit not in seen
        labels.append(LABELS.index(tags[unit]) if is_first else -100)"""
_STATISTICS = """\
def statistics(logits, labels):
    logits, is_counted = logits.float(), labels != -100
    losses = cross_entropy(logits.transpose(1, 2), labels, reduction="none").sum(1)
    {within}
    tags = torch.stack([logits.argmax(-1), within], dim=1)
    tags = tags.masked_fill(~is_counted[:, None], -1)
    tags = torch.nn.functional.pad(tags, (0, MAX_LENGTH - tags.shape[2]), value=-1)
    return torch.cat([tags.flatten(1).float(), losses[:, None]], dim=1)


def mark(row, best, within):
    _ids, places, spans, units, _words = align(row)
    labels = label_pieces(row, spans, units)
    counted = np.cumsum([label != -100 for label in labels]) - 1
    tags, heads = [], {{}}
    for piece, unit in enumerate(units):
        heads.setdefault(unit, piece)
    for unit, (start, end) in enumerate(spans):
        if unit in heads:
            tags.append(LABELS[best[counted[heads[unit]]]])
            continue
        shared = [i for i, (s, e) in enumerate(places) if s <= start < e and start < end]
        tags.append(LABELS[within[counted[shared[0]]] if shared else 0])
    marked = []
    for start, stop, name, begun in entities_of(tags):
        inside = [(s, e) for s, e in spans[start:stop] if s < e]
        if inside:
            marked.append((inside[0][0], max(e for _s, e in inside), name, begun))
    return marked, sum(label != -100 for label in labels)


def ratio(part, whole):
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def f1(counts):
    right, marked, true = counts
    return ratio(2 * right, marked + true)
"""
_WITHIN = """\
inside = torch.logaddexp(logits[..., 1::2], logits[..., 2::2])
    within = 2 * torch.cat([logits[..., :1], inside], dim=-1).argmax(-1)"""
_SCORES = """\
tags = values[:, :-1].reshape(len(values), 2, MAX_LENGTH).astype(int)
best, within = (tags[:, i][tags[:, i] >= 0] for i in (0, 1))
types = list(dict.fromkeys({types}))
counts, right_words, num_words, start = np.zeros((5, len(types))), 0, 0, 0
for row in raw[name]:
    truth = true_entities(row)
    marked, size = mark(row, best[start:], within[start:])
    start += size
    places = {{entity[:3] for entity in truth}}
    for entity in truth:  # rows: right, marked, true, strictly right, strictly marked
        counts[2, types.index(entity[2])] += 1
    for entity in marked:
        is_right, begun = entity[:3] in places, entity[3]
        counts[[0, 1, 3, 4], types.index(entity[2])] += [
            is_right,
            True,
            is_right and begun,
            begun,
        ]
    words = [tuple(word) for word in row["words"]]
    pairs = zip(tags_of(words, truth), tags_of(words, marked))
    right_words += sum(one == other for one, other in pairs)
    num_words += len(words)"""


def token_parts(
    task: Task,
    labels: Sequence[str],
    read: Callable[[Row], MarkedText],
    *,
    are_plain: bool,
    has_tokens: bool,
    is_first: bool,
) -> ScriptParts:
    """Pieces with the tags of words, windows, and entities of all rows together.

    Args:
        task: fitted.
        labels: of the outputs of the model.
        read: gives a valid row as a text.
        are_plain: whether words have classes.
        has_tokens: whether rows have words with tags.
        is_first: whether only the first piece of a word is labeled.
    """
    align = _UNITS_ARE_WORDS if is_first else _UNITS_ARE_PIECES
    note = _("Each piece of the text has a tag.")
    if has_tokens:
        align = _UNITS_ARE_TOKENS
        note = _("Each piece belongs to the word of the row in which it begins.")
    elif is_first:
        note = _("Words are those of the tokenizer; the first piece of each has its tag.")
    code = (
        _SPECIAL
        + _ALIGN
        + align
        + (_PLAIN_TAGS if are_plain else _TAGS)
        + _WINDOWS.format(label=_FIRST_PIECES if is_first else _ALL_PIECES)
    )
    within = "within = logits.argmax(-1)" if are_plain else _WITHIN
    types = "LABELS" if are_plain else "label[2:] for label in LABELS[1:]"
    return ScriptParts(
        model_class=task.model_class,
        model_arguments=[
            "id2label=dict(enumerate(LABELS))",
            "label2id={label: i for i, label in enumerate(LABELS)}",
        ],
        constants=[("LABELS", list(labels), "")],
        scores=_SCORES.format(types=types),
        metrics={
            "f1": "f1(counts[:3].sum(axis=1)).item()",
            "precision": "ratio(*counts[:2].sum(axis=1)).item()",
            "recall": "ratio(*counts[[0, 2]].sum(axis=1)).item()",
            "f1_macro": "f1(counts[:3])[counts[1:3].any(axis=0)].mean().item()",
            "f1_strict": "f1(counts[[3, 4, 2]].sum(axis=1)).item()",
            "accuracy": "right_words / max(num_words, 1)",
            "loss": "values[:, -1].astype(float).sum().item() / len(best)",
        },
        loss_sum='cross_entropy(outputs.logits.transpose(1, 2), labels, reduction="sum")',
        num_targets='(batch["labels"] != -100).sum().item()',
        targets=ScriptTargets((), task.targets, lambda row: _entities(read(row))),
        encode=ScriptCode(
            code,
            (
                note,
                _(
                    "A long text is read in windows that overlap by a quarter. Each piece counts "
                    "in one of them, where it is farther from the ends."
                ),
            ),
        ),
        statistics=ScriptCode(
            _STATISTICS.format(within=within),
            (
                _(
                    "Of each piece the best tag is kept, also that of a word that begins inside "
                    "it, and of each window its summed loss."
                ),
                _("An entity is right if its borders and its type are."),
            ),
        ),
        scores_read_rows=True,
        record=lambda row: _record(read(row)),
    )


def _record(text: MarkedText) -> Mapping[str, object]:
    return {"text": text.text, "words": [list(word) for word in text.words]}


def _entities(text: MarkedText) -> Sequence[Mapping[str, object]]:
    return [
        {"start": entity.start, "end": entity.end, "label": entity.label}
        for entity in text.entities
    ]
