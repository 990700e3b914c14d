"""Tiny chat models of random weights, made on the spot: real enough for vLLM, small enough for a test.

    $(python hack/envs.py vllm) tests/support/tiny_model.py OUT --seed 1

A model is a Qwen2 of two layers with a byte-level BPE of 4,096 tokens trained on files of the standard library, and a
ChatML template: 6 MB, made in two seconds. Its words are noise; what it proves is the plumbing: templates, token ids,
log-probabilities, structured output, usage. Another seed gives another expert, with the same tokenizer; the same seed
gives the same bytes.

The making needs `tokenizers` and `safetensors`, which vLLM's environment has. A test calls `tiny_model`, which runs
this file there.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import argparse
import json
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.float32]]

VOCABULARY = 4096
HIDDEN = 128
LAYERS = 2
HEADS = 4
KEY_VALUE_HEADS = 2
FEED_FORWARD = 256
CONTEXT = 4096

BEGIN, START_OF_TURN, END_OF_TURN = "<|begin|>", "<|im_start|>", "<|im_end|>"
START_OF_REPLY = "assistant\n"  # one token, so that the model can know that a reply begins

# As with Llama's: a text is tokenized with BEGIN before it, and a rendered template begins with it. Who sends a
# rendered template as a raw text has it twice, unless `add_special_tokens` is false or token ids are sent.
CHAT_TEMPLATE = """\
{{- bos_token }}
{%- if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a tiny expert.<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

# What the tokenizer is trained on: modules that every Python from 3.11 on has, 2.8 MB.
CORPUS = (
    "argparse.py", "ast.py", "asyncio/base_events.py", "asyncio/tasks.py", "bisect.py", "calendar.py", "codecs.py",
    "collections/__init__.py", "concurrent/futures/thread.py", "configparser.py", "contextlib.py", "copy.py", "csv.py",
    "dataclasses.py", "difflib.py", "email/message.py", "enum.py", "fractions.py", "functools.py", "gettext.py",
    "hashlib.py", "heapq.py", "html/parser.py", "http/client.py", "http/server.py", "inspect.py", "ipaddress.py",
    "json/decoder.py", "json/encoder.py", "logging/__init__.py", "mailbox.py", "multiprocessing/pool.py", "optparse.py",
    "pdb.py", "pickle.py", "platform.py", "pprint.py", "queue.py", "random.py", "selectors.py", "shutil.py",
    "socket.py", "ssl.py", "statistics.py", "subprocess.py", "tarfile.py", "tempfile.py", "textwrap.py",
    "threading.py", "tokenize.py", "traceback.py", "typing.py", "unittest/case.py", "unittest/mock.py",
    "urllib/parse.py", "urllib/request.py", "uuid.py", "xml/dom/minidom.py",
)  # fmt: skip

# All weights are random, but for two channels of the hidden state that no layer writes to: one is on at every token,
# the other where a reply begins. Through them the output layer moves the logits of some tokens, while all others have
# a standard deviation of about one: so replies end, they are readable, and a reply's first token is by its likelihood
# a judge's verdict (1, 2 or T), in proportions that depend on the prompt.
EVERYWHERE, AT_START_OF_REPLY = 0, 1
ON = 4.0
NORM = 2.0  # about the root mean square of the hidden state after the layers, by which the last norm divides it
LOGIT_OF_END_OF_TURN = 4.5
# The other special tokens. Blanks too, or else a reply that must be JSON, whose grammar allows them between all its
# parts, would be blanks until its last token; words have a blank of their own in front.
LOGIT_OF_NEVER = -20.0
LOGIT_OF_UNREADABLE = -6.0  # a lone byte of several, a control character: rare, never absent
LOGIT_OF_VERDICT = 20.0
VERDICTS = ("1", "2", "T")


def tiny_model(python: Path, folder: Path, seed: int) -> Path:
    """Makes the model of this seed in `folder` with the Python of vLLM's environment; returns `folder`.

    Raises:
        subprocess.CalledProcessError: it could not be made; its message is on stderr.
    """
    subprocess.run([python, __file__, folder, "--seed", str(seed)], check=True)
    return folder


def make_tiny_model(folder: Path, seed: int) -> None:
    """Makes the model of this seed in `folder`, in this process."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(make_weights(tokenizer, seed), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # safetensors makes it for its owner alone, a pod runs as another user
    begin, end_of_turn = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END_OF_TURN)
    documents: dict[str, dict[str, Any]] = {
        "config.json": {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "vocab_size": VOCABULARY,
            "hidden_size": HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KEY_VALUE_HEADS,
            "intermediate_size": FEED_FORWARD,
            "max_position_embeddings": CONTEXT,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
            "bos_token_id": begin,
            "eos_token_id": end_of_turn,
        },
        "generation_config.json": {
            "bos_token_id": begin,
            "eos_token_id": end_of_turn,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": CONTEXT,
            "bos_token": BEGIN,
            "eos_token": END_OF_TURN,
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def train_tokenizer() -> Any:
    """A byte-level BPE (`tokenizers.Tokenizer`) of the corpus; the same for every seed."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    library = Path(sysconfig.get_path("stdlib"))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 1,
        special_tokens=[BEGIN, START_OF_TURN, END_OF_TURN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(((library / name).read_text("utf-8") for name in CORPUS), trainer)
    tokenizer.add_tokens([AddedToken(START_OF_REPLY, normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return tokenizer


def make_weights(tokenizer: Any, seed: int) -> Weights:
    """The model's tensors by their names in a Qwen2 checkpoint, float32."""
    import numpy as np

    generator = np.random.default_rng(seed)
    head = HIDDEN // HEADS
    ones = np.ones(HIDDEN, np.float32)
    layer_free = [EVERYWHERE, AT_START_OF_REPLY]

    def random(rows: int, columns: int, scale: float = 1.0) -> NDArray[np.float32]:
        """A matrix (rows, columns) that maps a vector of unit variance to one of variance scale²."""
        return generator.standard_normal((rows, columns), np.float32) * np.float32(scale / columns**0.5)

    def into_residual(columns: int, scale: float) -> NDArray[np.float32]:
        matrix = random(HIDDEN, columns, scale)
        matrix[layer_free] = 0
        return matrix

    embedding = random(VOCABULARY, HIDDEN, HIDDEN**0.5)
    embedding[:, EVERYWHERE] = ON
    embedding[:, AT_START_OF_REPLY] = 0
    embedding[tokenizer.token_to_id(START_OF_REPLY), AT_START_OF_REPLY] = ON
    weights: Weights = {"model.embed_tokens.weight": embedding, "model.norm.weight": ones}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        weights[f"{prefix}.input_layernorm.weight"] = ones
        weights[f"{prefix}.post_attention_layernorm.weight"] = ones
        for name, heads, scale in (("q", HEADS, 2.0), ("k", KEY_VALUE_HEADS, 2.0), ("v", KEY_VALUE_HEADS, 1.0)):
            weights[f"{prefix}.self_attn.{name}_proj.weight"] = random(heads * head, HIDDEN, scale)
            weights[f"{prefix}.self_attn.{name}_proj.bias"] = np.zeros(heads * head, np.float32)
        weights[f"{prefix}.self_attn.o_proj.weight"] = into_residual(HIDDEN, 3.0)
        weights[f"{prefix}.mlp.gate_proj.weight"] = random(FEED_FORWARD, HIDDEN)
        weights[f"{prefix}.mlp.up_proj.weight"] = random(FEED_FORWARD, HIDDEN)
        weights[f"{prefix}.mlp.down_proj.weight"] = into_residual(FEED_FORWARD, 2.0)
    output = random(VOCABULARY, HIDDEN)
    output[:, layer_free] = 0
    output[:, EVERYWHERE] = logit_offsets(tokenizer) * np.float32(NORM / ON)
    for verdict in VERDICTS:
        output[tokenizer.token_to_id(verdict), AT_START_OF_REPLY] = LOGIT_OF_VERDICT * NORM / ON
    weights["lm_head.weight"] = output
    return weights


def logit_offsets(tokenizer: Any) -> NDArray[np.float32]:
    """How far each token's logit is moved at every position, shape (vocabulary,)."""
    import numpy as np

    offsets = np.zeros(VOCABULARY, np.float32)
    for token, number in tokenizer.get_vocab().items():
        text = tokenizer.decode([number], skip_special_tokens=False)
        if token == END_OF_TURN:
            offsets[number] = LOGIT_OF_END_OF_TURN
        elif token in (BEGIN, START_OF_TURN, START_OF_REPLY) or text.isspace():
            offsets[number] = LOGIT_OF_NEVER
        elif not (text.isascii() and text.isprintable()):
            offsets[number] = LOGIT_OF_UNREADABLE
    return offsets


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make a tiny chat model of random weights.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    make_tiny_model(arguments.out, arguments.seed)


if __name__ == "__main__":
    main()
