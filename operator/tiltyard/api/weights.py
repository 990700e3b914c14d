"""A model's weights: which they are, and where they are loaded from, which is no part of what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from tiltyard.api.base import ApiModel
from tiltyard.api.pods import KeyReference
from tiltyard.api.rules import Rule, Violation, no_file_uri
from tiltyard.api.scalars import Line, ServedFromUri, WeightsUri, Word

HUB = "hf://"
MIRROR = "?endpoint="
MODEL_IN_CLUSTER = no_file_uri("must not be file:// on a cluster; use hf://, s3://, pvc://, gs://, oci:// or https://")


def _served_from_file(weights: Weights) -> Iterator[Violation]:
    if weights.served_from is not None and weights.served_from.startswith("file://"):
        yield Violation(("servedFrom",), f'"{weights.served_from}"')


SERVED_FROM_IN_CLUSTER: Rule[Weights] = Rule(
    "must not be file:// on a cluster; use pvc://, oci://, s3://, gs://, https:// or hf://",
    _served_from_file,
    cel="!has(self.servedFrom) || !self.servedFrom.startsWith('file://')",
    field_path=".servedFrom",
)


def _simulated_elsewhere(weights: Weights) -> Iterator[Violation]:
    if weights.uri.startswith("sim://"):
        for name, value in (("servedFrom", weights.served_from), ("tokenSecretRef", weights.token_secret_ref)):
            if value is not None:
                yield Violation((name,), f'"{weights.uri}"')


NOT_SIMULATED: Rule[Weights] = Rule(
    "must not be set for a simulated expert, which has no weights: remove it",
    _simulated_elsewhere,
    cel="!self.uri.startsWith('sim://') || !(has(self.servedFrom) || has(self.tokenSecretRef))",
    field_path=".uri",
)


def _token_for_nothing(weights: Weights) -> Iterator[Violation]:
    if weights.token_secret_ref is not None and not weights.source.startswith((HUB, "sim://")):
        yield Violation(("tokenSecretRef",), f'"{weights.source}"')


TOKEN_OF_HUB: Rule[Weights] = Rule(
    "must not be set where the weights come from elsewhere than the Hugging Face hub (hf://): remove it",
    _token_for_nothing,
    cel="!has(self.tokenSecretRef) || (has(self.servedFrom) ? self.servedFrom : self.uri).matches('^(hf|sim)://')",
    field_path=".tokenSecretRef",
)


_HUB_PAGE = "^https://(www[.])?(huggingface[.]co|hf[.]co)(/|$)"
_OTHERS_ON_HUB = ("datasets", "spaces", "collections", "papers", "docs")


def _page_of_hub(weights: Weights) -> Iterator[Violation]:
    for name, value in (("uri", weights.uri), ("servedFrom", weights.served_from or "")):
        if found := re.search(_HUB_PAGE, value):
            steps = re.split("[?#]", value[found.end() :])[0].split("/")
            is_model = len(steps) > 1 and all(steps[:2]) and steps[0] not in _OTHERS_ON_HUB
            meant = f', did you mean "hf://{steps[0]}/{steps[1]}"' if is_model else ""
            yield Violation((name,), f'"{value}"{meant}')


BY_NAME_ON_HUB: Rule[Weights] = Rule(
    "must be hf://ORG/NAME for a model on the Hugging Face hub, with its branch or commit in revision: the address of a"
    " page is not a model",
    _page_of_hub,
    cel=f"!self.uri.matches('{_HUB_PAGE}') && !(has(self.servedFrom) && self.servedFrom.matches('{_HUB_PAGE}'))",
    field_path=".uri",
)


class Weights(ApiModel):
    """A model's weights."""

    RULES: ClassVar[tuple[Rule[Any], ...]] = (NOT_SIMULATED, TOKEN_OF_HUB, BY_NAME_ON_HUB)
    CLUSTER_RULES = (MODEL_IN_CLUSTER, SERVED_FROM_IN_CLUSTER)

    uri: WeightsUri
    """Where the weights are: hf://ORG/NAME, s3://, pvc://, gs://, oci:// or https://; on one machine also
    file:///PATH."""
    revision: Word | None = None
    """The revision of the weights, for example a commit of the Hugging Face hub. Another revision is another model."""
    served_from: ServedFromUri | None = None
    """Where these same weights are loaded from instead: pvc://, oci://, s3://, gs:// or https://, on one machine also
    file:///PATH; or hf://ORG/NAME for a copy on the hub, with ?endpoint=https://HOST for a mirror of it. It is not part
    of the model's identity. Absent: `uri`."""
    token_secret_ref: KeyReference | None = None
    """The Secret entry that holds the Hugging Face token with which the weights are downloaded, also by KServe. On one
    machine the environment variable TILTYARD_SECRET_<name>_<key> holds it. Absent: on a cluster no token, on one
    machine its own (HF_TOKEN, or what `hf auth login` has left)."""
    license: Line | None = None
    """The model's licence. It is recorded on every row made from the model's answers."""

    @property
    def source(self) -> str:
        """Where they are loaded from; a mirror of the hub apart."""
        return self.uri if self.served_from is None else self.served_from.partition(MIRROR)[0]

    @property
    def source_field(self) -> str:
        """The field that says where they are loaded from."""
        return "uri" if self.served_from is None else "servedFrom"

    @property
    def is_on_hub(self) -> bool:
        """Whether they are loaded from the Hugging Face hub, or a mirror of it."""
        return self.source.startswith(HUB)

    @property
    def endpoint(self) -> str | None:
        """The mirror of the hub; None: the hub itself."""
        return (self.served_from or "").partition(MIRROR)[2] or None
