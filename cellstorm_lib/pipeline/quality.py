"""How good one table and its image are: every measure of quality, with what it cannot tell."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.evaluate.checks import GridReport, grid_test, subpixel_bias_test
from cellstorm_lib.evaluate.decorrelation import DecorrelationReport, measure_decorrelation
from cellstorm_lib.evaluate.error_map import ErrorMapReport, map_errors, not_compared
from cellstorm_lib.evaluate.molecule_count import CountReport, count_molecules
from cellstorm_lib.evaluate.nena import PrecisionReport, measure_precision
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.reconstruct.frc import FrcReport, measure_frc
from cellstorm_lib.reconstruct.frc_map import FrcMap, FrcMapSettings, map_frc
from cellstorm_lib.reconstruct.frc_repeats import RepeatsReport, correct_repeats
from cellstorm_lib.reconstruct.render import RenderedImage, RenderSettings, render
from cellstorm_lib.refine.merge import merge
from cellstorm_lib.tables import Localizations

#: Measured errors over stated ones are believed between these; a table may state nonsense.
CLAIM_RATIOS = (0.3, 5.0)
#: About how long each measure takes, seconds for 400,000 localizations.
_TIMES = {
    "precision": 1.5,
    "repeats": 1.0,
    "map": 3.0,
    "decorrelation": 0.4,
    "errors": 0.7,
    "molecules": 0.4,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quality:
    """Every measure of the quality of one table.

    Attributes
    ----------
    precision : PrecisionReport
        Localization precision, measured from molecules seen in consecutive frames, and the
        uncertainty that the table states.
    resolution_nm : float or None
        Fourier ring correlation by the split that was asked for.
    repeats : RepeatsReport
        The same with localizations dealt one by one, with and without the repeats of molecules.
    frc_map : FrcMap
        Resolution from place to place.
    decorrelation : DecorrelationReport
        Resolution of the image by itself.
    error_map : ErrorMapReport
        The image against the widefield image.
    molecules : CountReport
        Molecules, corrected for blinking.
    codec_grid, subpixel_bias : GridReport
        Whether positions follow the codec's blocks or the camera's pixels.
    """

    precision: PrecisionReport
    resolution_nm: float | None
    repeats: RepeatsReport
    frc_map: FrcMap
    decorrelation: DecorrelationReport
    error_map: ErrorMapReport
    molecules: CountReport
    codec_grid: GridReport
    subpixel_bias: GridReport


def measure_quality(
    spots: Localizations,
    localizations: Localizations,
    image: RenderedImage,
    resolution: FrcReport,
    *,
    widefield: npt.NDArray[np.float32] | None,
    pixel_size_nm: float,
    progress: Progress | None = None,
) -> Quality:
    """Measure the quality of a refined table.

    Parameters
    ----------
    spots : Localizations
        As found, one row per spot and frame.
    localizations : Localizations
        Drift-corrected and merged.
    image : RenderedImage
        Drawn from these.
    resolution : FrcReport
        Their resolution.
    widefield : (Y, X) float32 or None
        Mean of the frames, photoelectrons.
    pixel_size_nm : float
        Pixel of the widefield image.
    progress : callable, optional
        Called with what is done and the whole.
    """
    told = dict(zip(_TIMES, in_parts(progress, *_TIMES.values()), strict=True))
    precision = measure_precision(spots)
    told["precision"](1, 1)
    claim_ratio = float(np.clip(precision.claim_ratio or 1.0, *CLAIM_RATIOS))
    positions = render(localizations, RenderSettings(method="histogram", pixel_nm=image.pixel_nm))
    repeats = correct_repeats(
        localizations,
        claim_ratio=claim_ratio,
        is_measured=precision.claim_ratio is not None and not precision.is_lower_bound,
        progress=told["repeats"],
    )
    is_corrected = repeats.repeats is not None
    frc_map = map_frc(
        localizations,
        typical_nm=repeats.corrected_nm if is_corrected else resolution.resolution_nm,
        repeats=repeats.repeats or 0.0,
        claim_ratio=claim_ratio,
        settings=FrcMapSettings(threshold=resolution.threshold),
        progress=told["map"],
    )
    decorrelation = measure_decorrelation(positions.image, positions.pixel_nm)
    told["decorrelation"](1, 1)
    errors = not_compared("no widefield image was given")
    if widefield is not None:
        errors = map_errors(
            image.image, pixel_nm=image.pixel_nm, widefield=widefield, pixel_size_nm=pixel_size_nm
        )
    told["errors"](1, 1)
    molecules = count_molecules(
        localizations, claim_ratio=claim_ratio, rng=np.random.default_rng(0)
    )
    told["molecules"](1, 1)
    return Quality(
        precision=precision,
        resolution_nm=resolution.resolution_nm,
        repeats=repeats,
        frc_map=frc_map,
        decorrelation=decorrelation,
        error_map=errors,
        molecules=molecules,
        codec_grid=grid_test(localizations),
        subpixel_bias=subpixel_bias_test(localizations),
    )


def quality_of_table(
    table: Localizations,
    settings: PipelineSettings | None = None,
    *,
    widefield: npt.NDArray[np.float32] | None = None,
    widefield_pixel_nm: float | None = None,
    progress: Progress | None = None,
) -> Quality:
    """Merge, draw and measure a table by itself.

    Parameters
    ----------
    table : Localizations
        Spots as found, drift-corrected; a merged one tells no precision.
    settings : PipelineSettings, optional
        Of merging, drawing and resolution.
    widefield : (Y, X) float32, optional
        Mean of the frames, of the table's field.
    widefield_pixel_nm : float, optional
        Its pixel; the table's when None.
    progress : callable, optional
        Called with what is done and the whole.
    """
    settings = settings or PipelineSettings()
    drawn, resolved, measured = in_parts(progress, 0.5, 2.0, sum(_TIMES.values()))
    is_merged = "detections" in table
    molecules = table if is_merged else merge(table, settings.merge)[0]
    image = render(molecules, settings.render)
    drawn(1, 1)
    return measure_quality(
        table,
        molecules,
        image,
        measure_frc(molecules, settings.frc, progress=resolved),
        widefield=widefield,
        pixel_size_nm=widefield_pixel_nm or table.field.pixel_size_nm,
        progress=measured,
    )
