"""From the command line's FILE to a tournament of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from tiltyard.api import (
    BenchmarkFile,
    ExistingAnswers,
    GivenInstructions,
    LabelledPairs,
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
from tiltyard.api.load import load_prices
from tiltyard.api.request import EndpointRequest
from tiltyard.api.yamlfile import MAX_BYTES, parse_yaml, read_text
from tiltyard.sdk.modelfolders import digest_of_model
from tiltyard.sdk.textfiles import FoundFile, NoFilesError, files_of, look_at, skipped_in
from tiltyard_jobs.contracts.recipes import TOKENIZER_FILES

WeightsT = TypeVar("WeightsT", bound=Weights)
RequestT = TypeVar("RequestT", bound=EndpointRequest)
FileT = TypeVar("FileT", BenchmarkFile, TaskFile, Texts, LabelledPairs)


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
        here = with_files_of(tournament, folder)
    except NoFilesError as error:
        raise ManifestError(called(source), [Problem(error.field, str(error))]) from None
    for field, uri in _uris_of_folders(tournament):
        if skipped := skipped_in(folder, uri):
            print(f"note: {called(source)}: {field}: {skipped}", file=sys.stderr)
    return here


def _uris_of_folders(tournament: Tournament) -> Iterator[tuple[str, str]]:
    """The fields that may name a folder of records, with what they name."""
    given = tournament.spec.instructions.given
    if given is not None and given.uri is not None:
        yield NoFilesError.field, given.uri
    for place, competitor in enumerate(tournament.spec.competitors):
        if competitor.answers is not None and competitor.answers.uri is not None:
            yield answers_uri(place), competitor.answers.uri


def with_prices(tournament: Tournament, file: Path | None) -> Tournament:
    """A tournament with the prices of a file, which are those of `spec.prices`, instead of its own.

    Raises:
        ManifestError: all that is wrong with the file.
    """
    if file is None:
        return tournament
    prices, problems = load_prices(tournament, parse_yaml(read_text(file), str(file)))
    if problems:
        raise ManifestError(str(file), problems)
    return tournament.model_copy(update={"spec": tournament.spec.model_copy(update={"prices": prices})})


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


def found_files(
    source: GivenInstructions | ExistingAnswers, folder: Path
) -> tuple[dict[str, object], list[FoundFile | None]]:
    """What this machine's files tell of a file, or of several: fields to update, and what was seen of each.

    Args:
        source: as it is written.
        folder: the manifest's.

    Raises:
        NoFilesError: a folder or a pattern stands for nothing.
    """
    paths = files_of(folder, source.uri) if source.uri is not None else None
    files = source.files if paths is None else tuple(TextFile(uri=path.as_uri()) for path in paths)
    if source.uri is not None and not files:
        uri = absolute_uri(folder, source.uri)
        look = look_at(uri)
        return {"uri": uri, "sha256": source.sha256 or (look.sha256 if look else None)}, [look]
    uris = [absolute_uri(folder, file.uri) for file in files]
    looks = [look_at(uri) for uri in uris]
    known = [
        file.model_copy(update={"uri": uri, "sha256": file.sha256 or (look.sha256 if look else None)})
        for file, uri, look in zip(files, uris, looks, strict=True)
    ]
    return {"uri": None, "files": tuple(known)}, looks


def given_with_files(given: GivenInstructions, folder: Path, competitors: int) -> GivenInstructions:
    """The instructions with what this machine's files tell: which they are, their digests, and how many rows they have.

    Args:
        given: as they are written.
        folder: the manifest's.
        competitors: how many there are.

    Raises:
        NoFilesError: a folder or a pattern stands for nothing.
    """
    update, looks = found_files(given, folder)
    rows = [None if look is None else look.rows for look in looks]
    all_rows = None if None in rows else sum(count or 0 for count in rows)
    if bounds := [count for count in (given.limit, given.sample, all_rows) if count]:
        # Dealt out in turn, or in the worst case all of one competitor.
        most = min(bounds) if given.attacker_field else -(-min(bounds) // competitors)
        update["per_competitor"] = min(given.per_competitor, most)
    return given.model_copy(update=update)


def weights_here(model: WeightsT, folder: Path) -> WeightsT:
    """Weights with absolute URIs, and the digest of a model's folder on this machine as its revision."""
    uri = absolute_uri(folder, model.uri)
    served_from = None if model.served_from is None else absolute_uri(folder, model.served_from)
    revision = model.revision or digest_of_model(uri)
    return model.model_copy(update={"uri": uri, "revision": revision, "served_from": served_from})


