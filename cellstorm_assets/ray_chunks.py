"""Pieces of one recording worked on as tasks of a Ray cluster."""

# ruff: noqa: PLC0415 - Ray is an optional part, and takes seconds to import.

import os
import pickle
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from cellstorm_lib import __version__
from cellstorm_lib.errors import CellstormError, RecordingError, SettingsError

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
#: Of a node that is lost, the pieces are worked on again this often.
_MOST_RETRIES = 5
_AHEAD_PER_CORE = 2
_LEAST_AHEAD = 2
_ANSWER_S = 10.0
#: The cluster's head, when this process is no job of the cluster itself.
ADDRESS_VARIABLE = "CELLSTORM_RAY_ADDRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RayChunks:
    """A Ray cluster that this process is connected to.

    Attributes
    ----------
    most_ahead : int
        Pieces under way, or finished and not yet taken, at a time.
    """

    most_ahead: int

    @classmethod
    def connected(cls) -> "RayChunks":
        """Connect to the cluster, unless this process is already.

        Raises
        ------
        SettingsError
            When Ray is not installed, or the cluster does not answer.
        """
        try:
            import ray
        except ModuleNotFoundError as error:
            raise SettingsError(
                "Ray is not installed here; install it with `pip install 'cellstorm[scale]'`"
            ) from error
        if not ray.is_initialized():
            address = os.environ.get(ADDRESS_VARIABLE, "auto")
            from ray.exceptions import AuthenticationError

            try:
                _require_somebody(address)
                ray.init(address=address, log_to_driver=False, logging_level="error")
            except AuthenticationError as error:
                raise SettingsError(
                    f"the Ray cluster at {address} does not let us in; set RAY_AUTH_MODE=token and "
                    "the cluster's RAY_AUTH_TOKEN for all services"
                ) from error
            except (OSError, RuntimeError, ValueError) as error:
                raise SettingsError(
                    f"the Ray cluster at {address} does not answer; start it with `ray start`, or "
                    f"correct {ADDRESS_VARIABLE}"
                ) from error
        cores = int(ray.cluster_resources().get("CPU", 1))
        return cls(most_ahead=max(_LEAST_AHEAD, _AHEAD_PER_CORE * cores))

    def __call__(self, work: Callable[[_Item], _Made], items: Iterable[_Item]) -> Iterator[_Made]:
        """Yield what the cluster makes of each item, see `cellstorm_lib.chunks.MapChunks`."""
        import ray

        task = ray.remote(num_cpus=1, max_retries=_MOST_RETRIES)(_done)
        # once, and not with each piece; as bytes, for arrays that Ray shares cannot be written
        shared = ray.put(pickle.dumps(work))
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(task.remote(shared, item, __version__))
                if len(waiting) >= self.most_ahead:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            for reference in waiting:
                ray.cancel(reference)


def _require_somebody(address: str) -> None:
    """Raise unless somebody listens at an address ``HOST:PORT``; Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()


def _done(shared: bytes, item: Any, version: str) -> Any:
    """Work on an item on a worker; return the result, or the error that tells what is wrong."""
    if version != __version__:
        return SettingsError(
            f"a Ray worker runs cellstorm {__version__}, and the run {version}; install the same "
            "version on all machines"
        )
    try:
        work: Callable[[Any], Any] = pickle.loads(shared)  # noqa: S301 - from the run itself
        return pickle.dumps(work(item))
    except CellstormError as error:
        return error


def _result(reference: Any) -> Any:
    """Return what a task made, or raise what it met."""
    import ray

    try:
        made = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError,
            ray.exceptions.ObjectLostError, ray.exceptions.OutOfMemoryError) as error:  # fmt: skip
        raise RecordingError(
            f"the Ray workers of a piece of the recording were lost {_MOST_RETRIES + 1} times; "
            "see on Ray's page whether they lack memory"
        ) from error
    if isinstance(made, CellstormError):
        raise made
    return pickle.loads(made)  # noqa: S301 - from a worker of our own
