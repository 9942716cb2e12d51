"""As much of W&B's server as sending needs, on this machine, and told how to misbehave."""

import gzip
import http.server
import json
import threading

_ENTITY = {"id": "e", "name": "me"}


class WandbServer:
    """Answers W&B's own client; keeps what each run was sent.

    It takes rows as W&B does: a run that is resumed is told how many rows it has and its last one.
    """

    def __init__(self):
        self.runs = {}
        """Id of a run -> its rows, its ends, how many requests it made."""
        self.breaks = lambda run: False
        """Run -> whether its rows are answered with 500."""
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                code, answer = server.answer(self.path, body)
                data = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a client that was killed has left

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def run(self, name):
        return self.runs.setdefault(name, {"rows": [], "ends": [], "opened": 0})

    def answer(self, path, body):
        if path == "/graphql":
            question = json.loads(body)
            return 200, {"data": self._data(question["query"], question.get("variables") or {})}
        if path.endswith("/file_stream"):
            return self._take(path.split("/")[-2], json.loads(body))
        return 200, {}

    def _data(self, query, about):
        name = about.get("name")
        if "UpsertBucket" in query:
            run = self.run(name)
            run["opened"] += 1
            bucket = {
                "id": f"id-{name}",
                "name": name,
                "displayName": about.get("displayName") or name,
                "config": "{}",
                "sweepName": None,
                "historyLineCount": len(run["rows"]),
                "project": {"id": "p", "name": "deltascale", "entity": _ENTITY},
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": run["opened"] == 1}}
        if "RunResumeStatus" in query:
            return {"model": {"id": "m", "name": "deltascale", "entity": _ENTITY,
                              "bucket": self._bucket(name)}}  # fmt: skip
        if "CreateRunFiles" in query:
            files = [{"name": file, "uploadUrl": f"{self.url}/up"} for file in about["files"]]
            return {"createRunFiles": {"runID": name, "uploadHeaders": [], "files": files}}
        if "viewer" in query:
            return {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}",
                               "teams": {"edges": []}}}  # fmt: skip
        return {}

    def _bucket(self, name):
        rows = self.runs.get(name, {}).get("rows")
        if not rows:
            return None
        last = json.dumps(rows[-1])
        return {
            "id": f"id-{name}", "name": name, "displayName": name, "summaryMetrics": last,
            "logLineCount": 0, "historyLineCount": len(rows), "eventsLineCount": 0,
            "historyTail": json.dumps([last]), "eventsTail": "[]", "config": "{}", "tags": [],
            "notes": "", "wandbConfig": '{"t": 1}',
        }  # fmt: skip

    def _take(self, name, sent):
        if self.breaks(name):
            return 500, {}
        run = self.run(name)
        history = sent.get("files", {}).get("wandb-history.jsonl")
        if history:
            assert history["offset"] == len(run["rows"]), "rows were overwritten, or left out"
            run["rows"] += [json.loads(row) for row in history["content"]]
        if sent.get("complete"):
            run["ends"].append(sent["exitcode"])
        return 200, {"exitcode": None, "limits": {}}
