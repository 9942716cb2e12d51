"""`HubServer`: repositories served as the hub serves them, over real HTTP on loopback.

Written after huggingface_hub's client and its documentation: `api/{models,datasets}/ID`, with
`/revision/REVISION`, `/tree/COMMIT?recursive=true` in pages, and `resolve/COMMIT/FILE` with a
redirect to storage at another address for large files (LFS), ETag, `X-Repo-Commit`, `Range`.
"""

import hashlib
import http.server
import json
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field

from tests.serving import LocalServer

TOKEN = "hf_of_somebody_who_may_read_it"
PAGE = 3
"""Files in a page of a tree."""


@dataclass
class HostedRepository:
    """A repository: its files at one commit."""

    files: dict[str, bytes]
    """Name -> bytes."""
    type: str = "model"
    """`model` or `dataset`."""
    commit: str = "0123456789abcdef0123456789abcdef01234567"
    """The commit that `main` stands for."""
    gated: bool = False
    """Whether its files are for those alone who send the token."""
    private: bool = False
    """Whether all of it is."""
    large_from: int = 1024
    """Files of so many bytes are in storage (LFS)."""
    sent: dict[str, bytes] = field(default_factory=dict)
    """Name -> bytes that are sent in place of those that are listed."""

    def entry(self, name):
        """List a file as the hub does."""
        content = self.files[name]
        digest = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        entry = {"type": "file", "path": name, "size": len(content), "oid": digest}
        if len(content) >= self.large_from:
            oid = hashlib.sha256(content).hexdigest()
            entry |= {"oid": hashlib.sha1(oid.encode()).hexdigest()}
            entry |= {"lfs": {"oid": oid, "size": len(content), "pointerSize": 130}}
        return entry


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    """Its method."""
    path: str
    """What was asked for."""
    start: int
    """First byte of a `Range`; 0 without one."""
    authorization: str | None
    """The token that came along."""
    sent: list
    """Bytes of the body that were sent, one number for each piece."""


class HubServer(LocalServer):
    """A hub; `storage` is its other address, where large files come from."""

    def __init__(self, repositories, storage=None):
        super().__init__(_Handler)
        self.repositories = repositories
        self.asked = []
        self.faults = []
        self.lock = threading.Lock()
        self.storage = storage or HubServer(repositories, storage=self)

    def fail(self, part, status=None, *, times=1, **how):
        """Let the next requests for a path that holds `part` fail.

        Args:
            part: of the path.
            status: what is answered; None to send the file, in the way that `how` says.
            times: how many requests.
            how: `headers` of the answer; `cut_after` so many bytes the line breaks; `piece` and
                `every_s` say how slowly a file comes; `at` waits there until `go` is set.
        """
        for server in (self, self.storage):
            server.faults.append({"part": part, "status": status, "left": times, **how})

    def asks(self, part="", method="GET"):
        """List the requests at both addresses whose path holds a part."""
        asked = [*self.asked, *self.storage.asked]
        return [each for each in asked if part in each.path and each.method == method]

    def counts(self):
        """Count the requests for content of each file."""
        return Counter(each.path.rpartition("/")[2] for each in self.asks("/content/"))

    def close(self):
        """Close both addresses."""
        for server in (self, self.storage):
            server.shutdown()
            server.server_close()

    def fault_for(self, path):
        """Return how a request is to fail; None where it is answered as it should be."""
        with self.lock:
            for fault in self.faults:
                if fault["part"] in path and fault["left"] > 0:
                    fault["left"] -= 1
                    return fault
        return None