def participant_here(participant: Participant, folder: Path) -> Participant:
    """A participant with what this machine's files tell.

    Raises:
        NoFilesError: the folder or the pattern of its answers stands for nothing.
    """
    if participant.answers is not None:
        found, _ = found_files(participant.answers, folder)
        return participant.model_copy(update={"answers": participant.answers.model_copy(update=found)})
    update: dict[str, object] = {"request": with_ca_file(participant.request, folder)}
    if participant.model is not None:
        update["model"] = weights_here(participant.model, folder)
    if (tokenizer := participant.tokenizer) is not None:
        uri = absolute_uri(folder, tokenizer.uri)
        revision = tokenizer.revision or digest_of_model(uri, TOKENIZER_FILES)
        update["tokenizer"] = tokenizer.model_copy(update={"uri": uri, "revision": revision})
    return participant.model_copy(update=update)


def answers_uri(place: int) -> str:
    """The field that names where a competitor's answers are."""
    return f"spec.competitors[{place}].answers.uri"


def competitors_here(competitors: Iterable[Participant], folder: Path) -> Iterator[Participant]:
    """The competitors with what this machine's files tell.

    Raises:
        NoFilesError: with the field of the first competitor whose files are not there.
    """
    for place, competitor in enumerate(competitors):
        try:
            yield participant_here(competitor, folder)
        except NoFilesError as error:
            error.field = answers_uri(place)
            raise


def file_here(file: FileT, folder: Path) -> FileT:
    """A file with an absolute URI, and its digest if it is on this machine."""
    uri = absolute_uri(folder, file.uri)
    known = look_at(uri)
    return file.model_copy(update={"uri": uri, "sha256": file.sha256 or (known.sha256 if known else None)})


def with_files_of(tournament: Tournament, folder: Path) -> Tournament:
    """The tournament with `folder` filled in where a URI or path is relative, and with what the files themselves tell.

    That is the digests of texts and of models on this machine, and how many instructions there are at most, so that
    nothing is planned for those that cannot be. An absolute URI, a digest and a revision stay as they are written.
    """
    spec = tournament.spec
    given, curation, judging = spec.instructions.given, spec.curation, spec.judging
    instructions = spec.instructions
    if given is not None:
        found = given_with_files(given, folder, len(tournament.spec.competitors))
        instructions = instructions.model_copy(update={"given": found})
    held_out = tuple(file_here(file, folder) for file in curation.held_out)
    if (pairs := judging.calibration) is not None:
        known = look_at(absolute_uri(folder, pairs.uri))
        rows = known.rows if known is not None else None
        sample = max(2, min(pairs.sample, rows or pairs.sample))
        pairs = file_here(pairs, folder).model_copy(update={"sample": sample})
        judging = judging.model_copy(update={"calibration": pairs})
    embedder = curation.diversity.embedder
    embedder = embedder.model_copy(update={"request": with_ca_file(embedder.request, folder)})
    diversity = curation.diversity.model_copy(update={"embedder": embedder})
    evaluation, training = spec.evaluation, spec.training
    if evaluation is not None:
        lm_eval = tuple(
            task.model_copy(update={"files": tuple(file_here(file, folder) for file in task.files)})
            for task in evaluation.lm_eval
        )
        files = tuple(file_here(file, folder) for file in evaluation.files)
        evaluation = evaluation.model_copy(update={"files": files, "lm_eval": lm_eval})
    if training is not None:
        training = training.model_copy(update={"base_model": weights_here(training.base_model, folder)})
    update = {
        "competitors": tuple(competitors_here(spec.competitors, folder)),
        "judges": tuple(participant_here(judge, folder) for judge in spec.judges),
        "instructions": instructions,
        "curation": curation.model_copy(update={"held_out": held_out, "diversity": diversity}),
        "judging": judging,
        "training": training,
        "evaluation": evaluation,
    }
    return tournament.model_copy(update={"spec": spec.model_copy(update=update)})
