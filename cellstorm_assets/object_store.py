"""Tables, pictures and pages in an object store: where it is, and what is wrong with it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from upath import UPath

from cellstorm_lib.errors import ExportError

#: ``s3://BUCKET/PREFIX``, or anything else fsspec knows; without it the project's own folder.
STORE_VARIABLE = "CELLSTORM_STORE"
#: Of S3: a store that does not answer is told of soon. Ours alone; nothing is said of others.
_S3_CONFIG = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}
_REMEDIES = {
    "connect": "start its server, or correct AWS_ENDPOINT_URL",
    "timed out": "see that its server answers, or correct AWS_ENDPOINT_URL",
    "bucket": "make the bucket, or correct CELLSTORM_STORE",
    "clock": "set the clock of this machine, it differs from the store's",
    "space": "empty the store of old stacks, or give it more room",
    "access": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that may write there",
}
_SIGNS = (
    ("connect", ("connect", "resolve")),
    ("timed out", ("timed out", "timeout")),
    ("clock", ("requesttimetooskewed", "too large", "skewed", "request has expired")),
    ("space", ("no space", "insufficient", "quota", "slowdown", "no writable", "no free volume")),
    ("bucket", ("bucket does not exist", "nosuchbucket", "no such bucket")),
    ("access", ("denied", "forbidden", "credential", "signature", "access key", "permission")),
)


def store_path(uri: str) -> UPath:
    """Return a place in a store, which is asked only when something is read or written."""
    if uri.startswith("s3://"):
        return UPath(uri, config_kwargs=_S3_CONFIG)
    return UPath(uri)


def store_in_use() -> UPath | None:
    """Return where the store of results is; None where it is a folder of the project, or a disk."""
    uri = os.environ.get(STORE_VARIABLE, "")
    path = store_path(uri) if uri else None
    return None if path is None or path.protocol in {"", "file"} else path


@contextmanager
def store_told_plainly(place: str) -> Iterator[None]:
    """Turn an error of the store into one sentence; a missing file stays what it is.

    Raises
    ------
    ExportError
        When the store cannot be reached, does not let us in, or is full.
    """
    try:
        yield
    except Exception as error:
        text = f"{type(error).__name__}: {error}".lower()
        kind = next((name for name, signs in _SIGNS if any(s in text for s in signs)), None)
        if kind is None:
            raise
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise ExportError(
            f"the store at {place} cannot be used: {reason}; {_REMEDIES[kind]}"
        ) from (error)


def require_store(uri: str) -> None:
    """Write, read and remove a small file in a store.

    Raises
    ------
    ExportError
        When that fails.
    """
    probe = store_path(uri) / ".cellstorm-writable"
    with store_told_plainly(uri):
        try:
            probe.write_bytes(b"x")
            probe.read_bytes()
            probe.unlink()
        except FileNotFoundError as error:
            raise ExportError(
                f"the store at {uri} cannot be used: there is no such bucket; make the bucket, or "
                f"correct {STORE_VARIABLE}"
            ) from error


def look_of(details: Mapping[str, Any]) -> tuple[int, str]:
    """Return size and state of a listed file of a store, one of which differs once it is replaced.

    Parameters
    ----------
    details : mapping
        What the listing of its file system says of it.
    """
    states = (details.get(name) for name in ("ETag", "LastModified", "created", "mtime"))
    return int(details["size"]), str(next((state for state in states if state), ""))
