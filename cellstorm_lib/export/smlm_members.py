"""The members of an .smlm file, which is a zip: read and written block by block."""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import TableError
from cellstorm_lib.progress import Progress

_BLOCK_BYTES = 1 << 20


def read_member(
    archive: zipfile.ZipFile,
    name: str,
    most_bytes: int,
    path: Path,
    *,
    progress: Progress | None = None,
) -> bytearray:
    """Return a member of an archive, unless it unpacks to more than is plausible.

    Parameters
    ----------
    archive : ZipFile
        The open file.
    name : str
        Of the member.
    most_bytes : int
        What is plausible.
    path : Path
        The file, for messages.
    progress : callable, optional
        Called with the bytes unpacked and those of the member.

    Raises
    ------
    TableError
        When there is no such member, or it claims to be larger.
    """
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise TableError(
            f"{path} is a zip file without {name[:60]!a}; expected an .smlm file"
        ) from None
    if member.file_size > most_bytes:
        raise TableError(
            f"{path} claims {member.file_size} bytes in {name[:60]!a}, which its size cannot "
            "hold; it is damaged"
        )
    content = bytearray()
    with archive.open(member) as stream:
        while block := stream.read(_BLOCK_BYTES):
            content += block
            if progress is not None:
                progress(len(content), member.file_size)
    return content


def write_member(
    archive: zipfile.ZipFile,
    name: str,
    content: npt.NDArray[np.uint8],
    *,
    progress: Progress | None = None,
) -> None:
    """Write a member into an archive; the same content gives the same bytes.

    Parameters
    ----------
    archive : ZipFile
        The open file.
    name : str
        Of the member.
    content : (N,) uint8
        Its bytes.
    progress : callable, optional
        Called with the bytes written and all bytes.
    """
    entry = zipfile.ZipInfo(name)  # its date is fixed, so equal tables give equal files
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.file_size = len(content)  # by which the archive knows how wide its numbers must be
    with archive.open(entry, "w") as stream:
        for start in range(0, len(content), _BLOCK_BYTES):
            stream.write(content[start : start + _BLOCK_BYTES].data)
            if progress is not None:
                progress(min(start + _BLOCK_BYTES, len(content)), len(content))
