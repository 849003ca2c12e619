# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy on loopback that cuts, stalls, slows or delays what passes: a bad network for the tests."""

from __future__ import annotations

import argparse
import contextlib
import queue
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from realparts.command import serve
from realparts.line import Line, Stalls
from realparts.process import free_ports

_CHUNK = 1 << 16
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards connections to ``target_port``; a context manager.

    ``cut_after`` lists byte counts: the first connection is reset once its client has sent that
    many bytes, the second after the second count, and so on; connections beyond the list live.
    ``delay`` is the latency added each way, in seconds.  Once clients have sent ``mute_after`` bytes in
    all, nothing passes any more, either way (see :meth:`stall`); ``sent`` counts what clients have sent,
    ``received`` what servers have.
    Each time they have sent as many as the next of ``cut_all_after``, every connection is reset.
    All connections together get no more than ``line`` lets pass.
    """

    def __init__(
        self,
        target_port: int,
        target_host: str = "127.0.0.1",
        cut_after: Sequence[int] = (),
        delay: float = 0.0,
        port: int = 0,
        *,
        mute_after: int | None = None,
        cut_all_after: Sequence[int] = (),
        line: Line | None = None,
    ) -> None:
        self.delay = delay
        self.connections = 0
        self.cuts = 0
        self.sent = 0
        self.received = 0
        self._mute_after = mute_after
        self._cut_all_after = sorted(cut_all_after)
        self._line = line
        self.target_port = target_port
        self._target = (target_host, target_port)
        self._cut_after = list(cut_after)
        self._flowing = threading.Event()
        self._flowing.set()
        self._listening = threading.Event()
        self._listening.set()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._ended: set[socket.socket] = set()
        # A port that is asked for by its number stays bound while connections are refused.
        self.port: int = port or free_ports(1)[0]
        self._listener = socket.create_server(("127.0.0.1", self.port))

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *unused_details: object) -> None:
        self._closed.set()
        self._flowing.set()
        self._listening.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    @property
    def is_alive(self) -> bool:
        """Whether it still accepts."""
        return not self._closed.is_set()

    def cut(self) -> int:
        """Reset every connection that is open now; return how many sockets that were, two a connection."""
        victims = self._taken()
        for one in victims:
            _reset(one)
        return len(victims)

    def end(self) -> int:
        """End every connection that is open now as a server does that closes it; return as :meth:`cut`."""
        victims = self._taken()
        for one in victims:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        return len(victims)

    def refuse(self) -> None:
        """Refuse new connections, as a port does where nobody listens; those that are open live."""
        if self._listening.is_set():
            self._listening.clear()
            # The port stays bound: nobody else can take it meanwhile.  Twice would outlast the next listen.
            self._listener.shutdown(socket.SHUT_RDWR)

    def accept(self) -> None:
        """Take new connections again."""
        if not self._listening.is_set():
            self._listener.listen()
            self._listening.set()

    def stall(self) -> None:
        """Swallow: connections are accepted, bytes go nowhere, nothing ever answers."""
        self._flowing.clear()

    def resume(self) -> None:
        """Let the bytes flow again."""
        self._flowing.set()

    def resume_after(self, seconds: float) -> None:
        """Let the bytes flow again in a while."""
        timer = threading.Timer(seconds, self.resume)
        timer.daemon = True
        timer.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            self._listening.wait()
            try:
                client = self._listener.accept()[0]
            except OSError:
                continue
            with self._lock:
                self.connections += 1
                limit = self._cut_after.pop(0) if self._cut_after else None
            threading.Thread(target=self._connect, args=(client, limit), daemon=True).start()

    def _connect(self, client: socket.socket, limit: int | None) -> None:
        self._flowing.wait()
        try:
            server = socket.create_connection(self._target)
        except OSError:
            _reset(client)
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open += [client, server]
        threading.Thread(target=self._pump, args=(client, server, limit, True), daemon=True).start()
        threading.Thread(target=self._pump, args=(server, client, None, False), daemon=True).start()

    def _pump(
        self, source: socket.socket, target: socket.socket, limit: int | None, from_client: bool
    ) -> None:
        """Carry bytes one way until an end closes or ``limit`` bytes have passed."""
        late: queue.Queue[tuple[float, bytes]] = queue.Queue(maxsize=1024)
        if self.delay:
            threading.Thread(target=self._deliver_late, args=(late, source, target), daemon=True).start()
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK if limit is None else min(_CHUNK, max(1, limit - passed))):
                self._flowing.wait()
                self._count(data, from_client)
                self._flowing.wait()
                if self._line is not None:
                    time.sleep(max(0.0, self._line.wait_for(len(data), up=from_client)))
                if self.delay:
                    late.put((time.monotonic() + self.delay, data))
                else:
                    target.sendall(data)
                passed += len(data)
                if limit is not None and passed >= limit:
                    self.cuts += 1
                    self._cut_pair(source, target)
                    return
        if self.delay:
            late.put((time.monotonic() + self.delay, b""))
            return
        self._pass_end_on(source, target)

    def _pass_end_on(self, source: socket.socket, target: socket.socket) -> None:
        """Pass the end of one way on; not where both are being cut: a FIN would be seen before the reset.

        Who has ended both ways is closed.
        """
        with self._lock, contextlib.suppress(OSError):
            if target not in self._open:
                return
            self._ended.add(target)
            if source in self._ended:
                self._open = [one for one in self._open if one not in (source, target)]
                self._ended -= {source, target}
                source.close()
                target.close()
            else:
                target.shutdown(socket.SHUT_WR)

    def _count(self, data: bytes, from_client: bool) -> None:
        """Count what was sent; cut, or fall silent, before the client's bytes with which it is enough."""
        with self._lock:
            if not from_client:
                self.received += len(data)
                return
            self.sent += len(data)
            enough = self._mute_after is not None and self.sent > self._mute_after
            cut = bool(self._cut_all_after) and self.sent >= self._cut_all_after[0]
            if cut:
                del self._cut_all_after[0]
                self.cuts += 1
        if cut:
            self.cut()
        if enough:
            self.stall()

    def _deliver_late(
        self, late: queue.Queue[tuple[float, bytes]], source: socket.socket, target: socket.socket
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = late.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    self._pass_end_on(source, target)
                    return
                target.sendall(data)

    def _taken(self) -> list[socket.socket]:
        """Return what is open, which from now on is nobody's but the caller's."""
        with self._lock:
            victims, self._open = self._open, []
            self._ended.clear()
        return victims

    def _cut_pair(self, *pair: socket.socket) -> None:
        with self._lock:
            self._open = [one for one in self._open if one not in pair]
            self._ended.difference_update(pair)
        for one in pair:
            _reset(one)


def _reset(one: socket.socket) -> None:
    """Close so that the other end sees a reset; no FIN before it, but wake whoever reads from it here."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RD)
    one.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a proxy until TERM; then tell what it has carried."""
    parser = argparse.ArgumentParser(prog="realparts.proxy", description=__doc__)
    parser.add_argument("target_port", type=int)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds each way")
    parser.add_argument("--rate", type=float, help="bytes a second each way; left out: as fast as it goes")
    parser.add_argument("--stall-every", type=float, default=0.0, help="seconds between stalls")
    parser.add_argument("--stall-length", type=float, default=2.0, help="seconds of a stall")
    parser.add_argument("--cut-all-after", type=int, nargs="*", default=(), help="bytes clients have sent")
    options = parser.parse_args(arguments)
    stalls = Stalls(options.stall_every, options.stall_length)
    proxy = Proxy(
        options.target_port,
        delay=options.delay,
        port=options.port,
        cut_all_after=options.cut_all_after,
        line=Line(options.rate, stalls) if options.rate else None,
    )
    status = serve(proxy, options.port_file)
    sys.stdout.write(f"{proxy.sent} bytes up, {proxy.received} down, {proxy.cuts} cuts\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
