"""Scripts that customize a Trainer: each trains as with transformers' class, by whichever loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from torch.utils.data import DataLoader, WeightedRandomSampler
from transformers import TrainerCallback
from transformers.models.bert.modeling_bert import BertSelfOutput

import tunesmith
from tests.interop.trainer.scripts import Script, Stream, arguments, compare, model_of, rows_of
from tunesmith.interop.trainer.customization import (
    EVALUATES,
    KEPT,
    adapt_older_signatures,
    is_hooked,
    is_plain_adamw,
    overridden,
    why_theirs,
    why_theirs_evaluates,
)

Logged = Callable[[], list[str]]


def script_of(
    *, model: Callable[[], Any] = model_of, methods: dict[str, Any] | None = None,
    trainer: Callable[[], dict[str, Any]] = dict, train: Any = None, evaluation: Any = None,
    **more: Any,
) -> Script:  # fmt: skip
    """A script whose Trainer has some methods of its own, arguments and rows."""

    def script(library: Any, folder: Path) -> Any:
        kind = type("Own", (library.Trainer,), dict(methods or {}))
        return kind(
            model(), arguments(library, folder, **more),
            train_dataset=rows_of() if train is None else train,
            eval_dataset=rows_of(9) if evaluation is None else evaluation, **trainer(),
        )  # fmt: skip

    return script


# methods of scripts, as they are found on the web


def adversarial_step(self: Any, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
    """FGM: a second pass with the word embeddings moved along their gradient."""
    model.train()
    inputs = self._prepare_inputs(inputs)
    with self.compute_loss_context_manager():
        loss = self.compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
    self.accelerator.backward(loss)
    weight = model.bert.embeddings.word_embeddings.weight
    before = weight.data.clone()
    weight.data.add_(0.1 * weight.grad / (weight.grad.norm() + 1e-8))
    self.accelerator.backward(self.compute_loss(model, inputs))
    weight.data = before
    return loss.detach()


def weighted_loss(
    _self: Any, model: Any, inputs: Any, return_outputs: bool = False, **_more: Any
) -> Any:
    labels = inputs.pop("labels")
    outputs = model(**inputs)
    weight = torch.tensor([1.0, 3.0])
    loss = nn.functional.cross_entropy(outputs.logits, labels, weight=weight)
    return (loss, outputs) if return_outputs else loss


def balanced_loader(self: Any) -> Any:
    weights = [1.0 + i % 3 for i in range(len(self.train_dataset))]
    return DataLoader(
        self.train_dataset, batch_size=self.args.train_batch_size, collate_fn=self.data_collator,
        sampler=WeightedRandomSampler(weights, len(weights)),
    )  # fmt: skip


def balanced_sampler(self: Any, *_given: Any) -> Any:
    count = len(self.train_dataset)
    return WeightedRandomSampler([1.0] * count, count)


def own_prediction(
    self: Any, model: Any, inputs: Any, _prediction_loss_only: Any, ignore_keys: Any = None
) -> Any:
    inputs = self._prepare_inputs(inputs)
    with torch.no_grad():
        outputs = model(**inputs)
    return outputs.loss * 2, outputs.logits + 1, inputs["labels"]


def own_evaluate(
    self: Any, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
) -> Any:
    """As the example script for question answering has it: predictions first, then metrics."""
    loader = self.get_eval_dataloader(eval_dataset)
    compute, self.compute_metrics = self.compute_metrics, None
    try:
        output = self.evaluation_loop(
            loader, description="Evaluation", prediction_loss_only=False,
            ignore_keys=ignore_keys, metric_key_prefix=metric_key_prefix,
        )  # fmt: skip
    finally:
        self.compute_metrics = compute
    metrics = {"eval_sum": float(output.predictions.sum()), **output.metrics}
    self.log(metrics)
    self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
    return metrics


def layerwise_rates(self: Any, *_given: Any) -> Any:
    model = self.model
    self.optimizer = torch.optim.AdamW([
        {"params": model.bert.parameters(), "lr": 1e-3},
        {"params": model.classifier.parameters(), "lr": 1e-2},
    ])  # fmt: skip
    return self.optimizer


def mean_of_predictions(answers: Any) -> dict[str, float]:
    return {"mean": float(answers.predictions.mean())}


class HalvesGradients(TrainerCallback):
    def on_pre_optimizer_step(self, *_given: Any, model: Any, **_more: Any) -> None:
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(0.5)


class CountsSubsteps(TrainerCallback):
    def __init__(self) -> None:
        self.count = 0

    def on_substep_end(self, *_given: Any, **_more: Any) -> None:
        self.count += 1


def of_several_labels() -> list[dict[str, Any]]:
    return [row | {"labels": [float(row["labels"]), 1.0]} for row in rows_of()]


HALVES = {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 4}
EVALUATED = {"eval_strategy": "steps", "eval_steps": 2}

LEFT_TO_TRANSFORMERS: dict[str, tuple[Script, str]] = {
    "FGM": (
        script_of(methods={"training_step": adversarial_step}, model=lambda: model_of(dropout=0.1)),
        "Own overrides training_step",
    ),
    "own loss": (
        script_of(methods={"compute_loss": weighted_loss}, **HALVES, **EVALUATED),
        "Own overrides compute_loss",
    ),
    "own loader": (
        script_of(methods={"get_train_dataloader": balanced_loader}),
        "Own overrides get_train_dataloader",
    ),
    "own sampler": (
        script_of(methods={"_get_train_sampler": balanced_sampler}, **HALVES),
        "Own overrides _get_train_sampler",
    ),
    "own rates": (
        script_of(methods={"create_optimizer": layerwise_rates}),
        "Own overrides create_optimizer",
    ),
    "loss function": (
        script_of(
            trainer=lambda: {"compute_loss_func": lambda outputs, labels, num_items_in_batch: (
                nn.functional.cross_entropy(outputs.logits, labels, reduction="sum")
                / num_items_in_batch
            )},
            **HALVES,
        ),
        "the loss is computed by compute_loss_func",
    ),
    "class of optimizer": (
        script_of(trainer=lambda: {"optimizer_cls_and_kwargs": (torch.optim.SGD, {"lr": 0.1})}),
        "the optimizer is your own",
    ),
    "name of optimizer": (script_of(optim="adafactor"), "the optimizer is another than AdamW"),
    "gradients": (
        script_of(trainer=lambda: {"callbacks": [HalvesGradients()]}, **HALVES),
        "a callback listens to events inside a step",
    ),
    "substeps": (
        script_of(trainer=lambda: {"callbacks": [CountsSubsteps()]}, **HALVES),
        "a callback listens to events inside a step",
    ),
    "stream": (
        script_of(train=Stream(), evaluation=Stream(9), max_steps=8, **HALVES),
        "the rows are a stream",
    ),
    "plateau": (
        script_of(
            lr_scheduler_type="reduce_lr_on_plateau", lr_scheduler_kwargs={"patience": 0},
            metric_for_best_model="loss", **EVALUATED,
        ),
        "only that supports lr_scheduler_type",
    ),
    "greedy": (
        script_of(
            lr_scheduler_type="greedy", lr_scheduler_kwargs={"patience": 0, "min_lr": 1e-5},
            metric_for_best_model="loss", **EVALUATED,
        ),
        "only that supports lr_scheduler_type",
    ),
    "noise": (script_of(neftune_noise_alpha=5.0), "only that supports neftune_noise_alpha"),
    "short batch": (
        script_of(dataloader_drop_last=True, num_train_epochs=2, max_steps=-1),
        "only that supports dataloader_drop_last",
    ),
    "lengths": (
        script_of(train_sampling_strategy="group_by_length"),
        "only that supports train_sampling_strategy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT_TO_TRANSFORMERS)
def test_what_makes_other_steps_is_as_with_transformers(
    name: str, tmp_path: Path, logged: Logged
) -> None:
    """To the bit, dropout included, and said once."""
    script, reason = LEFT_TO_TRANSFORMERS[name]
    compare(script, tmp_path, exact=True)
    assert [line for line in logged() if "own loop trains" in line] == [
        f"transformers' own loop trains: {reason}"
    ]


class WritesRates(TrainerCallback):
    def on_step_begin(
        self, _args: Any, state: Any, _control: Any, optimizer: Any, **_more: Any
    ) -> None:
        if state.global_step == 1:
            for group in optimizer.param_groups:
                group["lr"], group["betas"] = 0.05, (0.5, 0.9)
                group["weight_decay"] *= 3


class MovesTheSchedule(TrainerCallback):
    def on_step_end(
        self, _args: Any, state: Any, _control: Any, lr_scheduler: Any, **_more: Any
    ) -> None:
        if state.global_step == 1:
            lr_scheduler.step()
        if state.global_step == 2:
            lr_scheduler.base_lrs = [rate / 2 for rate in lr_scheduler.base_lrs]


class CutsEpochs(TrainerCallback):
    def on_step_end(self, _args: Any, state: Any, control: Any, **_more: Any) -> None:
        control.should_epoch_stop = state.global_step in {2, 5}


def frozen_rows() -> Any:
    """Some word embeddings stay as they are, by a hook on their gradient."""
    model = model_of()
    weight = model.get_input_embeddings().weight
    trains = torch.ones_like(weight)
    trains[:20] = 0
    weight.register_hook(lambda gradient: gradient * trains)
    return model


def frozen_afterwards() -> Any:
    model = model_of()

    def freeze(weight: Any) -> None:
        weight.grad[:20] = 0

    model.get_input_embeddings().weight.register_post_accumulate_grad_hook(freeze)
    return model


def dampened() -> Any:
    model = model_of()
    model.bert.encoder.layer[0].register_forward_hook(lambda _module, _inputs, output: output * 0.9)
    return model


class FreezesAtFirst(TrainerCallback):
    def on_train_begin(self, *_given: Any, model: Any, **_more: Any) -> None:
        model.bert.embeddings.requires_grad_(requires_grad=False)


class FreezesForAWhile(TrainerCallback):
    """The word embeddings rest in steps 2 and 3, with the moments that they have by then."""

    def on_step_end(self, _args: Any, state: Any, _control: Any, model: Any, **_more: Any) -> None:
        weight = model.get_input_embeddings().weight
        weight.requires_grad_(requires_grad=state.global_step not in {1, 2})


class HooksAtFirst(TrainerCallback):
    def on_train_begin(self, *_given: Any, model: Any, **_more: Any) -> None:
        model.classifier.weight.register_hook(lambda gradient: gradient * 2)


class HooksLate(TrainerCallback):
    def on_step_end(self, *_given: Any, model: Any, **_more: Any) -> None:
        model.classifier.weight.register_hook(lambda gradient: gradient * 2)


def causal_model() -> Any:
    """GPT-2, whose loss is divided by the number of targets passed to it."""
    transformers.set_seed(1)
    config = transformers.GPT2Config(
        vocab_size=40, n_embd=16, n_layer=1, n_head=2, n_positions=16, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def causal_rows(count: int) -> list[dict[str, Any]]:
    rows = rows_of(count)
    return [row | {"labels": [i or -100 for i in row["input_ids"]]} for row in rows]


HOOKS = "the exact engine is used: the model or a weight has hooks"
TRAINED_BY_OURS: dict[str, tuple[Script, list[str]]] = {
    "plain": (script_of(num_train_epochs=2, max_steps=-1, weight_decay=0.1), []),
    "rates written by a callback": (
        script_of(trainer=lambda: {"callbacks": [WritesRates()]}, weight_decay=0.1), [],
    ),
    "schedule moved by a callback": (
        script_of(trainer=lambda: {"callbacks": [MovesTheSchedule()]}, max_steps=5), [],
    ),
    "epochs cut short": (
        script_of(
            trainer=lambda: {"callbacks": [CutsEpochs()]}, num_train_epochs=3, max_steps=-1,
        ), [],
    ),
    "frozen when training begins": (
        script_of(trainer=lambda: {"callbacks": [FreezesAtFirst()]}, weight_decay=0.1), [],
    ),
    "frozen for a while": (
        script_of(
            trainer=lambda: {"callbacks": [FreezesForAWhile()]}, weight_decay=0.1, max_steps=6,
        ), [],
    ),
    "causal language model": (
        script_of(
            model=causal_model, train=causal_rows(26), evaluation=causal_rows(9), **HALVES,
            **EVALUATED,
        ), ["the exact engine is used: the loss is the model's own"],
    ),
    "hook when training begins": (
        script_of(trainer=lambda: {"callbacks": [HooksAtFirst()]}), [HOOKS],
    ),
    "own prediction": (
        script_of(
            methods={"prediction_step": own_prediction}, **EVALUATED,
            trainer=lambda: {"compute_metrics": mean_of_predictions},
        ), [],
    ),
    "own evaluation": (
        script_of(
            methods={"evaluate": own_evaluate}, **EVALUATED,
            trainer=lambda: {"compute_metrics": lambda _answers: {}},
        ), [],
    ),
    "stream of evaluation": (
        script_of(
            evaluation=Stream(9), **EVALUATED,
            trainer=lambda: {"compute_metrics": mean_of_predictions},
        ), [],
    ),
    "several evaluations": (
        script_of(evaluation={"a": rows_of(9), "b": rows_of(5)}, **EVALUATED), [],
    ),
    "batches apart": (
        script_of(
            eval_do_concat_batches=False, **EVALUATED,
            trainer=lambda: {"compute_metrics": lambda answers: {"n": len(answers.predictions)}},
        ), [],
    ),
    "tokens": (script_of(include_num_input_tokens_seen="all"), []),
    "hook on a gradient": (script_of(model=frozen_rows), [HOOKS]),
    "hook after a gradient": (script_of(model=frozen_afterwards), [HOOKS]),
    "hook on a module": (script_of(model=dampened), [HOOKS]),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINED_BY_OURS)
def test_what_leaves_steps_alone_is_trained_by_our_loop(
    name: str, tmp_path: Path, logged: Logged
) -> None:
    script, expected = TRAINED_BY_OURS[name]
    compare(script, tmp_path)
    assert [line for line in logged() if "own loop" in line or "engine" in line] == expected


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("engine", ["fast", "exact"])
@pytest.mark.parametrize("again", [False, True])
def test_activations_are_recomputed_if_requested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, again: bool, logged: Logged
) -> None:
    """Each layer a second time in the backward pass of each step."""
    calls: list[None] = []
    forward = BertSelfOutput.forward

    def counted(module: Any, *args: Any, **named: Any) -> Any:
        if module.training:
            calls.append(None)
        return forward(module, *args, **named)

    monkeypatch.setattr(BertSelfOutput, "forward", counted)
    script_of(
        gradient_checkpointing=again, max_steps=3, trainer=lambda: {"engine": engine}
    )(tunesmith, tmp_path).train()  # fmt: skip
    assert len(calls) == 3 * 2 * (2 if again else 1)  # steps and layers
    assert [line for line in logged() if "hooks" in line] == []


@pytest.mark.parametrize("limit", [0.0, -1.0, 1e-3])
def test_gradients_are_clipped_by_a_limit_above_zero(tmp_path: Path, limit: float) -> None:
    compare(script_of(max_grad_norm=limit, max_steps=2), tmp_path)


def test_a_hook_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    """The fast engine would pass it by; the exact one, which may be asked for, does not."""
    late = script_of(trainer=lambda: {"callbacks": [HooksLate()]})
    trainer = late(tunesmith, tmp_path)
    with pytest.raises(ValueError, match=r"R199 Trainer: a hook .*\n  Put it there before train"):
        trainer.train()
    assert trainer.model.config._attn_implementation == "sdpa"  # plain again

    def exact(library: Any, folder: Path) -> Any:
        engine = {"engine": "exact"} if library is tunesmith else {}
        return script_of(trainer=lambda: {"callbacks": [HooksLate()], **engine})(library, folder)

    compare(exact, tmp_path)


def test_padding_is_not_counted_without_a_mask(tmp_path: Path) -> None:
    """By the token that fills rows up."""
    words = SimpleNamespace(pad_token_id=0)

    def script(library: Any, folder: Path) -> Any:
        return library.Trainer(
            model_of(), arguments(library, folder, include_num_input_tokens_seen="non_padding"),
            train_dataset=rows_of(mask=False), processing_class=words,
            data_collator=transformers.default_data_collator,
        )  # fmt: skip

    ours, _theirs = compare(script, tmp_path)
    rows = rows_of(mask=False)
    most = 4 * 8 * len(rows[0]["input_ids"])
    assert 0 < ours.state.num_input_tokens_seen < most


def test_labels_that_are_several_are_not_smoothed(tmp_path: Path) -> None:
    """transformers says so by a warning of Python's, and so do we."""
    script = script_of(
        model=lambda: model_of(problem_type="multi_label_classification"),
        train=of_several_labels(), label_smoothing_factor=0.1,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="not compatible with multi-label"):
        ours, _theirs = compare(script, tmp_path)
    assert ours.label_smoother is None


