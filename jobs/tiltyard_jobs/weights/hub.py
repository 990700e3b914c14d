"""What the hub has of a model: its files at one commit, with sizes and digests, and their bytes.

What it says is not trusted: no file's name leads out of the folder, no byte counts that its digest does not hold.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from http.client import HTTPResponse
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from tiltyard_jobs.contracts.reported import MOST
from tiltyard_jobs.download import Redirects, hub_address, hub_token, may_pass, request_of, untrusted
from tiltyard_jobs.errors import ConfigurationError, JobError, TransientError

MAIN = "main"
SECONDS = 60.0  # without a byte
TRIES = 6
LONGEST_LISTING = 64 << 20  # bytes
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Weights that are there once more, for other software than what serves models: of no use beside safetensors.
_DOUBLES = (
    "pytorch_model*.bin", "original/*", "consolidated*.pth", "*.h5", "*.msgpack", "*.onnx", "*.onnx_data", "*.tflite",
    "*.gguf",
)  # fmt: skip


class HubFile(NamedTuple):
    """A file of a model.

    Attributes:
        path: in the model's folder.
        size: bytes.
        sha256: of its bytes; empty: the hub knows another digest of it.
        blob: Git's digest of it, which the hub has of small files.
    """

    path: str
    size: int
    sha256: str
    blob: str

    def hasher(self) -> hashlib._Hash:
        """What its bytes go through."""
        if self.sha256:
            return hashlib.sha256()
        return hashlib.sha1(f"blob {self.size}\0".encode())  # noqa: S324 - Git's, which the hub has

    @property
    def digest(self) -> str:
        """What `hasher` has to come to."""
        return self.sha256 or self.blob


class Listing(NamedTuple):
    """A model at one commit.

    Attributes:
        commit: 40 hex digits.
        files: those that a server reads, by path.
    """

    commit: str
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class HubModel(NamedTuple):
    """A model on the hub that `HF_ENDPOINT` names, or on huggingface.co.

    Attributes:
        name: `ORG/NAME`.
        revision: a branch, a tag or a commit; None: its main branch.
        mirror: the address of another hub.
        token: another one than `HF_TOKEN`'s.
    """

    name: str
    revision: str | None = None
    mirror: str | None = None
    token: str | None = None

    @property
    def hub(self) -> str:
        """The hub's address."""
        return hub_address(self.mirror)

    def listing(
        self, *, tries: int = TRIES, timeout: float = SECONDS, sleep: Callable[[float], object] = time.sleep
    ) -> Listing:
        """Its files.

        Args:
            tries: how often the hub is asked, if it fails.
            timeout: seconds without a byte.
            sleep: waits the seconds given, between tries.

        Raises:
            ConfigurationError: it is not there, or may not be read.
            TransientError: the hub cannot be reached, or fails.
        """
        url = f"{self.hub}/api/models/{self.name}/revision/{quote(self.revision or MAIN, safe='')}?blobs=true"
        for attempt in range(tries):
            try:
                with self._open(url, timeout=timeout) as reply:
                    return _listing(self, reply.read(LONGEST_LISTING))
            except (TransientError, OSError, http.client.HTTPException) as error:
                if attempt == tries - 1:
                    raise error if isinstance(error, JobError) else self._unanswered(url, error) from None
            sleep(2.0**attempt)
        raise AssertionError("the last try raises")

    def pieces(self, commit: str, file: HubFile, start: int, size: int) -> Iterator[tuple[int, bytes]]:
        """A file's bytes from a place on, each piece with its place: 0 where the server starts again.

        Raises:
            ConfigurationError: it is not there, or may not be read.
            TransientError: it breaks off.
        """
        url = f"{self.hub}/{self.name}/resolve/{commit}/{quote(file.path)}"
        try:
            with self._open(url, start) as reply:
                place = start if reply.status == http.client.PARTIAL_CONTENT else 0
                while piece := reply.read1(size):  # what is there: a download that is killed has written it
                    yield place, piece
                    place += len(piece)
        except (OSError, http.client.HTTPException) as error:
            raise self._unanswered(url, error) from None

    def _open(self, url: str, start: int = 0, timeout: float = SECONDS) -> HTTPResponse:
        own = (self.token or "").strip()
        token = own or hub_token()
        source = "model.tokenSecretRef" if own else "HF_TOKEN"
        request = request_of(url, token, source)
        if start:
            request.add_header("Range", f"bytes={start}-")
        try:
            reply: HTTPResponse = urllib.request.build_opener(Redirects()).open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            error.close()
            raise self._answered(error.code, source if token else None) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unanswered(url, getattr(error, "reason", None) or error) from None
        return reply

    def _answered(self, code: int, source: str | None) -> JobError:
        """What an answer means that is no file, to a token of that source; None: to none."""
        if may_pass(code):
            return TransientError(f"hf://{self.name} cannot be downloaded: the hub answers {code}")
        if code in (401, 403):
            held = (
                f"the token may not read it: ask for access on the model's page, or check {source}"
                if source
                else "name a Secret with a token that may read it in model.tokenSecretRef, or check model.uri"
            )
            return ConfigurationError(f"hf://{self.name} cannot be downloaded (the hub answers {code}): {held}")
        if code == 404:
            at = f" at revision {self.revision}" if self.revision else ""
            return ConfigurationError(f"hf://{self.name} is not on {self.hub}{at}: check model.uri and model.revision")
        return ConfigurationError(f"hf://{self.name} cannot be downloaded: the hub answers {code}")

    def _unanswered(self, url: str, reason: object) -> JobError:
        """What it means that there was no answer, or half of one."""
        host = urlsplit(url).netloc
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ConfigurationError(f"hf://{self.name} cannot be downloaded: {untrusted(host, reason)}")
        return TransientError(f"hf://{self.name} cannot be downloaded from {host}: {reason}")


def _listing(model: HubModel, document: bytes) -> Listing:
    try:
        found = json.loads(document)
        files = [
            HubFile(one["rfilename"], int(one["size"]), (one.get("lfs") or {}).get("sha256", ""), one.get("blobId", ""))
            for one in found["siblings"]
        ]
        commit = found["sha"]
        told = bool(_COMMIT.fullmatch(commit)) and all(file.digest and file.size >= 0 for file in files)
        told = told and sum(file.size for file in files) <= MOST
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError):
        told = False
    if not told:
        raise ConfigurationError(
            f"{model.hub} does not say what files hf://{model.name} has, with sizes and digests: check HF_ENDPOINT"
        )
    if strange := next((file.path for file in files if not _stays_inside(file.path)), None):
        raise ConfigurationError(f"hf://{model.name} has a file whose name leads elsewhere: {strange!r}")
    return Listing(commit, tuple(sorted(_needed(files))))


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    plain = path.isprintable() and "\\" not in path and not path.startswith("/")
    return bool(parts) and plain and ".." not in parts and "/".join(parts) == path


def _needed(files: list[HubFile]) -> Iterator[HubFile]:
    """Without Git's own, and without weights that are there as safetensors too."""
    doubled = any(file.path.endswith(".safetensors") and "/" not in file.path for file in files)
    for file in files:
        if PurePosixPath(file.path).name in (".gitattributes", ".gitignore"):
            continue
        if not (doubled and any(fnmatchcase(file.path, pattern) for pattern in _DOUBLES)):
            yield file
