"""Tournaments of a cluster: apply, watch, wait and read what the operator says, by the `kubernetes` package."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tiltyard.api import LeaderboardRow
from tiltyard.api.status import UNSEEN
from tiltyard.observe.kinds import TOURNAMENTS
from tiltyard.sdk.errors import StoppedError, TournamentFailedError, UserError
from tiltyard.sdk.status_document import Status, cluster_status_document

if TYPE_CHECKING:
    from kubernetes.client import CustomObjectsApi

    from tiltyard.sdk.tournaments import Tournament

_GROUP, _VERSION = TOURNAMENTS.api.split("/")
_MANAGER = "tiltyard-python"
_NOT_FOUND, _GONE = 404, 410
_WATCH_SECONDS = 60  # the API server ends a watch after this time, and another one begins


class Cluster:
    """The Tournaments in one namespace of a cluster.

    Args:
        namespace: the namespace.
        kubeconfig: the file. None: in a pod its service account, elsewhere KUBECONFIG or ~/.kube/config.
        context: of the kubeconfig, instead of the current one.

    Raises:
        UserError: no cluster is configured, or `tiltyard[operator]` is not installed.
    """

    def __init__(self, namespace: str = "default", *, kubeconfig: str | None = None, context: str | None = None):
        self.namespace = namespace
        self._api = _connect(kubeconfig, context)

    def apply(self, tournament: Tournament) -> None:
        """Create a Tournament, or change it to what the manifest says: server-side apply, as `kubectl apply` does it.

        Raises:
            UserError: the API server refuses it, or another tool has set a field to another value.
        """
        body = tournament.to_dict()
        body["metadata"] = {**body["metadata"], "namespace": self.namespace}
        with _sentences(self.namespace, tournament.name):
            self._api.patch_namespaced_custom_object(
                **self._of(tournament.name),
                body=body,
                field_manager=_MANAGER,
                field_validation="Strict",
                _content_type="application/apply-patch+yaml",
            )

    def status(self, name: str) -> Status:
        """What the operator last wrote.

        Raises:
            UserError: there is no such Tournament.
        """
        return cluster_status_document(self._get(name))

    def leaderboard(self, name: str) -> tuple[LeaderboardRow, ...]:
        """The top rows of the leaderboard; none before the ratings are known.

        Raises:
            UserError: there is no such Tournament.
        """
        return self.status(name).leaderboard

    def watch(self, name: str, *, timeout: float | None = None) -> Iterator[Status]:
        """Each new status, the present one first, until the Tournament is complete, has failed or is suspended.

        A status that was written for an older version of the manifest is ignored, so what is applied and then
        watched never ends at once by what was true before.

        Args:
            name: of the Tournament.
            timeout: seconds. None: as long as it takes.

        Raises:
            TimeoutError: it has not ended in this time.
            UserError: there is no such Tournament, or it is gone.
        """
        end = None if timeout is None else time.monotonic() + timeout
        last: Status | None = None
        while True:
            for found in self._changes(name, end):
                if _is_old(found):
                    continue
                status = cluster_status_document(found)
                if status != last:
                    yield status
                    last = status
                if status.activity == "Ended":
                    return
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"Tournament {name} has not ended after {timeout:g} seconds")

    def wait(self, name: str, *, timeout: float | None = None) -> Status:
        """The status of a complete Tournament, once it is.

        Args:
            name: of the Tournament.
            timeout: seconds. None: as long as it takes.

        Raises:
            TournamentFailedError: it has failed.
            StoppedError: it is suspended.
            TimeoutError: it has not ended in this time.
            UserError: there is no such Tournament, or it is gone.
        """
        *_, status = self.watch(name, timeout=timeout)  # it yields once at least, or raises
        ended = {each.type: each.message for each in status.conditions if each.status == "True"}
        if "Failed" in ended:
            raise TournamentFailedError(ended["Failed"], status)
        if "Complete" not in ended:
            raise StoppedError(ended.get("Suspended", f"Tournament {name} is suspended"))
        return status

    def suspend(self, name: str, *, suspended: bool = True) -> None:
        """Suspend a Tournament, or resume it; what is made is kept.

        Raises:
            UserError: there is no such Tournament.
        """
        with _sentences(self.namespace, name):
            self._api.patch_namespaced_custom_object(
                **self._of(name), body={"spec": {"suspend": suspended}}, field_manager=_MANAGER
            )

    def delete(self, name: str) -> None:
        """Delete a Tournament, its Jobs and its models; what is in its bucket stays.

        Raises:
            UserError: there is no such Tournament.
        """
        with _sentences(self.namespace, name):
            self._api.delete_namespaced_custom_object(**self._of(name))

    def _of(self, name: str) -> dict[str, Any]:
        return {
            "group": _GROUP,
            "version": _VERSION,
            "namespace": self.namespace,
            "plural": TOURNAMENTS.plural,
            "name": name,
        }

    def _get(self, name: str) -> Mapping[str, Any]:
        with _sentences(self.namespace, name):
            found = self._api.get_namespaced_custom_object(**self._of(name))
        assert isinstance(found, dict)
        return found

    def _changes(self, name: str, end: float | None) -> Iterator[Mapping[str, Any]]:
        """The object as it is, and each of its changes while one watch lasts."""
        from kubernetes import watch
        from kubernetes.client import ApiException

        found = self._get(name)
        yield found
        seconds = _WATCH_SECONDS if end is None else max(1, min(_WATCH_SECONDS, round(end - time.monotonic())))
        names = {key: value for key, value in self._of(name).items() if key != "name"}
        changes = watch.Watch().stream(  # type: ignore[no-untyped-call]
            self._api.list_namespaced_custom_object,
            **names,
            field_selector=f"metadata.name={name}",
            resource_version=found["metadata"]["resourceVersion"],
            timeout_seconds=seconds,
        )
        try:
            for change in changes:
                if change["type"] == "DELETED":
                    raise UserError(f"Tournament {name} in namespace {self.namespace} was deleted")
                yield change["object"]
        except ApiException as error:
            if error.status != _GONE:  # else the version is too old, and the next look starts again
                raise UserError(_words(error)) from None


def _connect(kubeconfig: str | None, context: str | None) -> CustomObjectsApi:
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise UserError(f"a cluster needs more packages ({error.name}): pip install 'tiltyard[operator]'") from None
    configuration = client.Configuration()
    try:
        file = kubeconfig or os.environ.get("KUBECONFIG")  # the package reads the variable when it is imported
        if file is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                file, context, client_configuration=configuration
            )
    except (config.ConfigException, OSError) as error:
        raise UserError(f"no cluster is configured: set KUBECONFIG, or give kubeconfig ({error})") from None
    return client.CustomObjectsApi(client.ApiClient(configuration))


@contextmanager
def _sentences(namespace: str, name: str) -> Iterator[None]:
    """What the API server refuses, as a sentence."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        if error.status == _NOT_FOUND and name in str(error.body):
            raise UserError(f"there is no Tournament {name} in namespace {namespace}") from None
        raise UserError(_words(error)) from None
    except HTTPError as error:
        raise UserError(f"the API server does not answer: {error}") from None


def _words(error: Any) -> str:
    """The API server's own words."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"HTTP {error.status}: {error.reason}"


def _is_old(found: Mapping[str, Any]) -> bool:
    written_for = (found.get("status") or {}).get("observedGeneration", UNSEEN)
    return written_for not in (UNSEEN, found["metadata"].get("generation"))
