"""From the command line's FILE to a tournament of this machine."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from tiltyard.api import (
    BenchmarkFile,
    GivenInstructions,
    ManifestError,
    Participant,
    Problem,
    TaskFile,
    TextFile,
    Texts,
    Tournament,
    Weights,
    load_tournament,
    unsupported,
)
from tiltyard.api.request import EndpointRequest
from tiltyard.api.yamlfile import MAX_BYTES
from tiltyard.sdk.modelfolders import digest_of_model
from tiltyard.sdk.textfiles import NoFilesError, files_of, look_at

T = TypeVar("T", bound=Texts)
WeightsT = TypeVar("WeightsT", bound=Weights)
RequestT = TypeVar("RequestT", bound=EndpointRequest)
FileT = TypeVar("FileT", BenchmarkFile, TaskFile)


def load_manifest(file: Path) -> Tournament:
    """The tournament in a manifest, as this machine sees it: see `with_files_of`.

    Raises:
        ManifestError: all that is wrong with it, or what it asks for that this release lacks.
    """
    return as_on_this_machine(read_manifest(file), file, file.absolute().parent)


def as_on_this_machine(tournament: Tournament, source: Path, folder: Path) -> Tournament:
    """A tournament as this machine sees it: see `with_files_of`.

    Args:
        tournament: as it is written.
        source: what messages call it.
        folder: where relative paths in it begin.

    Raises:
        ManifestError: it asks for what this release lacks, or a folder that it names has no file.
    """
    refuse(source, unsupported(tournament))
    if tournament.spec.rating.bootstrap is not None:
        print(f"warning: {source}: spec.rating.bootstrap has no effect: delete it", file=sys.stderr)
    try:
        return with_files_of(tournament, folder)
    except NoFilesError as error:
        raise ManifestError(called(source), [Problem("spec.instructions.from.uri", str(error))]) from None


def read_manifest(file: Path) -> Tournament:
    """The tournament in a manifest, as it is written; `-` is standard input, whose folder is the working directory.

    Raises:
        ManifestError: all that is wrong with it.
    """
    if str(file) != "-":
        return load_tournament(file)
    return load_tournament(sys.stdin.buffer.read(MAX_BYTES + 1), source=called(file))


def called(file: Path) -> str:
    """What messages call a manifest."""
    return "standard input" if str(file) == "-" else str(file)


def refuse(file: Path, problems: list[Problem]) -> None:
    """Raise ManifestError where there are problems."""
    if problems:
        raise ManifestError(called(file), problems)


def absolute_uri(folder: Path, uri: str) -> str:
    """A relative path or `file://` URI, or one from the home folder, as an absolute URI; any other as it is."""
    if "://" in uri and not uri.startswith(("file://.", "file://~")):
        return uri
    path = os.path.expanduser(unquote(uri.removeprefix("file://")) if "://" in uri else uri)
    return (folder / path).resolve().as_uri()


def with_ca_file(request: RequestT | None, folder: Path) -> RequestT | None:
    """With the CA bundle's file, if it is one, as an absolute URI."""
    bundle = request.ca_bundle if request is not None else None
    if request is None or bundle is None or bundle.file is None:
        return request
    return request.model_copy(
        update={"ca_bundle": bundle.model_copy(update={"file": absolute_uri(folder, bundle.file)})}
    )


def given_with_files(given: GivenInstructions, folder: Path, competitors: int) -> GivenInstructions:
    """The instructions with what this machine's files tell: which they are, their digests, and how many rows they have.

    Args:
        given: as they are written.
        folder: the manifest's.
        competitors: how many there are.

    Raises:
        NoFilesError: a folder or a pattern stands for nothing.
    """
    paths = files_of(folder, given.uri) if given.uri is not None else None
    files = given.files if paths is None else tuple(TextFile(uri=path.as_uri()) for path in paths)
    update: dict[str, object]
    if given.uri is not None and not files:
        uri = absolute_uri(folder, given.uri)
        looks = [look_at(uri)]
        update = {"uri": uri, "sha256": given.sha256 or (looks[0].sha256 if looks[0] else None)}
    else:
        uris = [absolute_uri(folder, file.uri) for file in files]
        looks = [look_at(uri) for uri in uris]
        known = [
            file.model_copy(update={"uri": uri, "sha256": file.sha256 or (look.sha256 if look else None)})
            for file, uri, look in zip(files, uris, looks, strict=True)
        ]
        update = {"uri": None, "files": tuple(known)}
    rows = [None if look is None else look.rows for look in looks]
    all_rows = None if None in rows else sum(count or 0 for count in rows)
    if bounds := [count for count in (given.limit, given.sample, all_rows) if count]:
        # Dealt out in turn, or in the worst case all of one competitor.
        most = min(bounds) if given.attacker_field else -(-min(bounds) // competitors)
        update["per_competitor"] = min(given.per_competitor, most)
    return given.model_copy(update=update)


def with_files_of(tournament: Tournament, folder: Path) -> Tournament:
    """The tournament with `folder` filled in where a URI or path is relative, and with what the files themselves tell.

    That is the digests of texts and of models on this machine, and how many instructions there are at most, so that
    nothing is planned for those that cannot be. An absolute URI, a digest and a revision stay as they are written.
    """
    absolute = partial(absolute_uri, folder)

    def weights(model: WeightsT) -> WeightsT:
        uri = absolute(model.uri)
        return model.model_copy(update={"uri": uri, "revision": model.revision or digest_of_model(uri)})

    def player(participant: Participant) -> Participant:
        model, request = participant.model, participant.request
        if model is not None:
            participant = participant.model_copy(update={"model": weights(model)})
        return participant.model_copy(update={"request": with_ca_file(request, folder)})

    def texts(source: T) -> T:
        uri = absolute(source.uri)
        file = look_at(uri)
        return source.model_copy(update={"uri": uri, "sha256": source.sha256 or (file.sha256 if file else None)})

    spec = tournament.spec
    given, curation = spec.instructions.given, spec.curation
    instructions = spec.instructions
    if given is not None:
        found = given_with_files(given, folder, len(tournament.spec.competitors))
        instructions = instructions.model_copy(update={"given": found})
    held_out = tuple(map(texts, curation.held_out))
    embedder = curation.diversity.embedder
    embedder = embedder.model_copy(update={"request": with_ca_file(embedder.request, folder)})
    diversity = curation.diversity.model_copy(update={"embedder": embedder})

    def benchmark(file: FileT) -> FileT:
        uri = absolute(file.uri)
        known = look_at(uri)
        return file.model_copy(update={"uri": uri, "sha256": file.sha256 or (known.sha256 if known else None)})

    evaluation, training = spec.evaluation, spec.training
    if evaluation is not None:
        lm_eval = tuple(
            task.model_copy(update={"files": tuple(map(benchmark, task.files))}) for task in evaluation.lm_eval
        )
        files = tuple(map(benchmark, evaluation.files))
        evaluation = evaluation.model_copy(update={"files": files, "lm_eval": lm_eval})
    if training is not None:
        training = training.model_copy(update={"base_model": weights(training.base_model)})
    return tournament.model_copy(
        update={
            "spec": spec.model_copy(
                update={
                    "competitors": tuple(map(player, spec.competitors)),
                    "judges": tuple(map(player, spec.judges)),
                    "instructions": instructions,
                    "curation": curation.model_copy(update={"held_out": held_out, "diversity": diversity}),
                    "training": training,
                    "evaluation": evaluation,
                }
            )
        }
    )
