"""Run the benchmarks by name, or all of them in turn, each in a process of its own."""

import subprocess
import sys

NAMES = (
    "accuracy",
    "overlap",
    "compressed",
    "frc",
    "quality",
    "drift",
    "speed",
    "roofline",
    "like",
    "memory",
    "simulate",
    "denoise",
    "display",
    "fidelity",
    "localized_pairs",
    "denoiser_quality",
    "real_noise",
    "verdict",
    "calibration",
    "estimate",
    "flat_field",
    "pixel_maps",
    "astigmatic",
    "dark",
    "dyes",
    "platform",
    "pages",
)

if __name__ == "__main__":
    wanted = sys.argv[1:] or NAMES
    unknown = set(wanted) - set(NAMES)
    if unknown:
        sys.exit(f"unknown benchmark {sorted(unknown)}; there are {list(NAMES)}")
    failed = []
    for name in wanted:
        print(f"## {name}", flush=True)
        if subprocess.run(
            [sys.executable, "-m", f"benchmarks.bench_{name}"], check=False
        ).returncode:
            failed.append(name)
    sys.exit(f"failed: {failed}" if failed else 0)
