"""Which part of the frames is read."""

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.recording import Roi


def chosen_roi(
    roi: Roi | str | None, *, name: str, width_px: int, height_px: int, is_video: bool
) -> Roi:
    """Return the region to read of frames of a size.

    Parameters
    ----------
    roi : Roi, str or None
        A region, its text ``WxH`` or ``WxH+X+Y``, or None for the usual one: the centred
        512 x 512 of a larger video, the whole frame of anything else.
    name : str
        The file, for messages.
    width_px, height_px : int
        Size of the full frame.
    is_video : bool
        Whether the frames come from a video.

    Raises
    ------
    SettingsError
        When the text cannot be read or the region does not fit into the frame.
    """
    if roi is None and is_video:
        return Roi.centred(width_px, height_px)
    if roi is None:
        return Roi(width_px=width_px, height_px=height_px)
    if isinstance(roi, Roi):
        roi = f"{roi.width_px}x{roi.height_px}+{roi.x_px}+{roi.y_px}"
    try:
        return Roi.parsed(roi, frame_width_px=width_px, frame_height_px=height_px)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error


def chosen_frames(frames: tuple[int | None, int | None] | None, *, name: str, held: range) -> range:
    """Return the frame numbers to read of a file.

    Parameters
    ----------
    frames : (int or None, int or None) or None
        First frame and the one after the last; None for the beginning or the end.
    name : str
        The file, for messages.
    held : range
        Frame numbers of the file.

    Raises
    ------
    SettingsError
        When none of them exists.
    """
    start, stop = frames or (None, None)
    first = held.start if start is None else max(start, held.start if start >= 0 else start)
    end = held.stop if stop is None else min(stop, held.stop)
    if first < 0 or first >= end:
        asked = f"{'' if start is None else start}:{'' if stop is None else stop}"
        raise SettingsError(
            f"{name} has no frames {asked}; "
            f"it holds {held.start} to {held.stop - 1}, so give a start and a stop within "
            f"{held.start}:{held.stop}"
        )
    return range(first, end)


def shared_frames(frames: range, start: int, stop: int) -> range:
    """Return the frames of a range that are at least `start` and below `stop`."""
    first = max(frames.start, start)
    return range(first, max(first, min(frames.stop, stop)))
