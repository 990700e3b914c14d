"""Which models are kin, read from their names where the manifest does not say.

Whoever serves a model, quantises it or copies it keeps the name that its makers gave it, and changes what stands around
it: the publisher, a tag, the format. So the first word of the name is what tells, without its version: of
hf://Qwen/Qwen2.5-7B-Instruct-AWQ, hf://unsloth/Qwen2.5-7B-bnb-4bit and an endpoint's qwen2.5:7b-q4_K_M it is qwen.
"""

from __future__ import annotations

import re

from tiltyard.api import Participant

_PUBLISHER = re.compile(
    "ai21(labs)?|allenai|baidu|c4ai|cohereforai|coherelabs|databricks|google|huggingfacetb|ibm|lgai|meta|microsoft"
    "|mistralai|moonshotai|nousresearch|nvidia|open(ai)?|org|tencent|thudm|tiiuae|zai"
)
"""Words before the first one that tells: Meta-Llama-3-8B, and copies as google_gemma-3-4b-it-GGUF, whose name begins
with the account they come from."""
_BEDROCK = re.compile(
    r"((us|eu|apac|au|jp|global)\.)?(ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|nvidia"
    r"|openai|qwen|writer|xai|zai)\.(?=[a-z])"
)
"""A region and a publisher before the name, as Amazon Bedrock has them: us.meta.llama3-3-70b-instruct-v1:0."""
_FILES = {"ggml", "model", "weights"}
"""A file of this name tells nothing: its folder does."""
_OF = {
    "chatglm": "glm",
    "chatgpt": "gpt",
    "codegemma": "gemma",
    "codellama": "llama",
    "codeqwen": "qwen",
    "codestral": "mistral",
    "devstral": "mistral",
    "magistral": "mistral",
    "ministral": "mistral",
    "mixtral": "mistral",
    "pixtral": "mistral",
    "qvq": "qwen",
    "qwq": "qwen",
}
"""Names that one family's makers gave to some of its models."""
_WORDS = re.compile(r"[-_ :@]+")
_NAME = re.compile(r"[a-z]{2,}?(?=v?\d|\.|$)")


def family_of(participant: Participant) -> str:
    """What makes two models kin: the field, else the first word of the model's name without its version.

    Of existing answers nothing but the competitor's own name may say who wrote them; and of a model in a folder of this
    machine too, since another folder with the same files is the same model.
    """
    if participant.family is not None:
        return participant.family.lower()
    if participant.endpoint is not None:
        return _named(participant.endpoint.model)
    if participant.model is None or participant.model.uri.startswith("file://"):
        return _named(participant.name)
    scheme, _, path = participant.model.uri.partition("://")
    # A simulated expert's name is its own, up to the first dash.
    name = path.partition("?")[0]
    return name.partition("-")[0].lower() if scheme == "sim" else _named(name)


def _named(path: str) -> str:
    folder, _, last = path.rstrip("/").lower().rpartition("/")
    if folder and re.split(r"[-_.]", last)[0] in _FILES:
        return _named(folder)
    words = _WORDS.split(_BEDROCK.sub("", last, count=1))
    word = next((word for word in words if word and not _PUBLISHER.fullmatch(word)), words[0])
    found = _NAME.match(word)
    name = found[0] if found else word
    return _OF.get(name, name)
