"""A small client of the Kubernetes API: the few verbs that the operator needs, as JSON.

Answers are plain JSON values. It retries nothing: level-based callers come again anyway.
"""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.errors import KubernetesRefused, KubernetesUnreachable
from emailflow_operator.reconcile.cluster import Object

FIELD_MANAGER = "emailflow-operator"
TIMEOUT = 20.0
"""Seconds for one call, lists included."""
PAGE = 500
ACCEPT = "application/json, application/jwk-set+json"
"""The issuer's keys come as a media type of their own only."""
NAMES_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PLURALS = {
    "EmailFlow": "emailflows",
    "EmailTemplate": "emailtemplates",
    "EmailProvider": "emailproviders",
    "EventType": "eventtypes",
    "ContactPolicy": "contactpolicies",
    "EmailRuntime": "emailruntimes",
    "NetworkPolicy": "networkpolicies",
}


def collection(api_version: str, kind: str, namespace: str = "") -> str:
    """The path of a kind's objects, in one namespace or in all."""
    base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    space = f"/namespaces/{namespace}" if namespace else ""
    return f"{base}{space}/{_PLURALS.get(kind, f'{kind.lower()}s')}"


def path_of(value: Mapping[str, Any]) -> str:
    """The path of an object."""
    metadata = value["metadata"]
    return (
        f"{collection(value['apiVersion'], value['kind'], metadata.get('namespace', ''))}/{metadata['name']}"
    )


class KubernetesApi:
    """An async context manager. Calls raise KubernetesRefused, KubernetesUnreachable, InvalidAccess."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._access.tls(), limit=20)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT), trust_env=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str) -> Object | None:
        """An object, None when there is none."""
        try:
            answer: Object = await self._call("GET", path)
        except KubernetesRefused as refused:
            if refused.status == 404:
                return None
            raise
        return answer

    async def list(
        self, path: str, *, names_only: bool = False, selector: str = "", name: str = ""
    ) -> list[Object]:
        """All objects at a path, or the one of a name; `names_only` gives only their metadata."""
        found: list[Object] = []
        query = {"limit": str(PAGE), **({"labelSelector": selector} if selector else {})}
        if name:
            query["fieldSelector"] = f"metadata.name={name}"
        while True:
            headers = {"Accept": NAMES_ONLY} if names_only else {}
            page = await self._call("GET", path, query=query, headers=headers)
            api_version, kind = page.get("apiVersion"), page.get("kind", "").removesuffix("List")
            # Items of a list don't say what they are.
            found += [{"apiVersion": api_version, "kind": kind, **item} for item in page.get("items") or ()]
            rest = page.get("metadata", {}).get("continue")
            if not rest:
                return found
            query["continue"] = rest

    async def create(self, path: str, value: Object) -> Object:
        """Create an object in a collection."""
        answer: Object = await self._call("POST", path, body=value, query={"fieldManager": FIELD_MANAGER})
        return answer

    async def replace(self, value: Object) -> Object:
        """Replace an object; its resourceVersion, if it has one, must still be current (409)."""
        answer: Object = await self._call(
            "PUT", path_of(value), body=value, query={"fieldManager": FIELD_MANAGER}
        )
        return answer

    async def apply(self, value: Object, *, manager: str = FIELD_MANAGER, force: bool = True) -> Object:
        """Server-side apply. With `force` what the manifest says is ours, whoever had it before (else 409).

        A uid in the manifest must be that of the live object (409): only so is what was looked at changed.
        """
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        answer: Object = await self._call(
            "PATCH", path_of(value), body=value, query=query, content="application/apply-patch+yaml"
        )
        return answer

    async def delete(self, value: Object) -> None:
        """Delete this very object, and in the background what it owns. It may be gone already.

        A namesake that was made meanwhile stays (409).
        """
        body = {"preconditions": {"uid": value["metadata"]["uid"]}, "propagationPolicy": "Background"}
        try:
            await self._call("DELETE", path_of(value), body=body)
        except KubernetesRefused as refused:
            if refused.status != 404:
                raise

    async def merge_status(self, value: Object, patch: Mapping[str, Any]) -> Object | None:
        """Merge a patch into an object's status. None when the object is gone, or another one by now."""
        try:
            answer: Object = await self._call(
                "PATCH",
                f"{path_of(value)}/status",
                body=patch,
                query={"fieldManager": FIELD_MANAGER},
                content="application/merge-patch+json",
            )
        except KubernetesRefused as refused:
            if refused.status in {404, 409}:
                return None
            raise
        return answer

    async def text(self, path: str) -> str:
        """An answer as it is."""
        return json.dumps(await self._call("GET", path))

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Any:
        if self._session is None:
            raise KubernetesUnreachable("the client is closed")
        sent = {"Accept": ACCEPT, **(headers or {})}
        if credentials := self._access.credentials():
            sent["Authorization"] = credentials
        data = None
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), content
        url = URL(self._access.server + path).update_query(query or {})
        try:
            async with self._session.request(method, url, data=data, headers=sent) as answer:
                read = await answer.read()
                if answer.status == 401:
                    self._access.renew()  # for the next call
                return _checked(answer.status, read, f"{method} {path}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubernetesUnreachable(f"{method} {path}: {type(error).__name__}") from error


def _checked(status: int, read: bytes, what: str) -> Any:
    try:
        value: Any = json.loads(read) if read else {}
    except ValueError:
        value = {"message": read[:200].decode(errors="replace")}
    if status >= 400:
        message = value.get("message") if isinstance(value, dict) else ""
        raise KubernetesRefused(status, f"{what}: {status} {message or ''}".strip())
    return value