def test_a_method_that_is_put_on_an_instance_counts(tmp_path: Path) -> None:
    trainer = script_of()(tunesmith, tmp_path)
    trainer.training_step = lambda _model, _inputs, _targets=None: torch.tensor(7.0)
    assert trainer.train().training_loss == 7.0


def test_methods_of_an_older_signature(tmp_path: Path, logged: Logged) -> None:
    """Written for transformers 4, when less was passed to them."""
    seen: list[str] = []

    class Older(tunesmith.Trainer):
        def training_step(self, model: Any, inputs: Any) -> Any:
            seen.append("training_step")
            return super().training_step(model, inputs)

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False) -> Any:
            seen.append("compute_loss")
            return super().compute_loss(model, inputs, return_outputs)

        def log(self, logs: Any) -> None:
            seen.append("log")
            super().log(logs)

        def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
            seen.append(f"create for {num_training_steps}")
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
            self.lr_scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1)

    trainer = Older(
        model_of(), arguments(tunesmith, tmp_path, max_steps=2), train_dataset=rows_of(),
        eval_dataset=rows_of(9),
    )  # fmt: skip
    trainer.train()
    step = ["training_step", "compute_loss", "log"]
    assert seen == ["create for 2", *step, *step, "log"]
    rates = [log["learning_rate"] for log in trainer.state.log_history[:2]]
    assert rates == pytest.approx([0.1, 0.01])
    assert logged() == [
        "methods of an older signature are called without what transformers added: compute_loss "
        "(num_items_in_batch); log (start_time); training_step (num_items_in_batch)",
        "transformers' own loop trains: Older overrides compute_loss, "
        "create_optimizer_and_scheduler, training_step",
    ]
    assert trainer.evaluate()["eval_loss"] > 0


