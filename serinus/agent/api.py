"""The agent's own way to the API server: one connection pool, JSON in and out, nothing in front of a cut.

The watching library has clients and queues of its own. A cut must not wait in them.
"""

import base64
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from serinus.rollout.yaml_text import read_yaml

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

SECONDS = 5.0
"""How long one request may take. Whoever asks again later asks for something newer."""
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MOST_BYTES = 32 * 1024 * 1024


class ApiError(Exception):
    """A request that did not succeed. `code` is the answer's status, 0 where there was no answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def missing(self) -> bool:
        """The object does not exist."""
        return self.code == 404

    @property
    def conflict(self) -> bool:
        """Somebody else wrote in between: read again, decide again."""
        return self.code == 409


class AccessError(ValueError):
    """The credentials can't be used. The message names the key and the remedy."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API server is, and who asks. `token_file` is read anew for each request: its content is renewed.

    `authority` is the PEM text of whose certificates are believed; empty: those of the system.
    """

    url: str
    authority: str = ""
    token: str = field(default="", repr=False)
    token_file: Path | None = None

    def bearer(self) -> str:
        """Return the token as it is now, empty without one."""
        return self.token_file.read_text(encoding="utf-8").strip() if self.token_file else self.token

    def headers(self) -> dict[str, str]:
        """Return what proves who asks."""
        token = self.bearer()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def trust(self) -> ssl.SSLContext | bool:
        """Return whom to believe, as aiohttp takes it. True: those whom the system believes."""
        return ssl.create_default_context(cadata=self.authority) if self.authority else True


def in_cluster(environ: Mapping[str, str], account: Path = _ACCOUNT) -> Access:
    """Return the access of a pod's ServiceAccount. Raises AccessError outside of a pod."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (account / "token").exists():
        raise AccessError("this is no pod with a ServiceAccount; set KUBECONFIG to a kubeconfig file instead")
    at = f"[{host}]" if ":" in host else host
    authority = (account / "ca.crt").read_text(encoding="utf-8")
    return Access(f"https://{at}:{port}", authority, token_file=account / "token")


def from_kubeconfig(file: Path, context: str = "") -> Access:
    """Return the access of a kubeconfig's context, the current one by default; only tokens are understood.

    Raises AccessError.
    """
    try:
        content = read_yaml(file.read_text(encoding="utf-8"))
        chosen = _named(content, "contexts", "context", context or content["current-context"])
        cluster = _named(content, "clusters", "cluster", chosen["cluster"])
        user = _named(content, "users", "user", chosen["user"])
        server = str(cluster["server"]).rstrip("/")
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise AccessError(f"{file} can't be used as a kubeconfig: {error!r}; name another by KUBECONFIG") from None
    token_file = user.get("tokenFile")
    if not user.get("token") and not token_file:
        raise AccessError(f"{file}: the user {chosen['user']} has no token; use a ServiceAccount's token")
    token = str(user.get("token", ""))
    return Access(server, _authority(file, cluster), token, (file.parent / token_file) if token_file else None)


class Api:
    """Asks the API server, over `most` connections. To be used with `async with`, in the loop that uses it."""

    def __init__(self, access: Access, seconds: float = SECONDS, most: int = 16) -> None:
        self._access = access
        self._most = most
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._access.trust(), limit=self._most)
        timeout = aiohttp.ClientTimeout(total=self._seconds)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str) -> dict[str, Any]:
        """Read an object or a list. All methods raise ApiError."""
        return await self.ask("GET", path)

    async def post(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object."""
        return await self.ask("POST", path, document)

    async def put(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object; with a resourceVersion in its metadata only that version of it."""
        return await self.ask("PUT", path, document)

    async def patch(
        self, path: str, change: Mapping[str, Any] | Sequence[Mapping[str, Any]], type_: str = MERGE_PATCH
    ) -> dict[str, Any]:
        """Change an object; with a resourceVersion in a merge patch only that version of it."""
        return await self.ask("PATCH", path, change, type_)

    async def apply(self, path: str, document: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """Apply a document on the server's side, by force, as `manager`."""
        return await self.ask("PATCH", f"{path}?fieldManager={manager}&force=true", document, APPLY_PATCH)

    async def delete(self, path: str) -> dict[str, Any]:
        """Delete an object."""
        return await self.ask("DELETE", path)

    async def text(self, path: str) -> str:
        """Read what is no JSON, such as a pod's log."""
        code, text = await self._send("GET", path, None, "application/json")
        if code >= 300:
            raise ApiError(code, f"GET {path}: {code}")
        return text

    async def ask(
        self,
        method: str,
        path: str,
        document: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        type_: str = "application/json",
    ) -> dict[str, Any]:
        """Send one request and return the answer's document. Raises ApiError with what the server said."""
        what = f"{method} {path}"
        code, text = await self._send(method, path, document, type_)
        found = _document(text)
        if code >= 300:
            said = (found or {}).get("message") or text[:200]
            raise ApiError(code, f"{what}: {code} {said}")
        if found is None:
            raise ApiError(0, f"{what}: the answer is no JSON object: {text[:80]!r}")
        return found

    async def _send(
        self, method: str, path: str, document: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None, type_: str
    ) -> tuple[int, str]:
        """Send one request and return status code and body."""
        if self._session is None:
            raise RuntimeError("the client is used outside of `async with`")
        what = f"{method} {path}"
        if self._session.closed:
            raise ApiError(0, f"{what}: this client was closed")
        body = None if document is None else json.dumps(document)
        try:
            headers = self._access.headers() | {"Accept": "application/json"}
            if body is not None:
                headers["Content-Type"] = type_
            async with self._session.request(method, f"{self._access.url}{path}", data=body, headers=headers) as answer:
                if (answer.content_length or 0) > _MOST_BYTES:
                    raise ApiError(0, f"{what}: the answer is too large, {answer.content_length} bytes")
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError) as error:
            raise ApiError(0, f"{what}: no answer: {type(error).__name__} {error}".rstrip()) from None


def _document(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _named(content: Mapping[str, Any], listed: str, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {one["name"]: one[kind] for one in content[listed]}[name]
    return found


def _authority(file: Path, cluster: Mapping[str, Any]) -> str:
    if cluster.get("certificate-authority-data"):
        return base64.b64decode(str(cluster["certificate-authority-data"])).decode()
    if cluster.get("certificate-authority"):
        return (file.parent / str(cluster["certificate-authority"])).read_text(encoding="utf-8")
    return ""
