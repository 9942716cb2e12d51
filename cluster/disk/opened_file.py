"""`OpenedFile`: a file of a root that was opened for reading, and names itself where reading fails.

A disk answers an open from what it remembers, and fails later, at a block that it cannot give.
"""

from io import FileIO

from typing_extensions import Buffer

from cluster.disk.disk_faults import disk_faults

READ_AT_ONCE = 1 << 17
"""Bytes that lines are read in."""


class OpenedFile(FileIO):
    """The raw side of a buffered stream. Raises SurroundingsError where the disk gives nothing."""

    def __init__(self, descriptor: int, url: str, doing: str) -> None:
        """Take a descriptor over, which is closed with the stream.

        Args:
            descriptor: Of a plain file.
            url: The root.
            doing: What is done with it, such as `read studies/a/lock`.
        """
        super().__init__(descriptor, "rb")
        self._url, self._doing = url, doing

    def readinto(self, buffer: Buffer, /) -> int | None:
        """Read into a buffer; return the bytes read."""
        with disk_faults(self._url, self._doing, is_question=False):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        """Read what is left."""
        with disk_faults(self._url, self._doing, is_question=False):
            return super().readall() or b""
