"""cellstorm: from a smartphone video of blinking molecules to a super-resolution image."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cellstorm")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0+unknown"
