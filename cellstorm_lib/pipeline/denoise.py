"""A recording denoised into a stack beside it, and what is to be said of that."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib import __version__
from cellstorm_lib.calibrate.few_frames import few_frames
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.chunks import FAN_OUT_PX, MapChunks, Piece, part_around
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.files import digest_of
from cellstorm_lib.gan.denoise import DenoisedScale, denoised_chunks
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.domain import domain_remarks
from cellstorm_lib.pipeline.lineage import STEPS, model_input
from cellstorm_lib.pipeline.pieces import PIECE_PX, Pieces, kept_pieces
from cellstorm_lib.pipeline.result import DenoiseReport
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.video.tiff import write_stack

_SAMPLED_FRAMES, _SAMPLED_PIXELS = 16, 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """A denoiser at work, and what people call it.

    Attributes
    ----------
    denoiser : Denoiser
    label : str
        Its name and version.
    """

    denoiser: Denoiser
    label: str

    @property
    def named_input(self) -> str:
        """The network as an input of results."""
        return model_input(self.label, self.denoiser.checkpoint.digest)


def denoise_recording(  # noqa: PLR0913 - film, network, stack, and how each is handled
    source: FrameSource,
    calibration: CameraCalibration,
    network: Network,
    out: Path,
    *,
    pixel_size_nm: float | None,
    progress: Progress | None = None,
    piece_px: int = PIECE_PX,
    fan_out_px: int = FAN_OUT_PX,
    map_chunks: MapChunks | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> DenoiseReport:
    """Denoise every frame of a recording and write the stack, whole or not at all.

    A long one is kept piece by piece beside `out` until it is written: when the process is killed
    the next call goes on where it was, and writes the very same stack.

    Parameters
    ----------
    source : FrameSource
        The recording.
    calibration : CameraCalibration
        Its camera.
    network : Network
        What denoises.
    out : Path
        An OME-TIFF; photoelectrons of molecules = value * photons_per_adu, no background. It
        keeps pixel size, scale, calibration, and the network's name and digest. Frames keep
        the recording's own numbers: `first_frame` among its details is that of the first.
    pixel_size_nm : float or None
        Object-side pixel size; None leaves it out.
    progress : callable, optional
        Called with frames done and frames in all.
    piece_px : int, optional
        Pixels of all frames of a piece; recordings of up to two are written at once.
    fan_out_px : int, optional
        The same where others work on it.
    map_chunks : MapChunks, optional
        Who denoises the pieces, unless a graphics card does; each of them must reach the folder
        of `out`. By default threads of this process do.
    lineage : mapping, optional
        What the stack is made from, as plain content; kept in it.

    Raises
    ------
    RecordingError
        When there is no frame, or frames are too small.
    ExportError
        When the file cannot be written.
    """
    began = time.perf_counter()
    remarks = unlike_training(source, calibration, network.denoiser)
    work = _Work(
        source=source, calibration=calibration, network=network, lineage=dict(lineage or {})
    )
    fans_out = map_chunks is not None and network.denoiser.is_on_cpu
    length = max(1, (fan_out_px if fans_out else piece_px) // max(1, work.frame_px))
    if not source.facts.digest or len(source.frame_range) <= 2 * length:
        shares = work.write_at_once(out, pixel_size_nm, progress)
    else:
        frame_count = len(source.frame_range)
        with kept_pieces(out, work.key(length), length=length, frame_count=frame_count) as pieces:
            if pieces is None:
                shares = work.write_at_once(out, pixel_size_nm, progress)
            elif map_chunks is not None and fans_out:
                made = map_chunks(partial(_piece, work=work, pieces=pieces), work.numbers(length))
                shares = work.write_fanned_out(out, pixel_size_nm, pieces, made, progress)
            else:
                shares = work.write_by_pieces(out, pixel_size_nm, pieces, progress)
    return DenoiseReport(
        frames=len(source.frame_range),
        model=network.label,
        model_digest=network.denoiser.checkpoint.digest,
        engine=network.denoiser.engine,
        remarks=remarks,
        frames_per_second=len(source.frame_range) / max(time.perf_counter() - began, 1e-9),
        active_share=float(np.mean([share for share in shares if share is not None])),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """The denoising of one recording."""

    source: FrameSource
    calibration: CameraCalibration
    network: Network
    lineage: Mapping[str, Any]

    @property
    def frame_px(self) -> int:
        """Pixels of a frame."""
        return self.source.facts.roi.width_px * self.source.facts.roi.height_px

    def key(self, length: int) -> str:
        """Return a digest of everything that decides what is in the pieces of the stack."""
        denoiser, frames = self.network.denoiser, self.source.frame_range
        code = f"{__version__} {STEPS['denoised_stack'].code}"
        inputs = {**self._details(), "program": code, "gate": denoiser.gate, "length": length}
        return digest_of({**inputs, "frames": [frames.start, frames.stop]})

    def numbers(self, length: int) -> range:
        """Return the numbers of the pieces."""
        return range(-(-len(self.source.frame_range) // length))

    def write_at_once(
        self, out: Path, pixel_size_nm: float | None, progress: Progress | None
    ) -> list[float | None]:
        """Write the stack; return the share of each frame that was computed, None of lost ones."""
        shares: list[float | None] = []
        self._write(out, self.frames(shares, progress=progress), pixel_size_nm)
        return shares

    def write_by_pieces(
        self, out: Path, pixel_size_nm: float | None, pieces: Pieces, progress: Progress | None
    ) -> list[float | None]:
        """Do the same, beginning with the first piece that is not finished."""
        shares = pieces.finished()
        numbers = self.numbers(pieces.length)
        frames = self.frames(shares, progress=progress)
        for number in numbers[-(-len(shares) // pieces.length) :]:
            pieces.keep(number, islice(frames, pieces.length), shares)
        self._write(out, pieces.frames(len(numbers)), pixel_size_nm)
        return shares

    def write_fanned_out(
        self,
        out: Path,
        pixel_size_nm: float | None,
        pieces: Pieces,
        made: Iterable[list[float | None]],
        progress: Progress | None,
    ) -> list[float | None]:
        """Do the same of pieces that others make, each of which tells the shares of its frames."""
        shares: list[float | None] = []
        for piece in made:
            shares += piece
            if progress is not None:
                progress(len(shares), len(self.source.frame_range))
        self._write(out, pieces.frames(len(self.numbers(pieces.length))), pixel_size_nm)
        return shares

    def frames(
        self,
        shares: list[float | None],
        *,
        of: FrameSource | None = None,
        count: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[npt.NDArray[np.uint16]]:
        """Yield each frame for which there is no share yet as a stack of one, and add its share.

        Frames that were lost are black. `of` is a part of the recording that holds what is wanted,
        `count` where to stop, counted from the recording's first frame.
        """
        source, scale = self.source, DenoisedScale.of(self.calibration)
        black = np.zeros((1, source.facts.roi.height_px, source.facts.roi.width_px), np.uint16)
        first = source.frame_range.start
        count = len(source.frame_range) if count is None else count
        chunks = denoised_chunks(
            source if of is None else of,
            self.calibration,
            self.network.denoiser,
            begin=first + len(shares),
            progress=progress,
        )
        with closing(chunks):
            for chunk in takewhile(lambda made: made.frame[0] < first + count, chunks):
                values = scale.values(chunk.light_e)
                for frame, number in enumerate(chunk.frame[chunk.frame < first + count] - first):
                    while len(shares) < number:
                        shares.append(None)
                        yield black
                    shares.append(float(chunk.active_shares[frame]))
                    yield values[frame : frame + 1]
        while len(shares) < count:
            shares.append(None)
            yield black

    def _write(
        self, out: Path, values: Iterable[npt.NDArray[Any]], pixel_size_nm: float | None
    ) -> None:
        """Write the stack."""
        facts, scale = self.source.facts, DenoisedScale.of(self.calibration)
        write_stack(
            out,
            values,
            pixel_size_nm=pixel_size_nm,
            frame_rate_hz=facts.frame_rate_hz,
            photons_per_adu=scale.step_e,
            is_denoised=True,
            description="photoelectrons of molecules, denoised; photoelectrons = value * "
            "photons_per_adu",
            details=self._details() | ({LINEAGE: dict(self.lineage)} if self.lineage else {}),
        )

    def _details(self) -> dict[str, Any]:
        """Return what the stack says of itself."""
        facts, denoiser = self.source.facts, self.network.denoiser
        return {
            "source": facts.name,
            "source_digest": facts.digest,
            "calibration": self.calibration.plain(),
            "calibration_digest": self.calibration.digest,
            "model": self.network.label,
            "model_digest": denoiser.checkpoint.digest,
            "engine": denoiser.engine,
            "first_frame": self.source.frame_range.start,
            "region_px": asdict(facts.roi),
        }


def _piece(number: int, *, work: _Work, pieces: Pieces) -> list[float | None]:
    """Denoise a piece and keep it, unless it is kept already; return the shares of its frames."""
    kept = pieces.kept(number)
    if kept is not None:
        return kept
    if not pieces.folder.is_dir():
        raise SettingsError(
            f"{pieces.folder} is not there on a machine that denoises pieces; let all machines "
            "share the project's folder, or set CELLSTORM_CHUNKS=threads"
        )
    source, begin = work.source, number * pieces.length
    count = min(begin + pieces.length, len(source.frame_range))
    first = source.frame_range.start
    wanted = Piece(begin=first + begin, stop=first + count)
    part = part_around(source, wanted, reach=work.network.denoiser.reach)
    shares: list[float | None] = [None] * begin
    pieces.keep(number, work.frames(shares, of=part, count=count), shares)
    return shares[begin:]


def unlike_training(
    source: FrameSource, calibration: CameraCalibration, denoiser: Denoiser
) -> tuple[str, ...]:
    """Return in what a recording differs from the film a network was trained on.

    The background is the median of some frames spread over the recording.
    """
    frames = few_frames(source, most_frames=_SAMPLED_FRAMES, most_pixels=_SAMPLED_PIXELS)
    if not frames.size:
        return ()
    background_adu = float(np.median(frames))
    return domain_remarks(
        denoiser.checkpoint.domain,
        gain_e_per_adu=calibration.gain_e_per_adu,
        background_e=(background_adu - calibration.offset_adu) * calibration.gain_e_per_adu,
        bits_per_px=source.facts.bits_per_px if source.facts.is_video else 0.0,
    )
