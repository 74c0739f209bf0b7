"""What a scene may ask of the encoder."""

import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.codec import CodecSettings


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bits_per_px": None, "crf": 33, "tune": "grain"},
        {"bits_per_px": None, "qp": 0, "codec": "hevc"},
        {"extra_params": "deadzone-inter=6:deblock=-1,-1", "qp_min": 10, "qp_max": 10},
    ],
)
def test_one_strength_is_needed(settings):
    strengths = CodecSettings(**settings)
    given = (strengths.bits_per_px, strengths.crf, strengths.qp)
    assert sum(value is not None for value in given) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crf": 30}, "bits_per_px, crf and qp exclude each other .* got bits_per_px 0.4, crf 30"),
        ({"crf": 30, "qp": 30, "bits_per_px": None}, "exclude each other"),
        ({"bits_per_px": None}, "one is needed"),
        ({"tune": "film"}, "tune must be grain or empty, got 'film'"),
        ({"qp_min": 30, "qp_max": 20}, "qp_min must be at most qp_max, got 30 and 20"),
        ({"extra_params": "deblock"}, "extra_params must be name=value:name=value, got 'deblock'"),
        ({"ip_ratio": 0.1}, "ip_ratio must be at least 0.5"),
        ({"buffer_s": 0}, "buffer_s must be at least 0.02"),
        ({"gop_frames": 0}, "gop_frames must be at least 1"),
    ],
)
def test_what_contradicts_itself_is_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        CodecSettings(**settings)
