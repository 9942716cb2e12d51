"""A line that is slow, breaks or goes dead: a proxy for TCP in a process of its own.

`python -m tests.hosts.bad_line PORT HOST PORT` listens at the first port of loopback and passes
all on to the second. What it does besides is told by lines of standard input, each answered by the
number of connections so far:

    delay SECONDS    every piece waits so long, each way
    rate BYTES       so many a second in each direction of each connection; 0: as many as come
    every N          every N-th new connection is reset after the first bytes of the answer; 0: none
    reset            reset all that are open
    dead             say nothing more on any, new ones included, and end none (half-open)
    alive            pass on what is new again; what was dead stays so
"""

import asyncio
import contextlib
import socket
import struct
import sys
from asyncio import StreamReader, StreamWriter

_PIECE = 1 << 14


class Line:
    """What the connections through this proxy meet."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.delay_s = self.rate = 0.0
        self.every = self.num_connections = 0
        self.alive = asyncio.Event()
        self.alive.set()
        self._open: set[tuple[StreamWriter, StreamWriter]] = set()

    def obey(self, order: str) -> None:
        """Do what a line of standard input says."""
        word, _, number = order.strip().partition(" ")
        if word == "delay":
            self.delay_s = float(number)
        elif word == "rate":
            self.rate = float(number)
        elif word == "every":
            self.every = int(number)
        elif word == "reset":
            for ends in self._open:
                _reset(*ends)
        elif word == "dead":
            self.alive = asyncio.Event()  # what waits for the old one is deaf for good
        else:
            assert word == "alive", order
            self.alive = asyncio.Event()
            self.alive.set()

    async def take(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Pass one connection on, until either end closes it."""
        self.num_connections += 1
        is_to_break = bool(self.every) and self.num_connections % self.every == 0
        await self.alive.wait()
        try:
            answers, back = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        ends = writer, back
        self._open.add(ends)
        await asyncio.gather(self._pass(reader, back), self._pass(answers, writer, is_to_break))
        self._open.remove(ends)
        for end in ends:
            end.close()

    async def _pass(self, source: StreamReader, sink: StreamWriter, breaks: bool = False) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(_PIECE):
                await asyncio.sleep(self.delay_s + (len(piece) / self.rate if self.rate else 0.0))
                await self.alive.wait()
                sink.write(piece)
                await sink.drain()
                if breaks:
                    _reset(sink)
            await self.alive.wait()
            sink.write_eof()


def _reset(*ends: StreamWriter) -> None:
    """Break connections: whoever is at their other ends is told that they are no more."""
    for end in ends:
        with contextlib.suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        end.transport.abort()


async def _serve(port: int, line: Line) -> None:
    server = await asyncio.start_server(line.take, "127.0.0.1", port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        loop = asyncio.get_running_loop()
        while order := await loop.run_in_executor(None, sys.stdin.readline):
            line.obey(order)
            sys.stdout.write(f"{line.num_connections}\n")
            sys.stdout.flush()


async def _main(port: str, host: str, target: str) -> None:
    await _serve(int(port), Line(host, int(target)))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
