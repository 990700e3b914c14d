"""From the command line's FILE to a tournament of this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

from tiltyard.api import (
    ManifestError,
    Participant,
    Problem,
    Texts,
    Tournament,
    load_tournament,
    local_path,
    unsupported,
)

T = TypeVar("T", bound=Texts)


def load_manifest(file: Path) -> Tournament:
    """The tournament in a manifest, as this machine sees it: see `with_files_of`.

    Raises:
        ManifestError: all that is wrong with it, or what it asks for that this release lacks.
    """
    tournament = load_tournament(file)
    refuse(file, unsupported(tournament))
    return with_files_of(tournament, file.absolute().parent)


def refuse(file: Path, problems: list[Problem]) -> None:
    """Raise ManifestError where there are problems."""
    if problems:
        raise ManifestError(str(file), problems)


def with_files_of(tournament: Tournament, folder: Path) -> Tournament:
    """The tournament with `folder` filled in where a URI is relative, and digests where texts lie on this machine.

    An absolute URI and a digest stay as they are written.
    """

    def absolute(uri: str) -> str:
        return local_path(uri, folder).resolve().as_uri() if uri.startswith("file://.") else uri

    def player(participant: Participant) -> Participant:
        model = participant.model
        if model is None:
            return participant
        return participant.model_copy(update={"model": model.model_copy(update={"uri": absolute(model.uri)})})

    def texts(source: T) -> T:
        uri = absolute(source.uri)
        return source.model_copy(update={"uri": uri, "sha256": source.sha256 or _digest(uri)})

    spec = tournament.spec
    given, curation = spec.instructions.given, spec.curation
    instructions = spec.instructions
    if given is not None:
        instructions = instructions.model_copy(update={"given": texts(given)})
    held_out = tuple(map(texts, curation.held_out))
    return tournament.model_copy(
        update={
            "spec": spec.model_copy(
                update={
                    "competitors": tuple(map(player, spec.competitors)),
                    "judges": tuple(map(player, spec.judges)),
                    "instructions": instructions,
                    "curation": curation.model_copy(update={"held_out": held_out}),
                }
            )
        }
    )


def _digest(uri: str) -> str | None:
    """The SHA-256 of a file of this machine; None of any other, and of one that preflight will find unreadable."""
    if not uri.startswith("file://"):
        return None
    try:
        with local_path(uri, Path("/")).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
