"""A tokenizer that the manifest names: the files of it that tell the chat template."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from tiltyard_jobs.contracts.recipes import TOKENIZER_FILES, TokenizerRecipe
from tiltyard_jobs.download import PATIENCE, NoSuchFileError, Patience, download
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.llm.chat_template import TOKENIZER_FILE, ChatTemplate, load_chat_template, needs_vocabulary

_LARGEST = 64 << 20  # bytes of one file: the vocabulary of the largest has about half of that


def chat_template_of(tokenizer: TokenizerRecipe, scratch: Path, patience: Patience = PATIENCE) -> ChatTemplate:
    """The tokenizer's chat template, fetched where it is on the hub.

    Args:
        tokenizer: where it is.
        scratch: a folder for what is fetched; it need not exist.
        patience: with the hub.

    Raises:
        ConfigurationError: it is not there, may not be read, or has no chat template that works.
        TransientError: the hub cannot be reached.
    """
    folder = fetched_tokenizer(tokenizer, scratch, patience)
    return load_chat_template(folder, origin=tokenizer.uri, otherwise="give chatTemplatePrefix, or another tokenizer")


def fetched_tokenizer(tokenizer: TokenizerRecipe, scratch: Path, patience: Patience = PATIENCE) -> Path:
    """A folder of this machine with those of its files that tell the template. Raises as `chat_template_of`."""
    if tokenizer.uri.startswith("file://"):
        folder = Path(unquote(tokenizer.uri.removeprefix("file://")))
        if not folder.is_dir():
            raise ConfigurationError(f"{folder} is not a folder on this machine")
        return folder
    scratch.mkdir(parents=True, exist_ok=True)
    revision = tokenizer.revision or "main"
    for name in TOKENIZER_FILES:
        if name == TOKENIZER_FILE and not needs_vocabulary(scratch):
            continue
        try:
            download(f"{tokenizer.uri}@{revision}/{name}", scratch / name, largest=_LARGEST, patience=patience)
        except NoSuchFileError:
            (scratch / name).unlink(missing_ok=True)
    if not any((scratch / name).is_file() for name in TOKENIZER_FILES):
        looked_for = ", ".join(TOKENIZER_FILES[:-1])
        raise ConfigurationError(
            f"{tokenizer.uri} has none of {looked_for} at the revision {revision}: check the name and the revision"
        )
    return scratch
