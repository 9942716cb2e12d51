"""Rows as files of them hold them: lines of JSON, and chat messages."""

import json


def written(path, rows):
    """Write rows to a file of lines of JSON, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def said(role, content):
    """Return one chat message."""
    return {"role": role, "content": content}
