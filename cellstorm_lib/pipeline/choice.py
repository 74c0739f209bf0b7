"""What a person chose for one recording: camera, pixel size, region."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import yaml

from cellstorm_lib.calibrate.estimate import estimate_camera
from cellstorm_lib.calibrate.flat_field import flat_field_from_recording
from cellstorm_lib.calibrate.plausible import check_calibration, mismatches
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import written_whole
from cellstorm_lib.pipeline.calibrate_camera import with_flat_field
from cellstorm_lib.recording import FrameSource, RecordingFacts
from cellstorm_lib.settings import read_settings
from cellstorm_lib.video.quantiser import key_frame_qp


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingChoice:
    """The sidecar of a recording; everything may be left open.

    Attributes
    ----------
    camera : str or None
        Name of a preset or of a camera of the project; None estimates.
    pixel_size_nm : float or None
        Object-side pixel size; None takes what the file says.
    roi : str or None
        ``WxH`` or ``WxH+X+Y`` in pixels; None takes the default field.
    own_flat_field : bool
        Whether to estimate the fall-off of the light from the recording's own background.
    """

    camera: str | None = field(default=None, metadata={"about": "preset, or camera of the project"})
    pixel_size_nm: float | None = field(default=None, metadata={"about": "object-side pixel, nm"})
    roi: str | None = field(default=None, metadata={"about": "WxH or WxH+X+Y, px"})
    own_flat_field: bool = field(
        default=False, metadata={"about": "take the flat field from the recording's background"}
    )

    def __post_init__(self) -> None:
        if self.pixel_size_nm is not None and not 1.0 <= self.pixel_size_nm <= 10_000.0:
            in_um = 0.0 < self.pixel_size_nm < 1.0
            hint = f"; {self.pixel_size_nm:g} um are {1000 * self.pixel_size_nm:g} nm"
            raise SettingsError(
                "pixel_size_nm is the size of a camera pixel in the sample, between 1 and 10000 "
                f"nm, got {self.pixel_size_nm:g}{hint if in_um else ''}"
            )


def sidecar_of(recording: Path) -> Path:
    """Return the path of the YAML that holds the choice for a recording."""
    return recording.with_name(recording.name + ".cellstorm.yaml")


def read_choice(recording: Path) -> RecordingChoice:
    """Return the choice stored beside a recording; all open when there is none."""
    path = sidecar_of(recording)
    return read_settings(RecordingChoice, path) if path.exists() else RecordingChoice()


def write_choice(choice: RecordingChoice, recording: Path) -> None:
    """Store a choice beside a recording."""
    with written_whole(sidecar_of(recording)) as temporary:
        temporary.write_text(yaml.safe_dump(asdict(choice), sort_keys=False), encoding="utf-8")


def calibration_for(
    source: FrameSource, given: CameraCalibration | None, *, own_flat_field: bool = False
) -> tuple[CameraCalibration, tuple[str, ...]]:
    """Return the camera to use for a recording, and what the reader has to know about it.

    A given camera is checked against the frames, and its maps, if any, are cut to the field that
    is read. Without one, a stack that already holds
    photons brings its own scale; otherwise gain and offset are estimated from the frames.
    With `own_flat_field` the fall-off of the light is estimated from the recording's background
    and takes the place of the camera's own.

    Raises
    ------
    CalibrationError
        When the given camera is impossible for these frames, or their background does not tell
        how the light falls off.
    """
    calibration, notes = _camera_of(source, given)
    if not own_flat_field:
        return calibration, notes
    found = flat_field_from_recording(source, calibration)
    note = (
        f"The flat field is estimated from the {found.origin}: the corners receive "
        f"{found.corner_share:.0%} of the light of the middle, and the map is uncertain by "
        f"{found.relative_error:.1%}; {found.reason}."
    )
    return with_flat_field(calibration, found), (*notes, note)


def _camera_of(
    source: FrameSource, given: CameraCalibration | None
) -> tuple[CameraCalibration, tuple[str, ...]]:
    """Return the given camera, the stack's own or the estimated one, and remarks on it."""
    facts = source.facts
    if given is not None:
        check_calibration(given, source)
        return _with_maps_of_the_field(given, facts)
    if facts.photons_per_adu is not None:
        stored = CameraCalibration(
            name=facts.name,
            source="stored in the stack",
            offset_adu=0.0,
            gain_e_per_adu=facts.photons_per_adu,
            read_noise_e=0.0,
            bit_depth=facts.bit_depth,
        )
        return stored, ()
    estimated = estimate_camera(source, key_frame_qp=key_frame_qp)
    low, high = estimated.intervals["gain_e_per_adu"]
    note = (
        "No camera was given: offset and gain are estimated from the recording itself (the gain is "
        f"between {low:.2g} and {high:.2g} e-/grey value), so photon numbers and uncertainties "
        "carry their error. Calibrate the camera (cellstorm calibrate) to be sure of them."
    )
    return estimated, (note,)


def _with_maps_of_the_field(
    given: CameraCalibration, facts: RecordingFacts
) -> tuple[CameraCalibration, tuple[str, ...]]:
    """Return the camera with its maps cut to the field, and what differs from its frames."""
    remarks = mismatches(given, facts)
    if given.maps is None:
        return given, remarks
    if given.maps.shape != (facts.frame_height_px, facts.frame_width_px):
        rows, columns = given.maps.shape
        remark = (
            f"The pixel maps of {given.name} hold {columns} x {rows} pixels, the frames of "
            f"{facts.name} {facts.frame_width_px} x {facts.frame_height_px}: the maps are left out."
        )
        return replace(given, maps=None), (*remarks, remark)
    return given.cropped(facts.roi), remarks


def pixel_size_for(source: FrameSource, given_nm: float | None) -> float:
    """Return the object-side pixel size: the given one, else the file's own.

    Raises
    ------
    SettingsError
        When neither is known, or the given one is impossible.
    """
    if given_nm is not None:
        return float(RecordingChoice(pixel_size_nm=given_nm).pixel_size_nm or 0.0)
    if source.facts.pixel_size_nm is None:
        raise SettingsError(
            f"{source.facts.name} does not say how large a pixel is in the sample; "
            "give --pixel-size-nm (camera pixel divided by magnification, e.g. 80)"
        )
    return source.facts.pixel_size_nm
