"""ThunderSTORM's protocols: a real one, and everything that can be wrong with one."""

import copy
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.errors import CalibrationError, SettingsError
from cellstorm_lib.localize.like.protocol import read_protocol
from cellstorm_lib.localize.like.settings import ThunderstormSettings

REAL = (
    Path(__file__).parents[2]
    / "data"
    / "cellstorm-pytorch"
    / "thunderstorm_result_realA-protocol.txt"
)
CAMERA = {"offset": 100.0, "isEmGain": False, "photons2ADU": 2.0, "pixelSize": 107.0, "gain": 50.0}


def tracked(**choices):
    return {"trackedParameters": {name: {"value": value} for name, value in choices.items()}}


WAVELET = {"name": "Wavelet filter (B-Spline)", "parameters": tracked(scale=2.0, order=3)}
MAXIMUM = {
    "name": "Local maximum",
    "parameters": tracked(connectivity="8-neighbourhood", threshold="std(Wave.F1)"),
}
GAUSSIAN = {
    "name": "PSF: Integrated Gaussian",
    "crowdedField": {"params": tracked(mfaenabled=False, nmax=5), "name": "MFA"},
    "parameters": tracked(sigma=1.3, fitradius=4, method="Least squares", full_image_fitting=False),
}


@pytest.fixture
def written(tmp_path):
    def write(camera=CAMERA, analysis=(WAVELET, MAXIMUM, GAUSSIAN), version="1.3", post=None):
        documents = "\n".join(json.dumps(part, indent=2) for part in analysis)
        text = f"ThunderSTORM ({version})\n\nInput:\n{{}}\nCamera settings:\n"
        text += f"{json.dumps(camera)}\nAnalysis:\n{documents}\n"
        if post is not None:
            text += f"Post-processing:\n{json.dumps(post)}\n"
        path = tmp_path / "table-protocol.txt"
        path.write_text(text)
        return path

    return write


def changed(part, where, **changes):
    """Return a filter, detector or estimator with choices changed."""
    new = copy.deepcopy(part)
    place = new["crowdedField"]["params"] if where == "crowdedField" else new["parameters"]
    for name, value in changes.items():
        place["trackedParameters"][name] = {"value": value}
    return new


def test_the_protocol_of_a_real_phone_video_is_read():
    found = read_protocol(REAL)
    assert found.settings == ThunderstormSettings(
        threshold="std(Wave.F1)*3", estimator="maximum-likelihood", fit_radius_px=3, sigma_px=1.6
    )
    numbers = (found.offset_adu, found.gain_e_per_adu, found.pixel_size_nm, found.read_noise_e)
    assert numbers == (414.0, 3.6, 80.0, 0.0)
    assert found.calibration(16).offset_adu == 414.0
    (note,) = found.notes
    assert "Cross correlation" in note
    assert "cellstorm drift" in note


def test_every_choice_arrives(written):
    detector = changed(MAXIMUM, "parameters", connectivity="4-neighbourhood")
    shape = {
        **changed(GAUSSIAN, "parameters", method="weighted least squares"),
        "name": "PSF: Gaussian",
    }
    camera = {**CAMERA, "isEmGain": True, "readoutNoise": 1.5}
    found = read_protocol(
        written(camera=camera, analysis=(WAVELET, detector, shape), version="dev-2016-09-10-b1")
    )
    assert found.settings == ThunderstormSettings(
        neighbours=4,
        psf="gaussian",
        estimator="weighted-least-squares",
        fit_radius_px=4,
        sigma_px=1.3,
        uncertainty="later",
        has_em_gain=True,
    )
    assert found.gain_e_per_adu == 2.0 / 50.0
    assert found.read_noise_e == 1.5
    assert found.notes == ()