def test_methods_of_todays_signature_stay_as_they_are(tmp_path: Path, logged: Logged) -> None:
    methods = {"training_step": adversarial_step, "compute_loss": weighted_loss}
    trainer = script_of(methods=methods)(tunesmith, tmp_path)
    adapt_older_signatures(trainer)
    assert "training_step" not in vars(trainer) and logged() == []


def test_the_names_in_these_lists_are_methods_of_transformers() -> None:
    """All but those of later versions than the oldest that is supported."""
    names = set(dir(transformers.Trainer))
    assert names >= KEPT - {"end"} and names >= EVALUATES


def test_every_public_method_of_transformers_can_be_overridden_or_is_kept() -> None:
    """Whatever our loop does not call is called by transformers' own loop, which then trains."""
    public = [
        name for name, value in vars(transformers.Trainer).items()
        if not name.startswith("_") and callable(value)
    ]  # fmt: skip
    assert len(public) > 30
    for name in public:
        kind = type("Own", (tunesmith.Trainer,), {name: lambda *_given, **_more: None})
        assert overridden(object.__new__(kind)) == [name]
    assert overridden(object.__new__(tunesmith.Trainer)) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"compute_loss_func": len}, "the loss is computed by compute_loss_func"),
        ({"optimizer": SimpleNamespace(eval=None)}, "the optimizer is your own"),
        ({"is_model_parallel": True}, "the model is quantized, or on several devices"),
        ({"model": SimpleNamespace(is_quantized=True)}, "the model is quantized, or on several"),
    ],
)
def test_why_transformers_evaluates(
    tmp_path: Path, change: dict[str, Any], reason: str | None
) -> None:
    trainer = script_of()(tunesmith, tmp_path)
    for name, value in change.items():
        setattr(trainer, name, value)
    actual = why_theirs_evaluates(trainer)
    assert actual is None if reason is None else (actual or "").startswith(reason)


