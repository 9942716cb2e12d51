import json
from argparse import Namespace

from cluster.storage import Storage
from orchestrator.verbs import status


def test_a_study_that_cannot_be_read_is_listed_with_its_error(tmp_path, capsys):
    root = Storage(tmp_path)
    root.write("studies/broken/index.json", b"{ half")
    root.write("studies/worse/index.json", b"[]")
    options = {"root": root.url, "study": None, "watch": False}

    assert status.run(Namespace(**options, json=True)) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["study"], one["state"]) for one in found] == [
        ("broken", "unreadable"),
        ("worse", "unreadable"),
    ]
    assert all(one["error"] for one in found)

    assert status.run(Namespace(**options, json=False)) == 0
    assert "broken: unreadable; " in capsys.readouterr().out
