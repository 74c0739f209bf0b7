"""A verdict in words, for pages and for commands that draw nothing."""

from cellstorm_lib.pipeline.result import Verdict

_ANSWERS = {
    "denoised": "Use the denoised branch",
    "raw": "Use the raw branch",
    "cannot tell": "It cannot be told which branch is better",
}


def answer_of(verdict: Verdict) -> str:
    """Return the verdict as a short sentence without its reason."""
    return _ANSWERS[verdict.use]
