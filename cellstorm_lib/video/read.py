"""Any recording opened: the content of the file decides how it is read."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from cellstorm_lib.errors import RecordingError, refusing
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import Roi
from cellstorm_lib.video.containers import Container, container_of
from cellstorm_lib.video.dax import open_dax, open_raw
from cellstorm_lib.video.dng import open_dng
from cellstorm_lib.video.field import chosen_frames
from cellstorm_lib.video.loss import refuse_damaged
from cellstorm_lib.video.sif import open_sif
from cellstorm_lib.video.stack import StackSource
from cellstorm_lib.video.tiff_pages import open_tiff
from cellstorm_lib.video.video import VideoSource
from cellstorm_lib.video.video_file import open_video

_STACKS: dict[Container, Callable[..., StackSource]] = {
    "tiff": open_tiff,
    "dng": open_dng,
    "sif": open_sif,
    "dax": open_dax,
    "raw": open_raw,
}
_ENDINGS = {
    ".mp4": "a video", ".mov": "a video", ".m4v": "a video", ".mkv": "a video",
    ".tif": "a TIFF file", ".tiff": "a TIFF file", ".sif": "an Andor SIF file",
    ".dng": "a DNG raw file",
}  # fmt: skip


def open_recording(
    path: Path,
    *,
    roi: Roi | str | None = None,
    frames: tuple[int | None, int | None] | None = None,
    progress: Progress | None = None,
) -> VideoSource | StackSource:
    """Open a recording of any kind; what it is is told by its content, not by its name.

    Read are H.264 and HEVC video in MP4, MOV and MKV; TIFF, BigTIFF, OME-TIFF and ImageJ stacks;
    DNG raw files; .dax with .inf; Picasso's .raw with .yaml; Andor .sif.

    Parameters
    ----------
    path : Path
        The file. It is never modified.
    roi : Roi, str or None
        The region to read, also as ``WxH`` (centred) or ``WxH+X+Y``; None for the centred
        512 x 512 of a larger video and the whole frame of anything else.
    frames : (int or None, int or None) or None
        First frame and the one after the last; the file's own numbers are kept.
    progress : callable, optional
        Called with what is done and the whole: all of the file is read, to know it again.

    Returns
    -------
    FrameSource
        Cheap to keep, picklable, readable any number of times.

    Raises
    ------
    RecordingError
        When the file cannot be read, or lacks more of the chosen frames than is accepted.
    SettingsError
        When the region or the frames do not exist in it.
    """
    path = Path(path)
    container = _container_of(path)
    source: VideoSource | StackSource
    with refusing(RecordingError, path, "cannot be read", "copy it from the camera again"):
        if container in _STACKS:
            source = _STACKS[container](path, roi=roi, progress=progress)
        else:
            source = open_video(path, container, roi=roi, progress=progress)
    first = source.frame_range.start
    held = range(first, first + source.facts.frame_count)
    wanted = chosen_frames(frames, name=path.name, held=held)
    source = dataclasses.replace(source, frame_range=wanted)
    refuse_damaged(source.known_loss(), path.name)
    return source


def named_kind(path: Path) -> str | None:
    """Return what the ending of a name promises, in words; None when it promises nothing."""
    return _ENDINGS.get(path.suffix.lower())


def _container_of(path: Path) -> Container:
    """Return the kind of a file, or say why it is no recording."""
    if path.is_dir():
        raise RecordingError(f"{path} is a folder; give the name of a recording in it")
    try:
        if not path.stat().st_size:
            raise RecordingError(
                f"{path} is empty (0 bytes); copy the recording from the camera again"
            )
        container = container_of(path)
    except FileNotFoundError as error:
        raise RecordingError(f"{path} does not exist; check the name of the recording") from error
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be read: {error.strerror}; check that you may read it"
        ) from error
    if container == "camera_raw":
        raise RecordingError(
            f"{path} is the raw file of a camera's maker, but of raw files only DNG is read; "
            "convert it to DNG without demosaicing (as Adobe's DNG Converter does)"
        )
    if container is not None:
        return container
    named = named_kind(path)
    if named:
        raise RecordingError(
            f"{path} is named like {named}, but does not begin like one; it is damaged or was "
            "renamed, so copy it from the camera again"
        )
    raise RecordingError(
        f"{path} is no recording that can be read; expected is H.264 or HEVC video (.mp4, .mov, "
        ".mkv), a TIFF stack, a DNG raw file, .dax with .inf, or .sif"
    )
