"""Texts of others on a terminal: nothing in them is a command to it."""

from orchestrator.console import note, say
from orchestrator.text import first_line, printable

EVIL = "lost\x1b]0;title\x07 \x9b31m\r\n\tnext"


def test_what_others_wrote_moves_no_cursor_and_sets_no_title(capsys):
    assert printable(EVIL) == "lost?]0;title? ?31m\n\tnext"
    assert first_line(EVIL) == "lost?]0;title? ?31m"
    say(EVIL)
    note(EVIL)
    assert capsys.readouterr() == (printable(EVIL) + "\n",) * 2