def test_what_is_not_done_is_noted(written):
    camera = {**CAMERA, "quantumEfficiency": 0.9, "shutter": "rolling"}
    found = read_protocol(
        written(camera=camera, analysis=(WAVELET, MAXIMUM, GAUSSIAN, {"name": "Renderer"}), post=[])
    )
    assert len(found.notes) == 3
    for note, text in zip(
        found.notes, ("Renderer", "'shutter'", "quantum efficiency"), strict=True
    ):
        assert text in note


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        (({**WAVELET, "name": "Difference of averaging filters"},), "Difference of averaging"),
        ((changed(WAVELET, "parameters", scale=3.0),), r"'scale': 3.0"),
        ((WAVELET, {**MAXIMUM, "name": "Centroid of connected components"}), "Centroid of conn"),
        ((WAVELET, changed(MAXIMUM, "parameters", connectivity="6")), "connectivity '6'"),
        ((WAVELET, changed(MAXIMUM, "parameters", radius=2)), "another radius"),
        ((WAVELET, changed(MAXIMUM, "parameters", upsample=2)), "upsample"),
        ((WAVELET, MAXIMUM, {**GAUSSIAN, "name": "Radial symmetry"}), "Radial symmetry"),
        (
            (WAVELET, MAXIMUM, changed(GAUSSIAN, "crowdedField", mfaenabled=True)),
            "several molecules at once",
        ),
        ((WAVELET, MAXIMUM, changed(GAUSSIAN, "parameters", method="Nothing")), "method 'Nothing'"),
        (
            (WAVELET, MAXIMUM, changed(GAUSSIAN, "parameters", full_image_fitting=True)),
            "whole frames",
        ),
        ((WAVELET, MAXIMUM, changed(GAUSSIAN, "parameters", angle=1.0)), "angle"),
        (
            (WAVELET, MAXIMUM, changed(GAUSSIAN, "parameters", fitradius=99)),
            "fit_radius_px must be 1 to 15",
        ),
        (
            (WAVELET, MAXIMUM, changed(GAUSSIAN, "parameters", sigma="wide")),
            "sigma_px must be float",
        ),
        (
            (WAVELET, changed(MAXIMUM, "parameters", threshold="std(Box.F)"), GAUSSIAN),
            "Box.F",
        ),
        ((WAVELET, {"name": "Local maximum"}), "lacks the choices of Local maximum"),
        ((3,), "the filter '3'"),
    ],
)
def test_what_is_not_done_is_refused_by_name(written, analysis, message):
    whole = (*analysis, *(WAVELET, MAXIMUM, GAUSSIAN)[len(analysis) :])
    with pytest.raises(SettingsError, match=message) as refused:
        read_protocol(written(analysis=whole))
    assert "table-protocol.txt" in str(refused.value)


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        ({**CAMERA, "offset": "high"}, "offset as 'high'; expected a number"),
        ({**CAMERA, "isEmGain": 1}, "isEmGain as 1; expected true or false"),
        ({**CAMERA, "pixelSize": None}, "pixelSize as None"),
        ({key: CAMERA[key] for key in ("offset", "pixelSize")}, "photons2ADU as None"),
        ({**CAMERA, "isEmGain": True, "gain": 0.0}, "EM gain of 0"),
        ([], "one JSON object under Camera settings"),
    ],
)
def test_a_camera_that_cannot_be_is_refused(written, camera, message):
    with pytest.raises(SettingsError, match=message):
        read_protocol(written(camera=camera))


def test_a_gain_of_nothing_is_no_camera(written):
    found = read_protocol(written(camera={**CAMERA, "photons2ADU": 0.0}))
    with pytest.raises(CalibrationError, match=r"table-protocol.txt: gain_e_per_adu"):
        found.calibration(8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no ThunderSTORM protocol"),
        ('"id","frame"\n1,2\n', "is no ThunderSTORM protocol"),
        ("ThunderSTORM (1.3)\n", r"lacks \['Camera settings', 'Analysis'\]"),
        ("ThunderSTORM (1.3)\nAnalysis:\n{}\nCamera settings:\n{}\n", "names no filter"),
        ("ThunderSTORM (1.3)\nCamera settings:\n{oops\nAnalysis:\n", "no JSON under Camera"),
        ("ThunderSTORM (1.3)\nCamera settings:\n" + "[" * 100_000 + "\nAnalysis:\n", "no JSON"),
    ],
)
def test_a_file_that_is_no_whole_protocol_is_refused(tmp_path, text, message):
    path = tmp_path / "p.txt"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message) as refused:
        read_protocol(path)
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        read_protocol(tmp_path / "none.txt")
    with pytest.raises(SettingsError, match="cannot be read as text"):
        read_protocol(tmp_path)
    (tmp_path / "binary").write_bytes(b"ThunderSTORM\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read as text"):
        read_protocol(tmp_path / "binary")


@settings(deadline=None)
@given(cut=st.integers(0, 2289), change=st.integers(0, 255))
def test_a_damaged_protocol_is_read_or_refused(tmp_path_factory, cut, change):
    content = bytearray(REAL.read_bytes())
    content[cut % len(content)] = change
    path = tmp_path_factory.mktemp("p") / "p.txt"
    path.write_bytes(bytes(content) if change % 2 else bytes(content[:cut]))
    with suppress(SettingsError):
        found = read_protocol(path)
        assert found.settings.fit_radius_px >= 1
