"""A recording outside the training film is remarked on, one inside is not."""

from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.gan.checkpoint import TrainingDomain
from cellstorm_lib.gan.domain import domain_remarks

DOMAIN = TrainingDomain(
    gain_e_per_adu=(0.5, 2.0), bits_per_px=(0.1, 0.5), background_e=(-1.0, 20.0), cameras=9
)


@given(st.floats(0.5, 2.0), st.floats(-1.0, 20.0), st.none() | st.floats(0.1, 0.5))
def test_a_recording_like_the_training_film_gets_no_remark(
    gain: float, background: float, bits: float | None
) -> None:
    remarks = domain_remarks(DOMAIN, gain_e_per_adu=gain, background_e=background, bits_per_px=bits)
    assert remarks == ()


@given(st.floats(2.21, 1e3), st.floats(22.1, 1e4), st.floats(0.551, 50.0))
def test_each_thing_that_is_outside_gets_a_sentence(
    gain: float, background: float, bits: float
) -> None:
    remarks = domain_remarks(DOMAIN, gain_e_per_adu=gain, background_e=background, bits_per_px=bits)
    assert len(remarks) == 3
    assert all("lies above what the network was trained on" in remark for remark in remarks)


def test_remarks_name_value_unit_and_range() -> None:
    remarks = domain_remarks(DOMAIN, gain_e_per_adu=0.2, background_e=5.0, bits_per_px=0.3)
    (remark,) = remarks
    assert remark == (
        "the gain of the recording, 0.2 e-/grey value, lies below what the network was trained "
        "on (0.5 to 2)"
    )


def test_a_recording_that_was_never_compressed_is_told_so() -> None:
    remarks = domain_remarks(DOMAIN, gain_e_per_adu=1.0, background_e=5.0, bits_per_px=0.0)
    assert remarks == (
        "the recording was never compressed, but the network learned from film that was",
    )
