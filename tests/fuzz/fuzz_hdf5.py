"""The child process of the HDF5 reader, kept for many inputs: a new one for each is far slower.

It runs the reader's own script on the same arguments under the same limits, so what reaches the
caller is the same: a result, a sentence, or the news that the child has died. When an input makes
it crash, run out of time or grow, it ends, and the next input gets a new one. Only the start of
Python and h5py is left out; `tests/lib/export` tries that.
"""

import os
import resource
import signal
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from cellstorm_lib.export import hdf5, hdf5_child

#: A child that has held more than this ends, so that the memory of one input is seen.
_SMALL_BYTES = 512 << 20
_MOST_INPUTS = 2000


class _Child:
    """A process that reads one HDF5 file after the other."""

    def __init__(self) -> None:
        self.process = 0
        self.caller: Connection | None = None

    def run(self, command: list[str], **_options: Any) -> subprocess.CompletedProcess[bytes]:
        """Read a file, as `subprocess.run` with the same command does."""
        caller = self.caller or self._begin()
        caller.send(command[-3:])
        try:
            status, message, goes_on = caller.recv()
        except EOFError:
            status, message, goes_on = self._end(), b"", False
        else:
            if not goes_on:
                self._end()
        return subprocess.CompletedProcess(command, status, b"", message)

    def _begin(self) -> Connection:
        """Start the process; return the way to it."""
        self.caller, child = Pipe()
        self.process = os.fork()
        if not self.process:
            self.caller.close()
            try:
                _read_files(child)
            finally:
                os._exit(3)
        child.close()
        return self.caller

    def _end(self) -> int:
        """Wait for the end of the process; return its status."""
        if self.caller is not None:
            self.caller.close()
        self.caller = None
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def _read_files(caller: Connection) -> None:
    """Read files until the caller ends, or there is a reason to start anew."""
    hdf5_child.limit_time = _limit_time
    for number in range(_MOST_INPUTS):
        what, path, folder = caller.recv()
        status, message = 0, b""
        try:
            hdf5_child.main(what, Path(path), Path(folder))
        except Exception as error:  # noqa: BLE001 - as the script itself does
            status, message = 1, " ".join(str(error).split()).encode()
        except BaseException:  # noqa: BLE001
            status = 2
        signal.setitimer(signal.ITIMER_PROF, 0)
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        caller.send((status, message, peak < _SMALL_BYTES and number < _MOST_INPUTS - 1))


def _limit_time(size_bytes: int) -> None:
    """Have the system end this process when one file takes as long as the script allows."""
    seconds = hdf5_child._CPU_SECONDS + size_bytes // hdf5_child._BYTES_PER_CPU_SECOND
    signal.setitimer(signal.ITIMER_PROF, seconds)


def read_hdf5_in_one_process() -> None:
    """Have the HDF5 reader use the same child process for many files."""
    stand_in = type(sys)("subprocess")
    stand_in.run = _Child().run  # type: ignore[attr-defined]
    stand_in.TimeoutExpired = subprocess.TimeoutExpired  # type: ignore[attr-defined]
    hdf5.subprocess = stand_in  # type: ignore[attr-defined]
