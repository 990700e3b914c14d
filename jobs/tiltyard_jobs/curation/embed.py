"""Embeddings of instructions, for diversity and for semantic deduplication."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.curation.grid import Vectors
from tiltyard_jobs.curation.shingles import WordHashes, blocks, hash_words, mix, word_ngrams
from tiltyard_jobs.errors import ConfigurationError

_FIELD = "spec.curation.diversity.embedder"


class Embedder(Protocol):
    """Anything that turns texts into vectors whose dot products say how near the texts are."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: (n, d) float32 rows of unit norm, in order; no texts give a matrix without rows."""
        ...


class HashedNgrams:
    """Words and pairs of words, counted in `dimension` signed cells (the hashing trick, Weinberger et al. 2009).

    It needs no model and no statistics of a corpus, so that a text's vector hangs on the text alone. Counts enter by
    their square root. The cells hold multiples of 2^-10, whose sums are exact in float64, and square roots and
    divisions are rounded as IEEE 754 says: the same text has the same bytes on every machine.
    """

    _FRACTION = 2.0**10

    def __init__(self, dimension: int = 384) -> None:
        if dimension < 2:
            raise ValueError(f"an embedding has at least 2 dimensions, not {dimension}")
        self.dimension = dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; see `Embedder.embed`."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        start = 0
        for block in blocks(texts):
            vectors[start : start + len(block)] = self._embed_block(block)
            start += len(block)
        return vectors

    def _embed_block(self, texts: Sequence[str]) -> Vectors:
        words = hash_words(texts)
        cells = np.zeros(len(texts) * self.dimension, dtype=np.float64)
        for features in (words, word_ngrams(words, 2)):
            cells += self._count(features, len(texts))
        matrix = cells.reshape(len(texts), self.dimension)
        norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
        # Features may cancel out; such a text (never seen beyond two words) gets a cell of its own choosing: the first.
        matrix[norms == 0.0, 0] = 1.0
        norms[norms == 0.0] = 1.0
        return np.asarray(matrix / norms[:, None], dtype=np.float32)

    def _count(self, features: WordHashes, texts: int) -> NDArray[np.float64]:
        """The signed, damped counts of one kind of feature: (texts * dimension,)."""
        owner = np.repeat(np.arange(texts), np.diff(features.offsets))
        order = np.lexsort((features.hashes, owner))
        owner, hashes = owner[order], features.hashes[order]
        opens = np.ones(hashes.size, dtype=np.bool_)
        opens[1:] = (owner[1:] != owner[:-1]) | (hashes[1:] != hashes[:-1])
        first = np.flatnonzero(opens)
        counts = np.diff(np.append(first, hashes.size))
        weights = np.rint(np.sqrt(counts) * self._FRACTION)
        mixed = mix(hashes[first])
        weights[(mixed & np.uint64(1)).astype(np.bool_)] *= -1.0
        cell = ((mixed >> np.uint64(1)) % np.uint64(self.dimension)).astype(np.int64)
        sums = np.bincount(owner[first] * self.dimension + cell, weights=weights, minlength=texts * self.dimension)
        return sums.astype(np.float64, copy=False)


class SentenceTransformers:
    """A sentence-transformers model, by its name or by a folder (the paper: all-roberta-large-v1).

    The package is imported and the model loaded at the first call. Long texts are cut by the model as it was trained.
    """

    def __init__(self, model: str, *, batch_size: int = 64, device: str | None = None) -> None:
        """Name the model.

        Args:
            model: As `SentenceTransformer` takes it: a Hugging Face name or a folder.
            batch_size: Texts in one forward pass.
            device: As torch names it; None leaves the choice to sentence-transformers.
        """
        self.model = model
        self.batch_size = batch_size
        self.device = device
        self._loaded: Any = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; see `Embedder.embed`.

        Raises:
            ModuleNotFoundError: the package is not installed, or what it needs.
            ConfigurationError: the model cannot be loaded.
        """
        if self._loaded is None:
            self._loaded = self._load()
        # One text at least, so that a matrix without rows has the model's number of columns.
        vectors = self._loaded.encode(
            list(texts) or [""], batch_size=self.batch_size, convert_to_numpy=True, show_progress_bar=False
        )
        return unit_rows(np.asarray(vectors))[: len(texts)]

    def _load(self) -> Any:
        package = importlib.import_module("sentence_transformers")
        try:
            return package.SentenceTransformer(self.model, device=self.device)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"{_FIELD}.model: {self.model!r} cannot be loaded; a folder or a Hugging Face model of "
                f"sentence-transformers that this machine can reach is needed ({type(error).__name__})"
            ) from error


def unit_rows(vectors: NDArray[np.floating[Any]]) -> Vectors:
    """Rows of unit norm, float32; a row without length or with values that are not finite becomes the first axis."""
    wide = vectors.astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    broken = ~np.isfinite(norms) | (norms == 0.0)
    wide[broken] = 0.0
    wide[broken, 0] = 1.0
    norms[broken] = 1.0
    return np.ascontiguousarray(wide / norms[:, None], dtype=np.float32)
