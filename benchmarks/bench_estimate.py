"""The camera estimated from one encoded recording of which every number is known.

Blinking spots on an even or uneven background, made with plain numpy: each recording has a new
camera, sample and encoding. An interval that does not hold the truth is a lie; one that does must
say by its width, and by the words of its source, how little is known.
"""

import tempfile
from pathlib import Path

import numpy as np

from cellstorm_lib.calibrate.estimate import estimate_camera
from cellstorm_lib.video.quantiser import key_frame_qp
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video

FRAMES, SIDE_PX, REPEATS = 126, 256, 16
STRENGTHS = (
    *({"bits_per_px": rate} for rate in (3.0, 0.8, 0.3, 0.1, 0.02)),
    *({"crf": crf} for crf in (10, 18, 23, 28, 33)),
)
NUMBERS = ("gain_e_per_adu", "offset_adu", "read_noise_e")


def camera_of(rng) -> dict[str, float]:
    """Return a phone in 8-bit grey values, drawn from all that are likely."""
    return {
        "gain_e_per_adu": float(np.exp(rng.uniform(np.log(0.25), np.log(2.5)))),
        "offset_adu": float(rng.uniform(1.0, 12.0)),
        "read_noise_e": float(rng.uniform(0.8, 3.0)),
    }


def light_of(rng):
    """Return a function of the frame: expected photoelectrons (Y, X) of blinking spots."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    level = np.exp(rng.uniform(np.log(4.0), np.log(60.0)))
    slope = rng.uniform(0.0, 0.6)
    ground = level * (1 - slope * np.hypot(x - SIDE_PX / 2, y - SIDE_PX / 2) / (0.71 * SIDE_PX))
    sigma_px, photons = rng.uniform(1.0, 1.7), rng.uniform(300, 2000)
    spot_count = int(rng.integers(5, 60))
    pixel = np.arange(SIDE_PX) + 0.5
    draw = np.random.default_rng(int(rng.integers(2**31)))

    def frame():
        at = draw.uniform(0, SIDE_PX, (2, spot_count))
        rows, columns = (np.exp(-0.5 * ((pixel - p[:, None]) / sigma_px) ** 2) for p in at)
        light = photons * draw.exponential(size=spot_count) / (2 * np.pi * sigma_px**2)
        return ground + (light[:, None] * rows).T @ columns

    return frame


def filmed(camera, frame, rng):
    """Yield 8-bit frames (Y, X)."""
    for _ in range(FRAMES):
        electrons = rng.poisson(frame()) + rng.normal(0, camera["read_noise_e"], (SIDE_PX, SIDE_PX))
        grey = np.rint(camera["offset_adu"] + electrons / camera["gain_e_per_adu"])
        yield np.clip(grey, 0, 255).astype(np.uint8)


def one(strength, seed: int) -> dict[str, object]:
    """Return truth and estimate of one recording."""
    rng = np.random.default_rng(seed)
    camera = camera_of(rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, filmed(camera, light_of(rng), rng), EncoderSettings(**strength))
        found = estimate_camera(open_recording(path), key_frame_qp=key_frame_qp)
    return {"camera": camera, "found": found}


def report(title: str, rows: list) -> None:
    """Print coverage, width and error of the gain."""
    holds = {
        name: np.array(
            [
                r["found"].intervals[name][0] <= r["camera"][name] <= r["found"].intervals[name][1]
                for r in rows
            ]
        )
        for name in NUMBERS
    }
    assumed = np.array([r["found"].source.startswith("estimated:") for r in rows])
    ratio = np.array([r["found"].gain_e_per_adu / r["camera"]["gain_e_per_adu"] for r in rows])
    width = np.array([np.divide(*r["found"].intervals["gain_e_per_adu"][::-1]) for r in rows])
    shown = ", ".join(f"{name} {value.mean():.0%}" for name, value in holds.items())
    known = ratio[~assumed]
    print(
        f"{title}: measured {np.sum(~assumed)} of {len(rows)}; intervals hold the truth: {shown}; "
        f"gain high / low {np.median(width):.3g}; gain found / true, measured: "
        f"{np.round(np.quantile(known, (0, 0.5, 1)), 2) if len(known) else '-'}; "
        f"measured that hold {holds[NUMBERS[0]][~assumed].mean() if len(known) else np.nan:.0%}",
        flush=True,
    )


def main() -> None:
    every = []
    for number, strength in enumerate(STRENGTHS):
        rows = [one(strength, 100 * number + repeat) for repeat in range(REPEATS)]
        report(", ".join(f"{name} {value:g}" for name, value in strength.items()), rows)
        every += rows
    report("all", every)


if __name__ == "__main__":
    main()
