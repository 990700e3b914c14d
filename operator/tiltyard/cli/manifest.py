"""From the command line's FILE to a tournament of this machine."""

from __future__ import annotations

from pathlib import Path

from tiltyard.api import ManifestError, Participant, Problem, Tournament, load_tournament, local_path, unsupported


def load_manifest(file: Path) -> Tournament:
    """The tournament in a manifest, its relative `file://./…` URIs made absolute: they lie beside the manifest.

    Raises:
        ManifestError: all that is wrong with it, or what it asks for that this release lacks.
    """
    tournament = load_tournament(file)
    refuse(file, unsupported(tournament))
    return with_absolute_files(tournament, file.absolute().parent)


def refuse(file: Path, problems: list[Problem]) -> None:
    """Raise ManifestError where there are problems."""
    if problems:
        raise ManifestError(str(file), problems)


def with_absolute_files(tournament: Tournament, folder: Path) -> Tournament:
    """The tournament with `folder` filled in where a URI is relative. An absolute URI stays as it is written."""

    def absolute(uri: str) -> str:
        return local_path(uri, folder).resolve().as_uri() if uri.startswith("file://.") else uri

    def player(participant: Participant) -> Participant:
        model = participant.model
        if model is None:
            return participant
        return participant.model_copy(update={"model": model.model_copy(update={"uri": absolute(model.uri)})})

    spec = tournament.spec
    given, curation = spec.instructions.given, spec.curation
    instructions = spec.instructions
    if given is not None:
        source = given.model_copy(update={"uri": absolute(given.uri)})
        instructions = instructions.model_copy(update={"given": source})
    held_out = tuple(texts.model_copy(update={"uri": absolute(texts.uri)}) for texts in curation.held_out)
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
