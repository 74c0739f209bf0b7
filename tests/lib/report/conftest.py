"""A small recording with everything a report can show."""

from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.pipeline.result import BranchResult, CheckOutcome, RecordingResult
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.recording import LossSummary, RecordingFacts, Roi
from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.refine.merge import MergeReport
from cellstorm_lib.refine.select import SelectReport
from cellstorm_lib.tables import FieldOfView, Localizations

FRAMES = 120
SIDE_PX = 64
PIXEL_NM = 100.0
GOP = 12


@pytest.fixture(scope="session")
def spots() -> Localizations:
    rng = np.random.default_rng(5)
    count = 3_000
    along = rng.uniform(200, 6_200, count)
    data = pd.DataFrame(
        {
            "frame": np.sort(rng.integers(0, FRAMES, count)),
            "x_nm": along,
            "y_nm": 3_200 + 900 * np.sin(along / 900) + rng.normal(0, 20, count),
            "photons": rng.lognormal(6.5, 0.4, count),
            "sigma_nm": rng.normal(130, 10, count),
            "background_photons": rng.gamma(20, 0.5, count),
            "uncertainty_nm": 20 * rng.lognormal(0, 0.2, count),
        }
    )
    field = FieldOfView(
        width_px=SIDE_PX, height_px=SIDE_PX, pixel_size_nm=PIXEL_NM, frame_count=FRAMES
    )
    return Localizations(data=data, field=field, provenance={"source_digest": "cafe" * 16})


@pytest.fixture(scope="session")
def frame_facts() -> pd.DataFrame:
    frame = np.arange(FRAMES)
    return pd.DataFrame(
        {
            "frame": frame,
            "time_s": frame / 20,
            "is_key": frame % GOP == 0,
            "frames_since_key": frame % GOP,
            "packet_bytes": np.where(frame % GOP == 0, 50_000, 8_000),
            "mean_adu": 12 + np.exp(-frame / 30),
            "is_tainted": (frame > 60) & (frame < 66),
        }
    )


VOID = {"meta", "img", "input", "br", "link", "hr"}
LOADING = {"img": "src", "script": "src", "link": "href", "iframe": "src", "image": "href"}


class Page(HTMLParser):
    """Tags, addresses, ids and text of a page; fails on tags that do not match."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.loaded, self.ids, self.links = [], [], [], [], []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if LOADING.get(tag) in attributes:
            self.loaded.append(attributes[LOADING[tag]])
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if "id" in dict(attrs):
            self.ids.append(dict(attrs)["id"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.text += data

    def count(self, tag, **attributes):
        return sum(
            found == tag and attributes.items() <= given.items() for found, given in self.tags
        )


@pytest.fixture(scope="session")
def parsed() -> Callable[[str], Page]:
    return Page


@pytest.fixture(scope="session")
def frc_report() -> Callable[[str, float | None], FrcReport]:
    return _frc_report


def _frc_report(split: str, resolution_nm: float | None) -> FrcReport:
    frequency_per_nm = np.linspace(0, 0.05, 200)
    scale_nm = (resolution_nm or 60.0) / np.sqrt(np.log(7))
    curve = np.exp(-((frequency_per_nm * scale_nm * np.log(7)) ** 2))
    return FrcReport(
        resolution_nm=resolution_nm,
        low_nm=resolution_nm and resolution_nm - 4,
        high_nm=resolution_nm and resolution_nm + 4,
        reason="20 of 20 splits crossed" if resolution_nm else "no resolution: <em>noise</em>",
        split=split,
        threshold=1 / 7,
        render_pixel_nm=10.0,
        localizations=3_000,
        units=900,
        repeats=20,
        repeats_crossed=20 if resolution_nm else 0,
        frequency_per_nm=frequency_per_nm,
        curve=curve,
        curve_low=curve - 0.05,
        curve_high=curve + 0.05,
        noise=np.full(200, 0.02),
    )


@pytest.fixture(scope="session")
def branch(spots) -> BranchResult:
    image, _, _ = np.histogram2d(
        spots.column("y_nm"), spots.column("x_nm"), bins=640, range=((0, 6_400), (0, 6_400))
    )
    frame = np.arange(FRAMES)
    return BranchResult(
        name="raw",
        spots=spots,
        localize_report=LocalizeReport(
            frames=FRAMES,
            localizations=len(spots),
            candidates=len(spots) + 700,
            rejected={"too_wide": 600, "did_not_converge": 100, "unused": 0},
        ),
        drift=Drift(
            x_nm=frame * 0.5,
            y_nm=-frame * 0.25,
            uncertainty_nm=np.full(FRAMES, 2.0),
            segments=8,
            is_applied=True,
            reason="8 segments agree",
        ),
        merge_report=MergeReport(
            localizations=2_900,
            molecules=1_000,
            copied=40,
            mean_detections=2.9,
            most_detections=12,
            seen_once=300,
            is_radius_fixed=False,
            was_linked=False,
        ),
        select_report=SelectReport(
            localizations=3_000, kept=2_900, rejected={"photons > 300": 100}
        ),
        localizations=spots.take(np.arange(0, len(spots), 3)),
        image=RenderedImage(
            image=image.astype(np.float32),
            pixel_nm=10.0,
            method="histogram",
            localizations=len(spots),
            outside=0,
        ),
        frc={
            "molecules": _frc_report("molecules", 62.0),
            "localizations": _frc_report("localizations", 41.0),
        },
        checks=(
            CheckOutcome(name="codec_grid", passed=True, reason="no grid (p = 0.4)"),
            CheckOutcome(name="subpixel_bias", passed=False, reason="pixel centres preferred"),
            CheckOutcome(name="drift_residual", passed=None, reason="too few localizations"),
        ),
    )


@pytest.fixture(scope="session")
def result(branch, frame_facts) -> RecordingResult:
    return RecordingResult(
        facts=RecordingFacts(
            name="cell <b>3</b>.mp4",
            digest="ab" * 32,
            kind="h264",
            frame_width_px=1920,
            frame_height_px=1080,
            roi=Roi(width_px=SIDE_PX, height_px=SIDE_PX, x_px=16, y_px=32),
            frame_count=FRAMES,
            bit_depth=8,
            colour_range="full",
            rotation_deg=90,
            frame_rate_hz=20.0,
            bits_per_px=0.4,
            details={"profile": "<script>alert(1)</script>"},
        ),
        loss=LossSummary(expected_count=123, decoded_count=FRAMES, missing_count=3, reason="cut"),
        calibration=CameraCalibration(
            name="estimated",
            source="estimated",
            offset_adu=4.0,
            gain_e_per_adu=0.34,
            read_noise_e=1.3,
            intervals={"gain_e_per_adu": (0.3, 0.4)},
        ),
        pixel_size_nm=PIXEL_NM,
        frame_facts=frame_facts,
        widefield=np.random.default_rng(1).random((SIDE_PX, SIDE_PX)).astype(np.float32),
        branches={branch.name: branch},
        settings={"localize": {"detect": {"false_per_frame": 0.5}}, "keep": "photons > 300"},
        notes=("The camera was estimated.",),
    )
