"""The few calls of Kubernetes' API that the operator makes, on the `kubernetes` package's transport.

Objects are plain JSON here: generated models would be made and thrown away for each event of a watch.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, ApiException, Configuration

from tiltyard.cluster import metrics
from tiltyard.observe.kinds import SCHEMAS, Kind, Object
from tiltyard.render.names import MANAGER

CALL_SECONDS = 45.0  # an API server waits up to 30 seconds for a webhook, and then says which one did not answer
WATCH_SECONDS = 290  # the server ends a watch after this time; a connection that died is noticed by then
PAGE = 500
FORBIDDEN, NOT_FOUND, GONE = 403, 404, 410


class ApiError(Exception):
    """The API server refused a call, or was not to be reached.

    Attributes:
        status: the HTTP status; 0 where there was no answer.
        words: of the API server alone; the message where there are none.
        seconds: that the API server took to answer.
    """

    def __init__(self, status: int, message: str, words: str = "", *, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.status, self.words, self.seconds = status, words or message, seconds

    @property
    def is_refusal(self) -> bool:
        """Whether the API server refuses: it has answered, and what the call is about is not gone."""
        return self.status not in (0, NOT_FOUND)

    @property
    def unserved(self) -> bool:
        """Whether the cluster does not serve the API at all: there is no object then that speaks of another one."""
        return self.status == NOT_FOUND and self.words.endswith("page not found")


class Refused(ApiError):
    """Some of a plan's objects were refused; all others are made."""


class NotYet(Refused):
    """Nothing was refused: something else has to be there first."""


class Client:
    """A connection to the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @classmethod
    async def connect(cls) -> Self:
        """By the pod's service account, or by KUBECONFIG outside of a cluster.

        Raises:
            ApiError: neither is to be had.
        """
        configuration = Configuration()
        try:
            if "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                await config.load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration
                )
        except (config.ConfigException, OSError) as error:
            raise ApiError(0, f"no cluster is configured: run in a pod, or set KUBECONFIG ({error})") from None
        return cls(ApiClient(configuration))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def list(
        self, kind: Kind, namespace: str | None, selector: str, fields: str = ""
    ) -> tuple[list[Object], str]:
        """All objects that both selectors select, and the resource version from which to watch."""
        items: list[Object] = []
        query = {"labelSelector": selector, "fieldSelector": fields, "limit": str(PAGE)}
        while True:
            page = await self._call("GET", kind, kind.path(namespace), query=query)
            items += page["items"]
            more = page["metadata"].get("continue")
            if not more:
                return items, page["metadata"]["resourceVersion"]
            query = {**query, "continue": more}

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """One object; without a namespace of a kind that has none."""
        found: Object = await self._call("GET", kind, kind.path(namespace, name), query={})
        return found

    async def watch(
        self, kind: Kind, namespace: str | None, selector: str, version: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Changes since a resource version, as (type, object), until the server ends the watch.

        Raises:
            ApiError: 410 where the version is too old.
        """
        query = {
            "watch": "true",
            "labelSelector": selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        response = await self._send(
            "GET",
            kind,
            kind.path(namespace),
            query,
            None,
            patience=aiohttp.ClientTimeout(total=None, sock_read=WATCH_SECONDS + 20),
        )
        try:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), event["object"].get("message", "watch failed"))
                yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, f"the watch of {kind.plural} was interrupted: {error}") from error
        finally:
            response.close()

    async def schema(self, kind: Kind) -> Object:
        """The API server's document of OpenAPI v3 for a kind's group and version."""
        found: Object = await self._call("GET", SCHEMAS, f"/openapi/v3/apis/{kind.api}", query={})
        return found

    async def apply(self, kind: Kind, body: Object, *, subresource: str | None = None, dry_run: bool = False) -> Object:
        """Server-side apply: what the body names is ours, also where someone else has set it.

        A dry run changes nothing, and refuses fields that the API server does not know.
        """
        meta = body["metadata"]
        path = kind.path(meta["namespace"], meta["name"], subresource)
        query = {"fieldManager": MANAGER, "force": "true"}
        if dry_run:
            query |= {"dryRun": "All", "fieldValidation": "Strict"}
        content = "application/apply-patch+yaml"
        applied: Object = await self._call("PATCH", kind, path, query=query, body=body, content=content)
        return applied

    async def merge(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Change single fields of an object that is there."""
        path = kind.path(namespace, name)
        query, content = {"fieldManager": MANAGER}, "application/merge-patch+json"
        changed: Object = await self._call("PATCH", kind, path, query=query, body=body, content=content)
        return changed

    async def replace(self, kind: Kind, body: Object) -> Object:
        """Write an object as a whole.

        Raises:
            ApiError: 409 where it has changed since it was read.
        """
        meta = body["metadata"]
        path = kind.path(meta["namespace"], meta["name"])
        written: Object = await self._call("PUT", kind, path, query={"fieldManager": MANAGER}, body=body)
        return written

    async def create(self, kind: Kind, body: Object) -> Object:
        """Make an object that is not there yet."""
        path = kind.path(body["metadata"]["namespace"])
        created: Object = await self._call("POST", kind, path, query={"fieldManager": MANAGER}, body=body)
        return created

    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object and then, in the background, what belongs to it. One that is gone is no error."""
        try:
            await self._call("DELETE", kind, kind.path(namespace, name), query={"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise

    async def _call(
        self,
        method: str,
        kind: Kind,
        path: str,
        *,
        query: Mapping[str, str],
        body: Object | None = None,
        content: str = "application/json",
    ) -> Any:
        response = await self._send(method, kind, path, query, body, content=content)
        try:
            return json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ApiError(0, f"{method} {path}: the response was cut short: {error}") from error

    async def _send(
        self,
        method: str,
        kind: Kind,
        path: str,
        query: Mapping[str, str],
        body: Object | None,
        *,
        content: str = "application/json",
        patience: aiohttp.ClientTimeout | float = CALL_SECONDS,
    ) -> aiohttp.ClientResponse:
        """Send a request; its response's body is not read yet."""
        verb = "watch" if "watch" in query else "list" if "limit" in query else method.lower()
        headers = {"Accept": "application/json", "Content-Type": content}
        # The body goes by `call_api`: `param_serialize` would walk through it once more.
        request = await self._client.param_serialize(
            method, f"{path}?{urlencode(query)}", header_params=headers, auth_settings=["BearerToken"]
        )
        method, url, headers = request[0], request[1], request[2]
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            answer = await self._client.call_api(method, url, headers, body, _request_timeout=patience)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            metrics.API_REQUESTS.labels(verb, kind.plural, "error").inc()
            raise ApiError(0, f"{method} {path}: {str(error) or type(error).__name__}") from error
        except ApiException as error:
            metrics.API_REQUESTS.labels(verb, kind.plural, str(error.status)).inc()
            raise ApiError(error.status or 0, f"{method} {path}: {error.reason}") from error
        response: aiohttp.ClientResponse = answer.response
        metrics.API_REQUESTS.labels(verb, kind.plural, str(response.status)).inc()
        if response.status >= 400:
            words = await _reason(response)
            raise ApiError(response.status, f"{method} {path}: {words}", words, seconds=clock() - began)
        return response


async def _reason(response: aiohttp.ClientResponse) -> str:
    """What the server says of a refusal."""
    text = await response.text(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status} {text[:200].strip()}"
