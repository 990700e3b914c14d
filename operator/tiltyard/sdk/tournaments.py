"""A tournament as an object: plan it, run it on this machine, read its results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tiltyard import api
from tiltyard.api.yamlfile import Dumper
from tiltyard.plan.planner import TournamentState
from tiltyard.sdk import machine
from tiltyard.sdk.errors import StoppedError, TournamentFailedError
from tiltyard.sdk.manifest import as_on_this_machine, read_manifest
from tiltyard.sdk.plan_document import Plan
from tiltyard.sdk.results import Results, results_of
from tiltyard.sdk.status_document import Status

Place = str | Path | None
"""A folder, `s3://BUCKET/PREFIX`, or nothing: spec.output of the manifest."""


class Tournament:
    """A tournament of a manifest.

    Attributes:
        manifest: what it says, as it is written.
        source: what messages call it.
    """

    def __init__(self, manifest: api.Tournament, *, source: str = "", folder: Path | None = None) -> None:
        self.manifest, self.source = manifest, source
        self._folder = (folder or Path()).absolute()

    @classmethod
    def from_file(cls, file: str | Path) -> Tournament:
        """The tournament in a file; relative paths in it begin at its folder.

        Raises:
            ManifestError: all that is wrong with it, at once.
        """
        path = Path(file)
        return cls(read_manifest(path), source=str(file), folder=path.absolute().parent)

    @classmethod
    def from_yaml(cls, text: str) -> Tournament:
        """The tournament in a text of YAML or JSON; relative paths in it begin at the working directory.

        Raises:
            ManifestError: all that is wrong with it, at once.
        """
        return cls(api.load_tournament(text))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Tournament:
        """The tournament in a mapping with the names of the manifest: `apiVersion`, `kind`, `metadata`, `spec`.

        Raises:
            ManifestError: all that is wrong with it, at once.
        """
        return cls.from_yaml(yaml.dump(dict(document), Dumper=Dumper))

    @property
    def name(self) -> str:
        """The tournament's name."""
        return self.manifest.metadata.name

    def to_dict(self) -> dict[str, Any]:
        """The manifest, without what is left at its default."""
        document: dict[str, Any] = self.manifest.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude_none=True
        )
        return {"apiVersion": self.manifest.api_version, "kind": self.manifest.kind, **document}

    def run_id(self) -> str:
        """The run that the manifest describes: twelve hex digits, the same for the same manifest and files.

        Raises:
            ManifestError: a file that it names is missing.
        """
        return machine.StatePlace.of(self._here(), None).run

    def plan(self, out: Place = None, **options: Any) -> Plan:
        """What a run would do and cost, without doing it.

        Args:
            out: where the results would be.
            options: as `run` takes them.

        Raises:
            ManifestError: what this machine cannot do.
            UserError: what is wrong with the world, such as an endpoint that does not answer.
        """
        return machine.planned(self._prepared(out, **options)).document

    def run(
        self,
        out: Place = None,
        *,
        on_status: Callable[[api.TournamentStatus], None] | None = None,
        **options: Any,
    ) -> Results:
        """Run the tournament on this machine, or continue it; returns once it is complete.

        Ctrl-C stops it; the next call continues where it stopped. What is made already is not made again.

        Args:
            out: where the results go.
            on_status: told of each new status, in another thread; two of them may be equal.
            options: `state` (folder of the run's own files, `.tiltyard/NAME` by default), `workers`, `vllm_python`,
                `train_python`, `lm_eval_python`, `programs_pythons` (by benchmark).

        Raises:
            ManifestError: what this machine cannot do.
            UserError: another run is using the state folder, or it cannot be used.
            TournamentFailedError: it failed; the message says why.
            StoppedError: the manifest says `suspend: true`.
        """
        prepared = self._prepared(out, **options)
        last = machine.run_beside(prepared, on_status or _ignore, _note)
        if last is None:
            raise StoppedError("stopped; run it again to continue")
        if last.state is TournamentState.SUSPENDED:
            raise StoppedError(last.message)
        if last.state is TournamentState.FAILED:
            raise TournamentFailedError(last.message, machine.read_status(prepared.place))
        return results_of(prepared)

    def status(self, *, state: str | Path | None = None) -> Status:
        """How far the run on this machine is.

        Args:
            state: the folder of the run's own files, if it is not `.tiltyard/NAME`.

        Raises:
            UserError: it was never begun there.
        """
        return machine.status_here(machine.StatePlace.of(self._here(), None if state is None else Path(state)))

    def results(self, out: Place = None, **options: Any) -> Results:
        """The results of the complete run.

        Args:
            out: where they are.
            options: as `run` takes them.

        Raises:
            UserError: the run is not complete there.
        """
        return results_of(self._prepared(out, **options))

    def _here(self) -> api.Tournament:
        return as_on_this_machine(self.manifest, Path(self.source), self._folder)

    def _prepared(self, out: Place, *, state: str | Path | None = None, **options: Any) -> machine.Prepared:
        if unknown := sorted(options.keys() - _OPTIONS):
            raise TypeError(f"{unknown[0]} is not an option; options are state, {', '.join(sorted(_OPTIONS))}")
        place = Path(out) if isinstance(out, str) and not out.startswith("s3://") else out
        folder = None if state is None else Path(state)
        return machine.prepare(self._here(), Path(self.source), out=place, state=folder, **options)


_OPTIONS = {"workers", "vllm_python", "train_python", "lm_eval_python", "programs_pythons"}


def _ignore(status: api.TournamentStatus) -> None:
    pass


def _note(sentence: str) -> None:
    print(sentence, file=sys.stderr)
