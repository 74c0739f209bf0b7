"""A recording localized as another program would: its settings, or those of its protocol."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import digest_of
from cellstorm_lib.localize.like.protocol import ThunderstormProtocol, read_protocol
from cellstorm_lib.localize.like.run import localize_like
from cellstorm_lib.localize.like.settings import LikeSettings, program_of, settings_like
from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.tables import Localizations

_PROTOCOLS_OF = "thunderstorm"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherProgram:
    """Another program with its settings.

    Attributes
    ----------
    settings : LikeSettings
        Whose they are, that program is meant.
    protocol : ThunderstormProtocol or None
        Where they come from; it also states a camera and a pixel size.
    """

    settings: LikeSettings
    protocol: ThunderstormProtocol | None = None

    @property
    def name(self) -> str:
        """Name of the program."""
        return program_of(self.settings)

    def camera(
        self, source: FrameSource, given: CameraCalibration | None
    ) -> CameraCalibration | None:
        """Return the given camera, else the protocol's, else None."""
        if given is not None or self.protocol is None:
            return given
        return self.protocol.calibration(source.facts.bit_depth)

    def pixel_size_nm(self, given_nm: float | None) -> float | None:
        """Return the given pixel size, else the protocol's, else None."""
        if given_nm is not None or self.protocol is None:
            return given_nm
        return self.protocol.pixel_size_nm

    def notes(
        self, camera: CameraCalibration | None, pixel_size_nm: float | None
    ) -> tuple[str, ...]:
        """Return what is not done as the protocol says, given camera and pixel size included."""
        if self.protocol is None:
            return ()
        notes = list(self.protocol.notes)
        if camera is not None:
            notes.append(f"{self.protocol.name}: its camera is not used, one was given")
        if pixel_size_nm not in (None, self.protocol.pixel_size_nm):
            notes.append(
                f"{self.protocol.name}: its pixel of {self.protocol.pixel_size_nm:g} nm is not "
                "used, another was given"
            )
        return tuple(notes)


def other_program(
    like: str | None, given: Sequence[str], protocol: Path | None
) -> OtherProgram | None:
    """Return the program that is to be imitated, None for none.

    Parameters
    ----------
    like : str or None
        ``thunderstorm``, ``picasso`` or ``rapidstorm``; a protocol alone means ThunderSTORM.
    given : sequence of str
        Settings as ``min_net_gradient=400``, before those of the protocol.
    protocol : Path or None
        A ThunderSTORM protocol.

    Raises
    ------
    SettingsError
        When they do not belong together, or a setting is impossible.
    """
    if protocol is None:
        if like is None and given:
            raise SettingsError("--like-settings are those of a program; name it with --like")
        return None if like is None else OtherProgram(settings=settings_like(like, given))
    if like not in (None, _PROTOCOLS_OF):
        raise SettingsError(f"{protocol} is a protocol of ThunderSTORM, not of {like}")
    read = read_protocol(protocol)
    settings = settings_like(_PROTOCOLS_OF, given, start=read.settings)
    return OtherProgram(settings=settings, protocol=read)


def find_spots_like(
    source: FrameSource,
    calibration: CameraCalibration,
    pixel_size_nm: float,
    program: OtherProgram,
    *,
    progress: Progress | None = None,
) -> tuple[Localizations, LocalizeReport]:
    """Localize a recording as another program and note in the table where it comes from."""
    spots, report = localize_like(
        source,
        calibration,
        pixel_size_nm=pixel_size_nm,
        settings=program.settings,
        progress=progress,
    )
    origin = {
        "source": source.facts.name,
        "source_digest": source.facts.digest,
        "calibration": calibration.plain(),
        "calibration_digest": calibration.digest,
        "like": program.name,
        "settings": asdict(program.settings),
        "settings_digest": digest_of(program.settings),
    }
    return spots.with_provenance(**origin), report
