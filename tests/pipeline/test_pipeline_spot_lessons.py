import numpy as np

from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.localize.denoised_traits import DENOISED_TRAITS
from cellstorm_lib.localize.traits import TRAITS
from cellstorm_lib.pipeline.spot_lessons import LessonSettings, lesson_of, spot_lessons
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.scatter import RandomSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene

SETTINGS = LessonSettings(scenes=3, side_px=64, frames=24, seed=11)
SCENE = Scene(
    name="molecules without loss",
    seed=3,
    frame_count=30,
    frame_rate_hz=20.0,
    field=FieldSettings(width_px=96, height_px=96, pixel_size_nm=100.0),
    structure=RandomSettings(sites_per_um2=1.0),
    blinking=BlinkingSettings(photons_per_frame=900.0, on_ms=150.0, dark_s=1.0, blinks=2.0),
    background=BackgroundSettings(photons=15.0),
    camera=read_camera("huawei-p9-video").camera,
    codec=CodecSettings(bits_per_px=None, qp=0),
)


def assert_sound(lesson, traits=TRAITS):
    count = len(lesson.traits)
    assert lesson.traits.shape == (count, len(traits))
    assert np.isfinite(lesson.traits).all()
    assert lesson.error.shape == (count, 2)
    np.testing.assert_array_equal(np.isfinite(lesson.error).all(axis=1), lesson.is_molecule)
    np.testing.assert_array_equal(np.isfinite(lesson.log_photons), lesson.is_molecule)


def test_lessons_are_sound_and_always_the_same():
    first, again = list(spot_lessons(SETTINGS)), list(spot_lessons(SETTINGS))
    assert len(first) == 3
    for one, other in zip(first, again, strict=True):
        assert_sound(one)
        np.testing.assert_array_equal(one.traits, other.traits)
        np.testing.assert_array_equal(one.is_molecule, other.is_molecule)


def test_without_loss_spots_are_molecules_as_far_off_as_the_bound_says():
    lesson = lesson_of(SCENE)
    assert_sound(lesson)
    sure = lesson.is_molecule & (lesson.traits[:, TRAITS.index("log_light_over_threshold")] > 2.0)
    assert sure.sum() > 50
    # photon statistics of the median; the camera is known to a few per cent only
    assert abs(np.median(lesson.log_photons[sure])) < 0.1
    assert 0.8 < np.median(np.abs(lesson.error[sure])) / 0.6745 < 1.5


def test_denoised_frames_teach_which_of_their_spots_are_molecules():
    lesson = lesson_of(SCENE, Denoiser(read_checkpoint(SHIPPED), workers=1))
    assert_sound(lesson, DENOISED_TRAITS)
    over = lesson.traits[:, DENOISED_TRAITS.index("log_light_over_threshold")]
    # spots of 900 photons of which the codec lost nothing, and what lies far below the threshold
    assert lesson.is_molecule[over > np.log(50.0)].mean() > 0.9
    assert lesson.is_molecule[over < np.log(15.0)].mean() < 0.3
