"""What passes by itself is tried again; a bad file is not."""

import errno
from pathlib import Path

import dagster as dg
import pytest

from cellstorm_assets.metadata import said_plainly
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.files import written_whole

AT_ONCE = dg.RetryPolicy(max_retries=2)


def attempts_of(failure: BaseException, cause: BaseException | None) -> int:
    tried: list[int] = []

    @dg.op
    def reads() -> None:
        tried.append(1)
        with said_plainly():
            raise failure from cause

    @dg.job(op_retry_policy=AT_ONCE)
    def job() -> None:
        reads()

    with dg.DagsterInstance.ephemeral() as instance:
        run = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not run.success
    return len(tried)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EAGAIN])
def test_a_failure_that_passes_is_tried_again_and_then_given_up(number: int) -> None:
    assert attempts_of(RecordingError("cannot be read"), OSError(number, "so")) == 3


@pytest.mark.parametrize("cause", [None, ValueError("x"), OSError(errno.EACCES, "so")])
def test_a_failure_that_stays_is_not_tried_again(cause: BaseException | None) -> None:
    assert attempts_of(RecordingError("is damaged"), cause) == 1


def test_a_full_disk_is_seen_behind_the_sentence_about_it(tmp_path: Path) -> None:
    with pytest.raises(dg.Failure) as caught, said_plainly(), written_whole(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "a"))
    assert caught.value.allow_retries
    assert str(caught.value.description).startswith("cannot write")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_of_the_project_that_cannot_be_written_now_is_waited_for(
    tmp_path: Path, number: int
) -> None:
    with pytest.raises(dg.Failure) as caught, said_plainly(), written_whole(tmp_path / "a"):
        raise OSError(number, "no", str(tmp_path / "a"))
    assert caught.value.allow_retries
