"""A small client of the API server: JSON over HTTPS, one connection a thread, errors as it says them."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

Object = dict[str, Any]
T = TypeVar("T")

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class ApiFailure(Exception):
    """What the API server refused: `code` (HTTP), `reason` (NotFound, Forbidden, Invalid …), its message."""

    def __init__(self, code: int, body: str) -> None:
        try:
            said = json.loads(body)
        except ValueError:
            said = {}
        self.code = code
        self.reason = said.get("reason") or ""
        self.message = said.get("message") or body
        super().__init__(f"{code} {self.reason}: {self.message}")


class Client:
    """One user's view of a cluster."""

    def __init__(self, server: str, tls: ssl.SSLContext, token: str | None = None) -> None:
        address = urlsplit(server)
        self._host, self._port, self._tls = address.hostname or "", address.port, tls
        self._headers = {"User-Agent": "telltale-tests", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._local = threading.local()
        self._connections: list[http.client.HTTPSConnection] = []

    def __del__(self) -> None:
        """Threads come and go; whoever forgets the client has no use for their connections."""
        for connection in self._connections:
            connection.close()

    @classmethod
    def of_kubeconfig(cls, path: Path) -> Self:
        """As the user of a kubeconfig that `components.kubeconfig` wrote."""
        said = json.loads(path.read_text())
        cluster, user = said["clusters"][0]["cluster"], said["users"][0]["user"]
        tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        if "client-certificate" in user:
            tls.load_cert_chain(user["client-certificate"], user["client-key"])
        return cls(cluster["server"], tls, user.get("token"))

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> str:
        """The answer's text; raises ApiFailure, and OSError where nobody answers."""
        for _ in range(10):
            try:
                return self._once(method, path, body, kind)
            except ApiFailure as failure:
                # As every client does: a new CRD's storage, for one, asks for a moment.
                if failure.code != 429:
                    raise
                time.sleep(0.2)
        return self._once(method, path, body, kind)

    def _once(self, method: str, path: str, body: object, kind: str) -> str:
        headers = self._headers | ({"Content-Type": kind} if body is not None else {})
        content = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None)
            fresh = connection is None
            if connection is None:
                connection = http.client.HTTPSConnection(
                    self._host, self._port, context=self._tls, timeout=60
                )
                self._local.connection = connection
                self._connections.append(connection)
            try:
                connection.request(method, path, content, headers)
                answer = connection.getresponse()
                text = answer.read().decode()
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._local.connection = None
                # A kept connection may have been closed by an API server that went.
                if fresh or attempt == 2 or isinstance(error, TimeoutError):
                    raise error if isinstance(error, OSError) else OSError(str(error)) from error
        if answer.status >= 400:
            raise ApiFailure(answer.status, text)
        return text

    def text(self, path: str) -> str:
        return self.request("GET", path)

    def get(self, path: str, **query: str) -> Object:
        return json.loads(self.request("GET", path + (f"?{urlencode(query)}" if query else "")))

    def find(self, path: str) -> Object | None:
        """The object, or None where there is none."""
        try:
            return self.get(path)
        except ApiFailure as failure:
            if failure.code == 404:
                return None
            raise

    def list(self, path: str, **query: str) -> list[Object]:
        return self.get(path, **query)["items"]

    def create(self, path: str, body: Object) -> Object:
        return json.loads(self.request("POST", path, body))

    def replace(self, path: str, body: Object) -> Object:
        return json.loads(self.request("PUT", path, body))

    def patch(self, path: str, body: Object, kind: str = MERGE_PATCH) -> Object:
        return json.loads(self.request("PATCH", path, body, kind))

    def apply(self, path: str, body: Object, manager: str = "tests") -> Object:
        """Server-side apply, by force."""
        query = urlencode({"fieldManager": manager, "force": "true"})
        return json.loads(self.request("PATCH", f"{path}?{query}", body, APPLY_PATCH))

    def delete(self, path: str, **options: object) -> None:
        """Ask for the end of an object; nothing happens where there is none."""
        try:
            self.request("DELETE", path, options or None)
        except ApiFailure as failure:
            if failure.code != 404:
                raise


def wait_until(
    what: Callable[[], T | None], *, within: float = 60.0, every: float = 0.1, saying: str = ""
) -> T:
    """The first answer that is not None, False or empty; AssertionError with the last after `within` s."""
    deadline = time.monotonic() + within
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {saying or what}; last seen: {answer!r}")
        time.sleep(every)
