"""Claimed against true error, photons and share of false spots, at several strengths of a codec.

Letters of molecules, three brightnesses and two backgrounds, a phone camera that took no part in
what the appraisal learned from; molecules without a neighbour within 8 px. Ratios are (true error)
/ (claimed uncertainty): root mean square, and of the middle half (median, as if normal).
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from scipy.spatial import cKDTree

from cellstorm_lib.camera import read_calibration
from cellstorm_lib.evaluate.match import match_localizations
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.pictures import TextSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.tables import Emitters, read_emitters
from cellstorm_lib.video.read import open_recording

TICKS_NM = (3, 5, 10, 20, 50, 100)
PIXEL_NM, ALONE_PX, LEAST_PHOTONS = 100.0, 8.0, 30.0
CODECS = {
    "lossless": CodecSettings(bits_per_px=None, qp=0),
    "CRF 18": CodecSettings(bits_per_px=None, crf=18, phone_like=False, preset="medium"),
    "CRF 23": CodecSettings(bits_per_px=None, crf=23, phone_like=False, preset="medium"),
    "CRF 28": CodecSettings(bits_per_px=None, crf=28, phone_like=False, preset="medium"),
    "CRF 33": CodecSettings(bits_per_px=None, crf=33, phone_like=False, preset="medium"),
    "0.4 bit/px": CodecSettings(bits_per_px=0.4),
    "0.2 bit/px": CodecSettings(bits_per_px=0.2),
    "0.1 bit/px": CodecSettings(bits_per_px=0.1),
    "0.03 bit/px": CodecSettings(bits_per_px=0.03),
}
LIGHT = [(photons, background) for photons in (250.0, 600.0, 1500.0) for background in (4.0, 25.0)]


def scene_of(codec: CodecSettings, photons: float, background: float, seed: int) -> Scene:
    """Return letters filmed by a Huawei P9."""
    return Scene(
        name="honesty",
        seed=seed,
        frame_count=150,
        frame_rate_hz=20.0,
        field=FieldSettings(width_px=192, height_px=192, pixel_size_nm=PIXEL_NM),
        structure=TextSettings(text="STORM", sites=1500),
        blinking=BlinkingSettings(photons_per_frame=photons, on_ms=125.0, dark_s=12.0, blinks=2.0),
        background=BackgroundSettings(photons=background),
        camera=read_camera("huawei-p9-video").camera,
        codec=codec,
    )


def alone(truth: Emitters) -> npt.NDArray[np.bool_]:
    """Return which molecules have no other near them in their frame."""
    points = np.column_stack(
        [
            truth.column("x_nm") / PIXEL_NM,
            truth.column("y_nm") / PIXEL_NM,
            1e4 * truth.column("frame"),
        ]
    )
    near = cKDTree(points).query_ball_point(points, ALONE_PX, return_length=True)
    return np.asarray(near == 1)


def judged(codec: CodecSettings) -> Iterator[tuple[npt.NDArray[np.float64], ...]]:
    """Yield of each film what `main` prints, and the claimed errors and bounds themselves, nm."""
    for number, (photons, background) in enumerate(LIGHT):
        with tempfile.TemporaryDirectory() as folder:
            made = film_scene(scene_of(codec, photons, background, 70 + number), Path(folder))
            source = open_recording(made.movie)
            truth = read_emitters(made.truth)
            spots, _ = localize(
                source, read_calibration(made.camera), pixel_size_nm=PIXEL_NM, threads=1
            )
        pairs = match_localizations(
            spots, truth, 250.0, method="hungarian", min_photons=LEAST_PHOTONS
        )
        true_share = 1.0 - len(pairs) / max(len(spots), 1)
        claimed_share = 1.0 - float(spots.column("molecule_probability").mean())
        pairs = pairs.take(alone(truth)[pairs.emitter])
        rows, other = pairs.localization, pairs.emitter
        error = np.column_stack(
            [spots.column(name)[rows] - truth.column(name)[other] for name in ("x_nm", "y_nm")]
        )
        claimed, bound = (
            np.column_stack([spots.column(f"{kind}_{axis}_nm")[rows] for axis in "xy"])
            for kind in ("uncertainty", "crlb")
        )
        light = spots.column("photons")[rows] / truth.column("photons")[other]
        yield (
            error / claimed, error / bound, light,
            light / spots.column("photon_correction")[rows],
            np.array([claimed_share, true_share]), claimed, bound,
        )  # fmt: skip


def middle(values: npt.NDArray[np.float64]) -> float:
    """Return the standard deviation of a normal distribution with this median of |values|."""
    return float(np.median(np.abs(values)) / 0.6745)


def draw(found: dict[str, list[tuple[npt.NDArray[np.float64], ...]]], path: Path) -> None:
    """Draw the true error of spots against what was claimed of them, and against the bound."""
    figure = Figure(figsize=(9.0, 4.4), layout="constrained")
    for ax, ratio, scale, title in zip(
        figure.subplots(1, 2, sharey=True), (0, 1), (5, 6),
        ("claimed uncertainty", "Cramér-Rao bound, what others claim"), strict=True,
    ):  # fmt: skip
        for name, films in found.items():
            stated = np.concatenate([film[scale].ravel() for film in films])
            error = stated * np.concatenate([film[ratio].ravel() for film in films])
            order = np.array_split(np.argsort(stated), 8)
            points = [
                (np.sqrt(np.mean(stated[part] ** 2)), np.sqrt(np.mean(error[part] ** 2)))
                for part in order
            ]
            ax.plot(*np.transpose(points), "o-", markersize=3.5, linewidth=1, label=name)
        ax.plot((2, 100), (2, 100), color="black", linewidth=1, linestyle=":")
        ax.set(xscale="log", yscale="log", xlim=(3.5, 70), ylim=(3.5, 100), title=title)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(FixedLocator(TICKS_NM))
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_locator(NullLocator())
        ax.set_xlabel("stated, nm (root mean square of an eighth of the spots)")
    figure.axes[0].set_ylabel("true error, nm (root mean square)")
    figure.axes[0].legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--codecs", nargs="*", default=list(CODECS))
    parser.add_argument("--picture", type=Path, help="draw true against claimed errors")
    arguments = parser.parse_args()
    found = {}
    print("codec | error / claimed: RMS, middle half | error / bound: RMS, middle half | photons "
          "/ true: corrected, fitted | false share: claimed, true | of single films")  # fmt: skip
    for name in arguments.codecs:
        films = found[name] = list(judged(CODECS[name]))
        claimed, bound, light, fitted = (
            np.concatenate([film[part] for film in films]) for part in range(4)
        )
        share = np.mean([film[4] for film in films], axis=0)
        single = " ".join(f"{np.sqrt(np.mean(film[0] ** 2)):.2f}" for film in films)
        print(f"{name} | {np.sqrt(np.mean(claimed**2)):.3f}, {middle(claimed):.3f} | "
              f"{np.sqrt(np.mean(bound**2)):.2f}, {middle(bound):.2f} | {np.median(light):.3f}, "
              f"{np.median(fitted):.3f} | {share[0]:.3f}, {share[1]:.3f} | {single}",
              flush=True)  # fmt: skip
    if arguments.picture:
        draw(found, arguments.picture)


if __name__ == "__main__":
    main()
