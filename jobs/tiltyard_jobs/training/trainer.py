"""Fine-tuning with TRL: `python trainer.py ORDER`, or `torchrun … trainer.py ORDER` for several GPUs or machines.

A program of its own: it imports TRL, transformers, peft and torch, and nothing of Tiltyard, so it runs in whatever
environment has them. ORDER is a JSON file, see `order.py`. It writes checkpoints as it goes and continues from the last
one that is whole; in the end the folder `model` (weights, tokenizer) and `curve.json`. Problems that the user can mend
end it with exit code 2 and one line that begins with `tiltyard: `.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

CONFIGURATION, DISAGREE = 2, 75
DONE = "done.json"
# PyTorch's FSDP2: each process holds its share of weights, gradients and optimiser state; a layer at a time is whole,
# and so is what is saved.
FULLY_SHARDED = {"auto_wrap_policy": "TRANSFORMER_BASED_WRAP", "state_dict_type": "FULL_STATE_DICT"}


def main() -> None:
    """Train, stage by stage."""
    order = json.loads(Path(sys.argv[1]).read_text())
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    out = Path(order["out"])
    model, folders = order["base"], [out / stage["kind"] for stage in order["stages"]]
    for stage, folder in zip(order["stages"], folders, strict=True):
        if not (folder / DONE).exists():
            _train(order, stage, model, folder)
        model = str(folder / "model")
    if _is_main():
        curve = [point for folder in folders for point in json.loads((folder / DONE).read_text())]
        (out / "curve.json").write_text(json.dumps(curve))
        if order["final"] and order["precision"] == "Bfloat16":
            _round_weights(folders[-1] / "model")


def _train(order: dict[str, Any], stage: dict[str, Any], base: str, folder: Path) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, set_seed

    if not (order["cpu"] or torch.accelerator.is_available()):
        _refuse(
            "spec.training.resources requests GPUs, and PyTorch sees none: take an image of the trainer whose PyTorch"
            " is for them, or request none to train on the CPU"
        )
    set_seed(order["seed"])
    tokenizer = _tokenizer(order, base)
    # Weights that are trained are kept in 32 bits, whatever is computed in: of 16, a step of a small learning rate
    # is below the last, and is lost. Those beside adapters do not change.
    frozen = order["lora"] and order["precision"] == "Bfloat16"
    kept = torch.bfloat16 if frozen else torch.float32
    try:
        model = AutoModelForCausalLM.from_pretrained(base, revision=_revision(order, base), dtype=kept)
    except (OSError, ValueError) as error:
        _refuse(f"the base model cannot be loaded: {_first_line(error)}")
    # A tokenizer may name a padding token that the model has no embedding for.
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= model.get_input_embeddings().num_embeddings:
        tokenizer.pad_token = tokenizer.eos_token
    rows = [json.loads(line) for line in Path(stage["rows"]).read_text().splitlines()]
    trainer = _trainer(order, stage, model, tokenizer, Dataset.from_list(rows), folder)
    trainer.train(resume_from_checkpoint=_last_checkpoint(folder))
    trainer.accelerator.wait_for_everyone()
    if not order["lora"]:
        trainer.save_model(str(folder / "model"))
    elif _is_main():
        trainer.model.merge_and_unload().save_pretrained(folder / "model")
    if _is_main():
        tokenizer.save_pretrained(folder / "model")
        history = [
            {"stage": stage["kind"], **{name: row[name] for name in ("step", "epoch", "loss", "learning_rate")}}
            for row in trainer.state.log_history
            if "loss" in row
        ]
        if not history:
            _refuse("there are too few rows for a single step of training")
        (folder / DONE).write_text(json.dumps(history))
    trainer.accelerator.wait_for_everyone()


def _round_weights(folder: Path) -> None:
    """Make 16 bits of each weight's 32, as models are served. Done twice it changes nothing more."""
    import torch
    from safetensors.torch import load_file, save_file

    size = 0
    for path in sorted(folder.glob("*.safetensors")):
        weights = {
            name: weight.to(torch.bfloat16) if weight.dtype == torch.float32 else weight
            for name, weight in load_file(path).items()
        }
        size += sum(weight.numel() * weight.element_size() for weight in weights.values())
        save_file(weights, staged := path.with_suffix(".rounded"), metadata={"format": "pt"})
        staged.replace(path)
    index = folder / "model.safetensors.index.json"  # of several files
    if index.exists():
        document = json.loads(index.read_text())
        document["metadata"]["total_size"] = size
        index.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    config = folder / "config.json"
    document = json.loads(config.read_text()) | {"dtype": "bfloat16"}
    config.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def _last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that is whole: its state is the last file that is written."""
    from accelerate.utils import gather_object

    whole = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    last = max(whole, key=lambda path: int(path.name.rpartition("-")[2])) if whole else None
    seen = set(gather_object([f"{folder.name}/{last and last.name}"]))
    if len(seen) > 1:  # machines that started at different moments; the next attempt finds the same
        print(f"the nodes would continue from different checkpoints: {', '.join(sorted(seen))}", flush=True)
        sys.exit(DISAGREE)
    return str(last) if last else None


def _trainer(order: dict[str, Any], stage: dict[str, Any], model: Any, tokenizer: Any, rows: Any, folder: Path) -> Any:
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    world = int(os.environ.get("WORLD_SIZE", "1"))
    device_batch = min(order["deviceBatchSize"], max(1, stage["batch"] // world))
    common: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": stage["epochs"],
        "per_device_train_batch_size": device_batch,
        "gradient_accumulation_steps": max(1, -(-stage["batch"] // (device_batch * world))),
        "learning_rate": stage["learningRate"],
        "lr_scheduler_type": "cosine",
        "warmup_steps": stage["warmupRatio"],  # below 1: a share of all steps
        "weight_decay": stage["weightDecay"],
        "max_length": order["maxLength"],
        "bf16": order["precision"] == "Bfloat16",
        "gradient_checkpointing": order["gradientCheckpointing"],
        "seed": order["seed"],
        "data_seed": order["seed"],
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": order["saveSteps"],
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": order["cpu"],
        "dataloader_num_workers": 0,
    }
    if order["fullyShard"] and world > 1:
        sharding = {**FULLY_SHARDED, "activation_checkpointing": order["gradientCheckpointing"]}
        common |= {"fsdp": True, "fsdp_config": sharding, "gradient_checkpointing": False}
    lora = _lora(order["lora"]) if order["lora"] else None
    shared = {"model": model, "processing_class": tokenizer, "train_dataset": rows, "peft_config": lora}
    if stage["kind"] == "sft":
        # Rows are packed whole, best fit decreasing: none is cut in the middle for another's sake.
        config = SFTConfig(**common, packing=order["packing"], packing_strategy="bfd", assistant_only_loss=False)
        return SFTTrainer(args=config, **shared)
    return DPOTrainer(args=DPOConfig(**common, beta=stage["beta"]), **shared)


def _lora(given: dict[str, Any]) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=given["rank"], lora_alpha=given["alpha"], target_modules="all-linear", task_type="CAUSAL_LM", lora_dropout=0.0
    )


def _tokenizer(order: dict[str, Any], base: str) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base, revision=_revision(order, base))
    except (OSError, ValueError) as error:
        _refuse(f"the base model has no tokenizer that can be loaded: {_first_line(error)}")
    if order["chatTemplate"]:
        tokenizer.chat_template = order["chatTemplate"]
    if not tokenizer.chat_template:
        _refuse("the base model's tokenizer has no chat template: give one as spec.training.chatTemplate")
    return tokenizer


def _revision(order: dict[str, Any], base: str) -> str | None:
    return order["revision"] if base == order["base"] else None


def _is_main() -> bool:
    """Whether this process writes what is kept."""
    return int(os.environ.get("RANK", "0")) == 0


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


def _refuse(sentence: str) -> NoReturn:
    print(f"tiltyard: {sentence}", flush=True)
    sys.exit(CONFIGURATION)


if __name__ == "__main__":
    main()
