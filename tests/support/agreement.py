"""Whether `tiltyard validate` and the API server agree on a manifest, and whether each says where it is wrong."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.controlplane import ADMIN_TOKEN, ControlPlane
from support.fuzzed_manifests import Fuzzed, fuzzed, without_nulls, without_points
from tiltyard.api import ManifestError, Problem, load_tournament, problems_on_cluster

PYTHON_ALONE = (
    "must have only parameters that a simulated expert takes",  # their values
    "must fit into spec.serving.budget",
    "must differ from every other",  # in what extraBody holds, and in arguments that change replies
    "must not be here, since Tiltyard sets it",  # in extraBody, which the CRD leaves open
    "must be a whole number",  # with an exponent or a larger unit; CEL would have to compute it
    "bytes of JSON",  # of extraBody
    "must not share its environment variable",  # every two of many references
    "header names are case-insensitive",
    "needs a weights claim that several nodes can mount",  # this and the next four would make the CRD too long
    "must not be set with serving.weights.cache",
    "must not name a mirror of the hub with serving.weights.cache",
    "must be a claim where a model is an LLMInferenceService",
    "must not be a token or a mirror of the hub with serving.worker",
    "must be the name of one volume",  # volumes are open in the CRD
    "these are Tiltyard's own; use another name",
    "has half of a surrogate pair",  # the API server stores another character instead
)
POINTS = ("expected int, got float64", "expected XIntOrString value")
"""What the API server says of `1.0` in JSON, which kubectl never sends for an integer."""
"""Words of what only `validate` refuses: CEL cannot say it."""
WHOLE = ("more problems", "is not valid YAML: ", "is too large for a manifest")
"""Words of refusals that name no field: the rest of a long list, a line and a column, a text that is not read."""
TAKEN, UNREADABLE, TOO_LARGE, INVALID = 201, 400, 413, 422
PATH = "/apis/tiltyard.dev/v1alpha1/namespaces/default/tournaments?dryRun=All&fieldValidation=Strict"


@dataclass(frozen=True)
class Answer:
    """What an API server says of a manifest.

    Attributes:
        status: of HTTP.
        message: why it refuses it; empty: it takes it.
        fields: which it names.
    """

    status: int
    message: str
    fields: tuple[str, ...] = ()


@dataclass
class DryRuns:
    """Asks an API server whether it would take manifests, over one connection.

    Args:
        port: of it.
        ca: the file of its certificate.
    """

    port: int
    ca: Path
    _connection: http.client.HTTPSConnection | None = None

    @classmethod
    def of(cls, plane: ControlPlane) -> DryRuns:
        return cls(plane.port, plane.ca)

    def ask(self, text: str) -> Answer:
        """The answer to a manifest as JSON."""
        try:
            status, body = self._post(text)
        except (OSError, http.client.HTTPException):  # the server ends a connection now and then
            self.close()
            status, body = self._post(text)
        if status == TAKEN:
            return Answer(TAKEN, "")
        causes = body.get("details", {}).get("causes", ())
        return Answer(status, str(body["message"]), tuple(str(cause.get("field", "")) for cause in causes))

    def close(self) -> None:
        """End the connection; another one is made when it is needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, text: str) -> tuple[int, Any]:
        if self._connection is None:
            context = ssl.create_default_context(cafile=str(self.ca))
            self._connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context)
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        self._connection.request("POST", PATH, text.encode(), headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())


@dataclass(frozen=True)
class Verdict:
    """What both say of one manifest.

    Attributes:
        seed: of the manifest.
        taken: by both.
        disagreement: what is wrong with the answers; empty: nothing is.
        changes: to a manifest that both take.
    """

    seed: int
    taken: bool
    disagreement: str
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.disagreement}\n    " + "\n    ".join(self.changes)


def judged(seed: int, ask: Callable[[str], Answer], make: Callable[[int], Fuzzed] = fuzzed) -> Verdict:
    """The manifest that is made of a seed, as both see it."""
    manifest = make(seed)
    try:
        problems: Sequence[Problem] = problems_on_cluster(load_tournament(manifest.written))
    except ManifestError as error:
        problems = error.problems
    except Exception as error:  # whatever it is, it is what is looked for
        return Verdict(seed, False, f"validate ends with {error!r}", manifest.changes)
    said = ask(manifest.text)
    if not problems and said.status == UNREADABLE and "unknown field" in said.message:
        said = ask(json.dumps(without_nulls(manifest.document)))
    if not problems and any(words in said.message for words in POINTS):
        said = ask(json.dumps(without_points(manifest.document)))
    return Verdict(seed, not problems and not said.message, _disagreement(problems, said), manifest.changes)


def _disagreement(problems: Sequence[Problem], said: Answer) -> str:
    for problem in problems:
        if not problem.path and not any(words in problem.message for words in WHOLE):
            return f"validate names no path: {problem}"
        if not str(problem).isprintable():
            return f"validate says what cannot be printed: {str(problem)!r}"
    if said.status not in (TAKEN, UNREADABLE, TOO_LARGE, INVALID):
        return f"the API server answers {said.status}: {said.message}"
    if said.status == INVALID and not (said.fields and all(said.fields)):
        return f"the API server names no path: {said.message}"
    if "cost" in said.message:
        return f"the API server gives up: {said.message}"
    if said.message and not problems:
        return f"only the API server refuses it: {said.message}"
    if not said.message and not all(any(words in str(one) for words in PYTHON_ALONE) for one in problems):
        return f"only validate refuses it: {'; '.join(map(str, problems))}"
    return ""
