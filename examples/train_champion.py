"""Train the denoiser that comes with the program, again: the same weights on the same machine.

    python examples/train_champion.py            (replaces the weights that are shipped)
    python examples/train_champion.py --check    (compares with them)

Pairs by simulation and the default recipe, on two threads: their number decides the last bits. On
another kind of processor these, and so the digest, may differ; the scores hardly do.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from cellstorm_lib.files import digest_of_file
from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from cellstorm_lib.gan.recipe import recipe_named
from cellstorm_lib.gan.train import Progress, train
from cellstorm_lib.pairs.simulated import simulated_pairs

THREADS = 2


def tell(progress: Progress) -> None:
    print(
        f"step {progress.step}: loss {progress.loss:.4f}, on other scenes "
        f"{progress.validation_loss:.4f}, light kept {progress.light_kept:.0%}",
        flush=True,
    )


def largest_difference(one: Checkpoint, other: Checkpoint) -> float:
    """Return how far the weights of two networks are apart."""
    return max(
        float(np.abs(one.weights[name].numpy() - other.weights[name].numpy()).max())
        for name in one.weights
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=SHIPPED, help="where to write the weights")
    parser.add_argument("--check", action="store_true", help="compare with what is shipped")
    arguments = parser.parse_args()
    pairs = simulated_pairs(
        progress=lambda done, total: print(f"scene {done} of {total}") if done % 100 == 0 else None
    )
    print(f"pairs {pairs.digest}")
    trained = train(pairs, recipe_named("default"), threads=THREADS, report=tell)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "again.safetensors" if arguments.check else arguments.out
        write_checkpoint(trained.last, out)
        print(f"{out.name} {digest_of_file(out)}")
        if arguments.check:
            again, shipped = read_checkpoint(out), read_checkpoint(SHIPPED)
            print(f"shipped {shipped.digest}; largest difference of a weight "
                  f"{largest_difference(again, shipped):.2g}")  # fmt: skip


if __name__ == "__main__":
    main()
