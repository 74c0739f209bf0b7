"""Which process of which machine this is, told so that others can say later whether it is gone.

The number of a process says little: it is given again after a restart, and two containers on one
machine give the same numbers to different processes. So the machine, its start, the space in which
the number counts, and the start of the process go with it.
"""

import os
import platform
import re
import subprocess
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

_UNKNOWN = "0" * 8
_TEXT = re.compile(
    r"(?P<host>[0-9a-f]{8})(?P<boot>[0-9a-f]{8})(?P<space>[0-9a-f]{8})"
    r"-(?P<pid>[0-9a-f]{1,8})-(?P<began>[0-9a-f]{1,16})"
)
#: No system gives higher numbers.
_LAST_PID = 1 << 22
#: Between the start of a process and what it says first; clocks are set now and then.
_SLACK_S = 5.0
_DAY_S, _HOUR_S, _MINUTE_S = 86400, 3600, 60
#: Of what a process's ``stat`` says after its name: its state, and when it began.
_STATE, _BEGAN = 0, 19


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMark:
    """What tells one process from all others.

    Attributes
    ----------
    host : str
        Digest of the machine's name and identity, 8 hexadecimal digits, as the next two.
    boot : str
        Digest of this start of the machine; zeros where the system does not say.
    space : str
        Digest of the space in which numbers of processes count, one for each container; zeros
        where the system knows no such thing.
    pid : int
        The number of the process.
    began : int
        When it began, in the system's ticks since the machine started; 0 where it does not say.
    """

    host: str
    boot: str
    space: str
    pid: int
    began: int

    def text(self) -> str:
        """Return it as text that may stand in a file name."""
        return f"{self.host}{self.boot}{self.space}-{self.pid:x}-{self.began:x}"

    @classmethod
    def parsed(cls, text: str) -> Self | None:
        """Read what `text` wrote; None for anything else."""
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        names = ("host", "boot", "space")
        return cls(
            **{name: found[name] for name in names},
            pid=int(found["pid"], 16),
            began=int(found["began"], 16),
        )


def this_process() -> ProcessMark:
    """Return the mark of this process; a forked one has its own."""
    return _mark_of(os.getpid())


def is_gone(mark: ProcessMark) -> bool | None:
    """Return whether a process has ended.

    Returns
    -------
    bool or None
        None when it cannot be told from here: it is of another machine, or of another container
        of this one.
    """
    here = this_process()
    if mark.host != here.host or os.name == "nt" or not 0 < mark.pid <= _LAST_PID:
        return None
    if mark.boot != here.boot:
        return True
    if mark.space != here.space:
        return None
    began = _began(mark.pid)
    return began is None or (bool(mark.began and began) and mark.began != began)


def is_alive(pid: int, *, since: float) -> bool:
    """Return whether a process of this machine runs that ran at a time already.

    For one whose mark is not known.

    Parameters
    ----------
    pid : int
        Its number; numbers are given again after a while, and after every restart.
    since : float
        A time at which it ran, seconds since 1970.
    """
    age_s = _age_s(pid)
    return age_s is not None and time.time() - age_s <= since + _SLACK_S


@cache
def _mark_of(pid: int) -> ProcessMark:
    """Return the mark of a process of this machine and space."""
    name, identity = platform.node(), _read(Path("/etc/machine-id"))
    space = ""
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return ProcessMark(
        host=_short(f"{name} {identity}"),
        boot=_short(_read(Path("/proc/sys/kernel/random/boot_id"))),
        space=_short(space),
        pid=pid,
        began=_began(pid) or 0,
    )


def _began(pid: int) -> int | None:
    """Return when a process began; 0 where that is not told, None when there is none any more."""
    stat = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if len(stat) > _BEGAN:
        return None if stat[_STATE] in {"Z", "X"} else int(stat[_BEGAN])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # another user's, which may be hidden
        return 0
    return 0


def _age_s(pid: int) -> float | None:
    """Return how long ago a process began; None when there is none, or only its ashes."""
    began = _began(pid)
    if began is None:
        return None
    up_s = _read(Path("/proc/uptime")).partition(" ")[0]
    return float(up_s) - began / os.sysconf("SC_CLK_TCK") if began and up_s else _age_by_ps(pid)


def _age_by_ps(pid: int) -> float | None:
    """Return the same by the command that every Unix has."""
    told = subprocess.run(  # noqa: S603 - a number, and no shell
        ["ps", "-o", "stat=", "-o", "etime=", "-p", str(pid)],  # noqa: S607 - where it is differs
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if len(told) != 2 or told[0].startswith("Z"):
        return None
    days, _, clock = told[1].rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    hours, minutes, seconds = [0] * (3 - len(parts)) + parts
    return float(int(days or 0) * _DAY_S + hours * _HOUR_S + minutes * _MINUTE_S + seconds)


def _read(path: Path) -> str:
    """Return a small text; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _short(text: str) -> str:
    """Return a short digest; zeros of nothing."""
    return f"{zlib.crc32(text.encode(errors='replace')):08x}" if text else _UNKNOWN
