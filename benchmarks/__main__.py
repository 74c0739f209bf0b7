"""Run benchmarks by name, or all of them in turn, each in a process of its own.

`python -m benchmarks accuracy overlap`; with one name, its own options may follow.
"""

import subprocess
import sys
from pathlib import Path

NAMES = sorted(
    path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py")
)


def main(words: list[str]) -> str | None:
    """Run what is named; return what went wrong."""
    first_option = next((n for n, word in enumerate(words) if word.startswith("-")), len(words))
    wanted, options = words[:first_option], words[first_option:]
    unknown = set(wanted) - set(NAMES)
    if unknown or (options and len(wanted) != 1):
        wrong = f"unknown benchmark {sorted(unknown)}" if unknown else "options belong to one name"
        return f"{wrong}; there are {NAMES}"
    failed = []
    for name in wanted or NAMES:
        print(f"## {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.bench_{name}", *options]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    return f"failed: {failed}" if failed else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
