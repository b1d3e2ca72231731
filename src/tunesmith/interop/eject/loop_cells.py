"""The styles "loop" and "accelerate": the same loop by hand, alone and under Accelerate."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, block, fitted, stacked
from tunesmith.interop.eject.run_facts import Facts

__all__ = ["SCHEDULES", "loop_cells"]

SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "polynomial": "polynomial",
    "inverse_sqrt": "inverse_sqrt",
}
"""Each schedule by its name in transformers."""


def loop_cells(facts: Facts) -> list[Cell]:
    """Optimizer and batches, evaluation, training, and what is done at the end."""
    return [_preparation(facts), _evaluation(facts), _training(facts), _ending(facts)]


def _is_accelerated(facts: Facts) -> bool:
    return facts.style == "accelerate"


# optimizer and batches


def _preparation(facts: Facts) -> Cell:
    train = facts.train
    parts = [
        _accelerator(facts) if _is_accelerated(facts) else _device(facts),
        _optimizer(facts),
        _batches(facts),
    ]
    words = [
        _("Each epoch has an order of its own, drawn from the seed and the number of the epoch.")
    ]
    if train.weight_decay:
        words.append(_("Weights decay, biases and norms do not."))
    if _is_accelerated(facts):
        words.append(
            _(
                "The batch size is that of a step, however many processes share it. The schedule "
                "is not prepared: Accelerate would step it once for each process."
            )
        )
    return Cell(_("Optimizer and batches"), stacked(*parts), words)


def _device(facts: Facts) -> str:
    if facts.train.device != "auto":
        return block(f'device = torch.device("{facts.train.device}")', "model.to(device)")
    return block(
        'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")',
        "model.to(device)",
    )


def _accelerator(facts: Facts) -> str:
    return block(
        "accelerator = Accelerator(",
        facts.train.device == "cpu" and "    cpu=True,",
        facts.precision == "bf16" and '    mixed_precision="bf16",',
        "    dataloader_config=DataLoaderConfiguration(",
        "        split_batches=True, use_seedable_sampler=True, data_seed=SEED",
        "    ),",
        ")",
    )


def _optimizer(facts: Facts) -> str:
    train = facts.train
    settings = [
        "lr=LEARNING_RATE,",
        f"betas=({train.adam_beta1}, {train.adam_beta2}),",
        f"eps={train.adam_epsilon},",
        not train.weight_decay and "weight_decay=0.0,",
        "fused=True,",
    ]
    parameters: tuple[str, ...] = ("model.parameters(),",)
    groups: tuple[str, ...] = ()
    if train.weight_decay:
        groups = (
            "decayed, spared = [], []",
            "for name, parameter in model.named_parameters():",
            '    is_spared = parameter.ndim < 2 or "bias" in name.lower()',
            "    (spared if is_spared else decayed).append(parameter)",
        )
        parameters = (
            "[",
            '    {"params": decayed, "weight_decay": WEIGHT_DECAY},',
            '    {"params": spared, "weight_decay": 0.0},',
            "],",
        )
    return block(
        groups,
        "optimizer = torch.optim.AdamW(",
        [f"    {line}" for line in (*parameters, *filter(None, settings))],
        ")",
        "scheduler = get_scheduler(",
        f'    "{SCHEDULES[train.schedule]}",',
        "    optimizer,",
        "    num_warmup_steps=WARMUP_STEPS,",
        "    num_training_steps=TOTAL_STEPS,",
        ")",
    )


def _batches(facts: Facts) -> str:
    collate, cut = "collate", None
    if facts.micro_batch_size:
        collate = "collate_micro_batches"
        cut = block(
            "def collate_micro_batches(rows):",
            "    starts = range(0, len(rows), MICRO_BATCH_SIZE)",
            "    return [collate(rows[i : i + MICRO_BATCH_SIZE]) for i in starts]",
        )
    if not _is_accelerated(facts):
        train = block(
            "def batches():",
            "    for epoch in itertools.count():",
            "        generator = torch.Generator().manual_seed(SEED + epoch)",
            '        order = RandomSampler(data["train"], generator=generator)',
            "        yield from DataLoader(",
            '            data["train"], batch_size=BATCH_SIZE, '
            f"sampler=order, collate_fn={collate}",
            "        )",
        )
        loaders = _evaluation_loaders(facts)
        return stacked(cut, train, loaders)
    prepared = block(
        fitted(
            "train_loader = DataLoader(",
            f'data["train"], batch_size=BATCH_SIZE, shuffle=True, collate_fn={collate}',
            ")",
        ),
        _evaluation_loaders(facts),
        "model, optimizer, train_loader = accelerator.prepare(model, optimizer, train_loader)",
        facts.scored
        and "eval_loaders = {name: accelerator.prepare(it) for name, it in eval_loaders.items()}",
    )
    train = block(
        "def batches():",
        "    for epoch in itertools.count():",
        "        train_loader.set_epoch(epoch)",
        "        yield from train_loader",
    )
    return stacked(cut, prepared, train)


def _evaluation_loaders(facts: Facts) -> str:
    if not facts.scored:
        return ""
    return block(
        "eval_loaders = {",
        "    name: DataLoader(rows, batch_size=EVAL_BATCH_SIZE, collate_fn=collate)",
        "    for name, rows in data.items()",
        '    if name != "train"',
        "}",
    )


# evaluation


def _evaluation(facts: Facts) -> Cell:
    if not facts.scored:
        return Cell(_("Evaluation"), "", [_("There are no rows to score.")])
    moved = "batch" if _is_accelerated(facts) else "batch.to(device)"
    hidden = facts.hides_words
    forward = block(
        "with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):"
        if facts.precision == "bf16" and not _is_accelerated(facts)
        else "with torch.no_grad():",
        "    logits = model(**batch).logits.float()",
    )
    gathered = "accelerator.gather_for_metrics({})" if _is_accelerated(facts) else "{}"
    taken = (
        ("found_parts.append(" + gathered.format("found(logits, labels)") + ".cpu())",)
        if hidden
        else (
            _is_accelerated(facts)
            and "logits, labels = accelerator.gather_for_metrics((logits, labels))",
            "logits_parts.append(logits.cpu())",
            "labels_parts.append(labels.cpu())",
        )
    )
    code = block(
        "def evaluate(name):",
        "    model.eval()",
        "    found_parts = []" if hidden else "    logits_parts, labels_parts = [], []",
        "    for batch in eval_loaders[name]:",
        f"        batch = hide({moved}, seed=0)" if hidden else None,
        not hidden and not _is_accelerated(facts) and f"        batch = {moved}",
        '        labels = batch.pop("labels")',
        block(forward, indent=2),
        [block(line, indent=2) for line in taken if line],
        "    return compute_scores(torch.cat(found_parts).numpy(), None)"
        if hidden
        else "    return compute_scores("
        "torch.cat(logits_parts).numpy(), torch.cat(labels_parts).numpy())",
    )
    words = []
    if hidden:
        words.append(_("The same words are hidden every time, so that scores can be compared."))
    if _is_accelerated(facts):
        words.append(
            _("Each process scores a part; what was doubled to fill a batch is dropped again.")
        )
    return Cell(_("Evaluation"), code, words)


# training


def _training(facts: Facts) -> Cell:
    chooser = facts.chooser
    start = [
        "losses = []",
        chooser and f"best_score, best_weights = {'-' if chooser.higher else ''}math.inf, None",
        chooser and chooser.patience and "evaluations_since_best = 0",
    ]
    code = block(
        [line for line in start if line],
        f"for step, {'micro_batches' if facts.micro_batch_size else 'batch'} in "
        "zip(range(1, TOTAL_STEPS + 1), batches()):",
        block(
            "model.train()",
            _accumulated(facts) if facts.micro_batch_size else _one_batch(facts),
            _clipping(facts),
            "optimizer.step()",
            "scheduler.step()",
            "optimizer.zero_grad()",
            "if step % LOG_EVERY == 0:",
            f'    {_print(facts)}(f"step {{step}}/{{TOTAL_STEPS}}  loss {{losses[-1]:.4f}}")',
            _evaluated(facts) if facts.evaluates else None,
            indent=1,
        ),
    )
    words = []
    if facts.micro_batch_size:
        words.append(
            _(
                "The gradients of micro-batches add up to that of the step: each loss is a mean, "
                "so it is weighed by the share of its targets."
            )
        )
    if chooser:
        words.append(
            _("The weights with the {way} {score} on validation are kept.").format(
                way=_("highest") if chooser.higher else _("lowest"), score=chooser.score
            )
        )
    return Cell(_("Training"), code, words)


def _print(facts: Facts) -> str:
    return "accelerator.print" if _is_accelerated(facts) else "print"


def _forward(facts: Facts, factor: str = "") -> str:
    """The loss of a batch, in the precision of the run."""
    moved = "batch" if _is_accelerated(facts) else "batch.to(device)"
    line = f"loss = model(**{moved}).loss{factor}"
    if facts.precision == "bf16" and not _is_accelerated(facts):
        return block("with torch.autocast(device.type, torch.bfloat16):", f"    {line}")
    return line


def _backward(facts: Facts) -> str:
    return "accelerator.backward(loss)" if _is_accelerated(facts) else "loss.backward()"


def _one_batch(facts: Facts) -> str:
    number = "accelerator.process_index" if _is_accelerated(facts) else "0"
    return block(
        facts.hides_words and "batch = hide(batch, seed_of(SEED, step - 1))",
        facts.draws_dropout and f"torch.manual_seed(seed_of(SEED, step - 1, {number}))",
        _forward(facts),
        _backward(facts),
        'losses.append(accelerator.reduce(loss.detach(), reduction="mean").item())'
        if _is_accelerated(facts)
        else "losses.append(loss.item())",
    )


def _accumulated(facts: Facts) -> str:
    count = (
        '(batch["labels"] != -100).sum().item()' if facts.hides_words else 'len(batch["labels"])'
    )
    backward = _backward(facts)
    if _is_accelerated(facts):
        backward = block(
            "is_last = i == len(micro_batches) - 1",
            "with contextlib.nullcontext() if is_last else accelerator.no_sync(model):",
            f"    {backward}",
        )
    return block(
        facts.hides_words
        and "micro_batches = [hide(batch, seed_of(SEED, step - 1)) for batch in micro_batches]",
        f"targets = [{count} for batch in micro_batches]",
        "losses.append(0.0)",
        "for i, batch in enumerate(micro_batches):",
        block(
            facts.draws_dropout and "torch.manual_seed(seed_of(SEED, step - 1, i))",
            _forward(facts, " * targets[i] / sum(targets)"),
            backward,
            "losses[-1] += loss.item()",
            indent=1,
        ),
    )


def _clipping(facts: Facts) -> str | None:
    if not facts.train.max_grad_norm:
        return None
    if _is_accelerated(facts):
        return "accelerator.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)"
    return "torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)"


def _evaluated(facts: Facts) -> str:
    chooser = facts.chooser
    body = [
        'scores = evaluate("validation")',
        f"{_print(facts)}(step, scores)",
    ]
    if chooser:
        sign = ">" if chooser.higher else "<"
        weights = (
            "accelerator.get_state_dict(model)" if _is_accelerated(facts) else "model.state_dict()"
        )
        body += [
            f'if scores["{chooser.score}"] {sign} best_score:',
            f'    best_score = scores["{chooser.score}"]',
            f"    best_weights = copy.deepcopy({weights})",
        ]
        if chooser.patience:
            body += [
                "    evaluations_since_best = 0",
                "else:",
                "    evaluations_since_best += 1",
                "    if evaluations_since_best == PATIENCE:",
                "        break",
            ]
    return block(f"if {facts.evaluation_due}:", [f"    {line}" for line in body])


# the end


def _ending(facts: Facts) -> Cell:
    plain = "accelerator.unwrap_model(model)" if _is_accelerated(facts) else "model"
    save = [f"{plain}.save_pretrained(OUTPUT)", "tokenizer.save_pretrained(OUTPUT)"]
    if _is_accelerated(facts):
        save = ["if accelerator.is_main_process:", *(f"    {line}" for line in save)]
    scored = []
    for name, variable in (("validation", "scores"), ("test", "test_scores")):
        if name in facts.scored:
            scored += [
                f'{variable} = evaluate("{name}")',
                f'{_print(facts)}("{name}", {variable})',
            ]
    code = block(
        facts.chooser is not None
        and ("if best_weights is not None:", f"    {plain}.load_state_dict(best_weights)"),
        scored,
        save,
    )
    return Cell(_("The finished model"), code)