@pytest.mark.parametrize(
    "name", ["batch_eval_metrics", "bf16_full_eval", "fp16_full_eval", "dataloader_drop_last"]
)
def test_arguments_of_an_evaluation(tmp_path: Path, name: str) -> None:
    trainer = script_of()(tunesmith, tmp_path)
    assert why_theirs_evaluates(trainer) is None
    setattr(trainer.args, name, True)
    assert why_theirs_evaluates(trainer) == f"only that supports {name}"


def test_a_scheduler_that_a_script_sets_counts(tmp_path: Path) -> None:
    trainer = script_of()(tunesmith, tmp_path)
    optimizer = trainer.create_optimizer()
    assert trainer.create_optimizer() is optimizer and not trainer.has_own_optimizer
    trainer.create_scheduler(4)
    assert why_theirs(trainer) is None
    trainer.lr_scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    trainer._created_lr_scheduler = False
    assert why_theirs(trainer) == "the learning rate scheduler is your own"


def test_hooks_are_seen_wherever_they_are() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    assert not is_hooked(model)
    inner, weight = model[0], model[0].weight
    nothing = lambda *_given: None  # noqa: E731 - a hook
    for handle in (
        lambda: inner.register_forward_hook(nothing),
        lambda: inner.register_forward_pre_hook(nothing),
        lambda: inner.register_full_backward_hook(nothing),
        lambda: inner.register_full_backward_pre_hook(nothing),
        lambda: weight.register_hook(nothing),
        lambda: weight.register_post_accumulate_grad_hook(nothing),
        lambda: nn.modules.module.register_module_forward_hook(nothing),
    ):
        made = handle()
        assert is_hooked(model)
        made.remove()
        assert not is_hooked(model)


def test_hooks_of_transformers_change_nothing() -> None:
    """It puts some on a model that was once asked for its hidden states."""
    model = model_of()
    model(input_ids=torch.tensor([[1, 2]]), output_hidden_states=True)
    assert model.bert.encoder.layer[0]._forward_hooks and not is_hooked(model)
    model.bert.encoder.layer[0].register_forward_hook(lambda *_given: None)
    assert is_hooked(model)


@pytest.mark.parametrize(
    ("more", "plain"),
    [
        ({}, True),
        ({"optim": "adamw_torch"}, True),
        ({"optim": "adamw_torch_fused"}, True),
        ({"optim": "sgd"}, False),
        ({"optim_args": "amsgrad=True"}, False),
    ],
)
def test_plain_adamw(more: dict[str, Any], plain: bool) -> None:
    assert is_plain_adamw(tunesmith.TrainingArguments("out", **more)) == plain