def ask_here(monkeypatch, server, cache):
    """Let huggingface_hub, as it is loaded in this process, ask a server; its cache is empty."""
    from huggingface_hub import constants

    template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):  # noqa: N802
        self._answer()

    def do_GET(self):  # noqa: N802
        self._answer()

    def _answer(self):
        path, _, query = self.path.partition("?")
        path = urllib.parse.unquote(path)
        first = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0]
        self.sent = []
        token = self.headers.get("Authorization")
        asked = Asked(self.command, path, int(first), token, self.sent)
        self.server.asked.append(asked)
        self.fault = self.server.fault_for(path) if self.command == "GET" else None
        if self.fault and self.fault["status"]:
            return self._reply(b"out of order", self.fault["status"], self.fault.get("headers", {}))
        if path.startswith("/content/"):
            return self._content(path, int(first))
        for (type_, name), hosted in self.server.repositories.items():
            api, pages = (
                f"/api/{type_}s/{name}",
                f"/{'' if type_ == 'model' else 'datasets/'}{name}",
            )
            if path == api or path.startswith((f"{api}/", f"{pages}/resolve/")):
                return self._in_repository(hosted, path, query, api, f"{pages}/resolve/", name)
        return self._refuse(404, "RepoNotFound")

    def _in_repository(self, hosted, path, query, api, resolve, name):
        may_read = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if hosted.private and not may_read:
            return self._refuse(401, "RepoNotFound")
        if path == api or path.startswith(f"{api}/revision/"):
            revision = path.removeprefix(api).removeprefix("/revision/") or "main"
            if revision not in ("main", hosted.commit):
                return self._refuse(404, "RevisionNotFound")
            return self._reply(json.dumps({"id": name, "sha": hosted.commit}).encode())
        if path.startswith(f"{api}/tree/"):
            if path != f"{api}/tree/{hosted.commit}":
                return self._refuse(404, "RevisionNotFound")
            return self._tree(hosted, path, query)
        _, _, wanted = path.removeprefix(resolve).partition("/")
        if not path.startswith(f"{resolve}{hosted.commit}/") or wanted not in hosted.files:
            return self._refuse(404, "EntryNotFound")
        if hosted.gated and not may_read:
            return self._refuse(403 if self.headers.get("Authorization") else 401, "GatedRepo")
        entry = hosted.entry(wanted)
        etag = entry.get("lfs", entry)["oid"]
        headers = {"X-Repo-Commit": hosted.commit, "ETag": f'"{etag}"'}
        if "lfs" not in entry:
            self.path = f"/content/{hosted.type}/{name}/{wanted}"
            if self.command == "GET":
                self.server.asked.append(Asked("GET", self.path, 0, None, self.sent))
            return self._content(self.path, 0, headers)
        headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(entry["size"])}
        place = f"{self.server.storage.address}/content/{hosted.type}/{name}/{wanted}"
        return self._reply(b"", 302, {**headers, "Location": place})

    def _tree(self, hosted, path, query):
        """Answer a page of the files, and where the next one is."""
        start = int(dict(urllib.parse.parse_qsl(query)).get("cursor", 0))
        names = sorted(hosted.files)
        page = [hosted.entry(name) for name in names[start : start + PAGE]]
        headers = {}
        if start + PAGE < len(names):
            following = f"{self.server.address}{path}?recursive=true&cursor={start + PAGE}"
            headers = {"Link": f'<{following}>; rel="next"'}
        return self._reply(json.dumps(page).encode(), headers=headers)

    def _content(self, path, start, headers=None):
        """Send a file, from a byte on; as slowly and as far as the fault says."""
        _, _, type_, owner, name, wanted = path.split("/", 5)
        hosted = self.server.repositories[type_, f"{owner}/{name}"]
        content = hosted.sent.get(wanted, hosted.files[wanted])
        if start:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self._reply(content[start:], 206, {**(headers or {}), "Content-Range": span})
        return self._reply(content, 200, headers)

    def _refuse(self, status, code):
        self._reply(b"", status, {"X-Error-Code": code})

    def _reply(self, content, status=200, headers=None):
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self._send(content)

    def _send(self, content):
        how = self.fault or {}
        cut = how.get("cut_after", len(content))
        piece = how.get("piece", 1 << 20)
        for start in range(0, min(cut, len(content)), piece):
            if "at" in how and start >= how["at"]:
                how["reached"].set()
                how["go"].wait(120)
            sent = content[start : min(start + piece, cut)]
            self.sent.append(len(sent))  # before who asked may have it and look
            self.wfile.write(sent)
            time.sleep(how.get("every_s", 0))
        if cut < len(content):
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)

    def log_message(self, *words):
        """Stay silent."""
