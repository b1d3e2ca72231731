"""The style "trainer": transformers' Trainer, told to draw and to choose as the run did."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, block, stacked
from tunesmith.interop.eject.loop_cells import SCHEDULES
from tunesmith.interop.eject.run_facts import Facts

__all__ = ["trainer_cells"]

_LOSSES = {
    "text-classification": 'cross_entropy(outputs.logits, labels, reduction="sum")',
    "multi-label-classification": (
        'binary_cross_entropy_with_logits(outputs.logits, labels, reduction="sum")'
    ),
    "text-regression": 'mse_loss(outputs.logits.squeeze(-1), labels, reduction="sum")',
}


def trainer_cells(facts: Facts) -> list[Cell]:
    """What Trainer is told, training, and what is done at the end."""
    cells = [_callbacks(facts), _batches(facts), _loss(facts), _arguments(facts), _training(facts)]
    return [cell for cell in cells if cell is not None]


def _needs_own_due(facts: Facts) -> bool:
    """Whether evaluations fall on steps that no setting of Trainer names."""
    every = facts.evaluation_interval
    return _strategy(facts) == "steps" and (
        every != int(every) or facts.plan.total_steps % every > 0
    )


def _strategy(facts: Facts) -> str:
    if not facts.evaluates:
        return "no"
    by_epoch = facts.evaluation_interval == facts.plan.steps_per_epoch and not facts.hides_words
    return "epoch" if by_epoch else "steps"


def _callbacks(facts: Facts) -> Cell | None:
    parts, words = [], []
    if facts.draws_dropout:
        words.append(_("Torch is seeded before each forward pass, so that dropout is the same."))
        if facts.micro_batch_size:
            parts.append(
                block(
                    "class SeedDropout(TrainerCallback):",
                    "    def on_step_begin(self, args, state, control, **kwargs):",
                    "        self.micro_batch = 0",
                    "        torch.manual_seed(seed_of(SEED, state.global_step, 0))",
                    "",
                    "    def on_substep_end(self, args, state, control, **kwargs):",
                    "        self.micro_batch += 1",
                    "        torch.manual_seed(seed_of(SEED, state.global_step, self.micro_batch))",
                )
            )
        else:
            parts.append(
                block(
                    "class SeedDropout(TrainerCallback):",
                    "    def on_step_begin(self, args, state, control, **kwargs):",
                    "        torch.manual_seed(seed_of(SEED, state.global_step, 0))",
                )
            )
    if _needs_own_due(facts):
        both = "control.should_evaluate = control.should_save = due"
        parts.append(
            block(
                "class EvaluateWhenDue(TrainerCallback):",
                "    def on_step_end(self, args, state, control, **kwargs):",
                "        step = state.global_step",
                f"        due = {facts.evaluation_due}",
                f"        {both if facts.chooser else 'control.should_evaluate = due'}",
            )
        )
        words.append(
            _("Evaluations fall on steps that no setting of Trainer names, and on the last.")
        )
    return Cell(_("Callbacks"), stacked(*parts), words) if parts else None


def _batches(facts: Facts) -> Cell | None:
    """Data sets of whole batches, for hidden words: what is hidden depends on the step."""
    if not facts.hides_words:
        return None
    train = block(
        "class TrainingBatches(torch.utils.data.Dataset):",
        "    def __len__(self):",
        "        return TOTAL_STEPS",
        "",
        "    def __getitem__(self, step):",
        '        rows, size = data["train"], len(data["train"])',
        "        epoch, place = divmod(step, math.ceil(size / BATCH_SIZE))",
        "        generator = torch.Generator().manual_seed(SEED + epoch)",
        "        order = torch.randperm(size, generator=generator).tolist()",
        "        chosen = order[place * BATCH_SIZE : (place + 1) * BATCH_SIZE]",
        "        return hide(collate([rows[i] for i in chosen]), seed_of(SEED, step))",
    )
    evaluation = block(
        "def evaluation_batches(rows):",
        "    loader = DataLoader(rows, batch_size=EVAL_BATCH_SIZE, collate_fn=collate)",
        "    return [hide(batch, seed=0) for batch in loader]",
    )
    words = [
        _(
            "Which words are hidden depends on the step, which a collator of Trainer does not "
            "know. So each item of these data sets is a whole batch, and its number is the step."
        )
    ]
    parts = [train, *([evaluation] if facts.scored else [])]
    return Cell(_("Batches"), stacked(*parts), words)


def _loss(facts: Facts) -> Cell | None:
    """With micro-batches Trainer has to be told how to divide."""
    if not facts.micro_batch_size:
        return None
    code = block(
        "def compute_loss(outputs, labels, num_items_in_batch=None):",
        f"    total = {_LOSSES[facts.task.name]}",
        "    count = labels.numel() if num_items_in_batch is None else num_items_in_batch",
        "    return total / count",
    )
    words = [
        _(
            "The loss is divided by the targets of the whole step, over all its micro-batches; the "
            "mean of their means would be another number where they differ in size."
        )
    ]
    return Cell(_("Loss"), code, words)


def _arguments(facts: Facts) -> Cell:
    train, hides, micro = facts.train, facts.hides_words, facts.micro_batch_size
    size = "1" if hides else "MICRO_BATCH_SIZE" if micro else "BATCH_SIZE"
    lines = [
        "output_dir=OUTPUT,",
        "seed=SEED,",
        "data_seed=SEED,",
        "max_steps=TOTAL_STEPS,",
        f"per_device_train_batch_size={size},",
        micro and "gradient_accumulation_steps=BATCH_SIZE // MICRO_BATCH_SIZE,",
        f"per_device_eval_batch_size={1 if hides else 'EVAL_BATCH_SIZE'},",
        "learning_rate=LEARNING_RATE,",
        f'lr_scheduler_type="{SCHEDULES[train.schedule]}",',
        "warmup_steps=WARMUP_STEPS,",
        f"weight_decay={'WEIGHT_DECAY' if train.weight_decay else '0.0'},",
        f"adam_beta1={train.adam_beta1},",
        f"adam_beta2={train.adam_beta2},",
        f"adam_epsilon={train.adam_epsilon},",
        f"max_grad_norm={'MAX_GRAD_NORM' if train.max_grad_norm else '0.0'},",
        'optim="adamw_torch_fused",',
        facts.precision == "bf16" and "bf16=True,",
        train.device == "cpu" and "use_cpu=True,",
        hides and 'train_sampling_strategy="sequential",',
        hides and "remove_unused_columns=False,",
        not hides and 'accelerator_config={"use_seedable_sampler": True},',
        *_evaluation_arguments(facts),
        "logging_steps=LOG_EVERY,",
        'report_to="none",',
    ]
    code = block("arguments = TrainingArguments(", [f"    {line}" for line in lines if line], ")")
    words = [
        _("Each epoch has an order of its own, drawn from the seed and the number of the epoch.")
    ]
    return Cell(_("Arguments"), code, words)


def _evaluation_arguments(facts: Facts) -> list[str]:
    strategy = _strategy(facts)
    lines = [f'eval_strategy="{strategy}",']
    every = "max(1, int(EVALUATE_EVERY))" if _needs_own_due(facts) else "EVALUATE_EVERY"
    if strategy == "steps":
        lines.append(f"eval_steps={every},")
    chooser = facts.chooser
    if chooser is None:
        return [*lines, 'save_strategy="no",']
    lines.append(f'save_strategy="{strategy}",')
    if strategy == "steps":
        lines.append(f"save_steps={every},")
    return [
        *lines,
        "save_total_limit=1,",
        "load_best_model_at_end=True,",
        f'metric_for_best_model="{chooser.score}",',
        f"greater_is_better={chooser.higher},",
    ]


def _training(facts: Facts) -> Cell:
    hides = facts.hides_words
    callbacks = [
        facts.draws_dropout and "SeedDropout()",
        _needs_own_due(facts) and "EvaluateWhenDue()",
        facts.chooser
        and facts.chooser.patience
        and "EarlyStoppingCallback(early_stopping_patience=PATIENCE)",
    ]

    def rows(name: str) -> str:
        return f'evaluation_batches(data["{name}"])' if hides else f'data["{name}"]'

    arguments = [
        "model=model,",
        "args=arguments,",
        "train_dataset=TrainingBatches()," if hides else 'train_dataset=data["train"],',
        "validation" in facts.scored and f"eval_dataset={rows('validation')},",
        f"data_collator={'lambda batches: batches[0]' if hides else 'collate'},",
        "processing_class=tokenizer,",
        facts.micro_batch_size and "compute_loss_func=compute_loss,",
        facts.scored and "compute_metrics=lambda pair: compute_scores(*pair),",
        hides and facts.scored and "preprocess_logits_for_metrics=found,",
    ]
    ending = []
    for name, variable in (("validation", "scores"), ("test", "test_scores")):
        if name in facts.scored:
            given = f'{rows(name)}, metric_key_prefix="{name}"'
            ending += [
                f"{variable} = trainer.evaluate({given})",
                f'print("{name}", {variable})',
            ]
    code = block(
        "trainer = Trainer(",
        [f"    {argument}" for argument in arguments if argument],
        ")",
        [f"trainer.add_callback({callback})" for callback in callbacks if callback],
        "trainer.train()",
        'losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]',
        ending,
        "trainer.save_model(OUTPUT)",
    )
    return Cell(_("Training"), code)
