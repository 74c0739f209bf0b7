"""Commands around the camera: calibrate, fit-camera."""

from collections.abc import Sequence
from pathlib import Path

import click

from cellstorm_assets.command_options import PATH, announced, as_json, tell
from cellstorm_lib.errors import SettingsError

_MEASURED = (
    ("offset_adu", "grey values"),
    ("gain_e_per_adu", "e-/grey value"),
    ("read_noise_e", "e- RMS"),
    ("fixed_pattern_e", "e- RMS"),
    ("gain_spread", "of the response"),
    ("linear_from_adu", "grey values"),
    ("linear_to_adu", "grey values"),
)


class ManyPaths(click.Command):
    """A command whose options may be followed by several paths, as ``--bright A B C``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before every further path."""
        many = {
            name
            for entry in self.params
            if getattr(entry, "multiple", False)
            for name in entry.opts
        }
        spelled: list[str] = []
        current = ""
        expects_value = False
        for word in args:
            if word.startswith("-"):
                current = word if word in many else ""
                expects_value = bool(current)
            elif current and not expects_value:
                spelled.append(current)
            else:
                expects_value = False
            spelled.append(word)
        return super().parse_args(ctx, spelled)


@click.command(cls=ManyPaths)
@click.option(
    "--bright",
    type=PATH,
    multiple=True,
    required=True,
    metavar="PATH...",
    help="Series of a stationary defocused object, or of even light at several strengths: "
    "folders of DNG files, TIFF stacks, videos.",
)
@click.option(
    "--dark",
    type=PATH,
    multiple=True,
    required=True,
    metavar="PATH...",
    help="Series with the same settings and no light.",
)
@click.option(
    "--flat",
    type=PATH,
    multiple=True,
    metavar="PATH...",
    help="Series of even light over the whole field, for the flat field.",
)
@click.option("--out", type=PATH, required=True, help="CAL.json to write.")
@click.option("--name", default=None, help="What to call the camera. Default: --out's name.")
@click.option("--maps", is_flag=True, help="Measure offset, noise and gain of each pixel, too.")
@as_json
def calibrate(
    bright: Sequence[Path],
    dark: Sequence[Path],
    flat: Sequence[Path],
    out: Path,
    *,
    name: str | None,
    maps: bool,
    wants_json: bool,
) -> None:
    """Measure a camera by photon transfer: offset, gain, read noise, pattern, linear range.

    Writes CAL.json (for --camera) and a picture of the curve beside it.
    """
    from cellstorm_lib.calibrate.photon_transfer import PhotonTransferSettings
    from cellstorm_lib.camera import write_calibration
    from cellstorm_lib.files import written_whole
    from cellstorm_lib.pipeline.calibrate_camera import (
        calibrate_camera,
        measure_flat_field,
        with_flat_field,
    )
    from cellstorm_lib.report.camera_curves import photon_transfer_figure
    from cellstorm_lib.report.drawing import figure_png

    if out.suffix.lower() != ".json":
        raise SettingsError(f"--out must end in .json, as CAL.json, got {out.name}")
    measured = calibrate_camera(
        bright,
        dark,
        name=name or out.stem,
        settings=PhotonTransferSettings(wants_maps=maps),
        progress=announced()("calibrate", ""),
    )
    calibration = measured.calibration
    if flat:
        told = announced()("flat field", "")
        flat_field = measure_flat_field(flat, calibration, progress=told)
        calibration = with_flat_field(calibration, flat_field)
    write_calibration(calibration, out)
    curve = out.with_suffix(".png")
    with written_whole(curve) as temporary:
        temporary.write_bytes(figure_png(photon_transfer_figure(calibration)))
    for remark in measured.remarks:
        click.echo(remark, err=True)
    lines, figures = {}, {}
    for key, unit in _MEASURED:
        value = getattr(calibration, key)
        low, high = calibration.intervals.get(key, (None, None))
        figures[key] = {"value": value, "low": low, "high": high}
        if value is not None:
            interval = f" (95 %: {low:.4g} to {high:.4g})" if low is not None else ""
            lines[key] = f"{value:.4g} {unit}{interval}"
    if not calibration.knows_gain_spread:
        lines["gain_spread"] = "not measured, taken as 0"
    tell(
        {**lines, "calibration": str(out), "curve": str(curve)},
        {**figures, "calibration": str(out), "remarks": list(measured.remarks)},
        wants_json=wants_json,
    )


@click.command("fit-camera")
@click.argument("clip", type=PATH)
@click.option("--out", type=PATH, required=True, help="CAMERA.yaml to write.")
@click.option("--name", default=None, help="What to call the camera. Default: --out's name.")
@as_json
def fit_camera(clip: Path, out: Path, *, name: str | None, wants_json: bool) -> None:
    """Make a simulated phone that films like the one that made CLIP, a video of a still scene.

    Writes CAMERA.yaml, for the `camera:` of a scene, and a page that sets both clips side by
    side, judged on frames that were not used for fitting. It is no calibration.
    """
    from cellstorm_lib.files import written_whole
    from cellstorm_lib.pipeline.fit_camera import fit_camera as fit
    from cellstorm_lib.report.fidelity import fidelity_page
    from cellstorm_lib.simulate.cameras import write_camera

    if out.suffix.lower() not in {".yaml", ".yml"}:
        raise SettingsError(f"--out must end in .yaml, as CAMERA.yaml, got {out.name}")
    fitted = fit(clip, name=name or out.stem, progress=announced()("fit"))
    write_camera(fitted.phone, out, comment=f"Fitted to {clip.name}; no calibration.")
    page = out.with_suffix(".html")
    with written_whole(page) as temporary:
        temporary.write_text(fidelity_page(fitted.report), encoding="utf-8")
    rows = fitted.report.rows
    tell(
        {
            **{
                f"{row.group}, {row.measure}": f"real {row.real:.4g}, simulated "
                f"{row.simulated:.4g} {row.unit} ({row.relative_difference:+.1%})"
                for row in rows
            },
            "within 15 %": f"{sum(row.passed for row in rows)} of {len(rows)} measures",
            "camera": str(out),
            "page": str(page),
        },
        {
            "camera": str(out),
            "page": str(page),
            "rows": [
                {
                    "measure": f"{row.group}, {row.measure}",
                    "real": row.real,
                    "simulated": row.simulated,
                    "relative_difference": row.relative_difference,
                }
                for row in rows
            ],
        },
        wants_json=wants_json,
    )


COMMANDS = (calibrate, fit_camera)
