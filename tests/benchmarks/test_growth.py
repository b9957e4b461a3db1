"""How time and memory grow with the number of slices: read the ratios to 1x.

What is linear in the slices has ratios of at most 4 and 16: what does not depend on
them is in the first figure too.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

SCALES = (1, 4, 16)
TINY = "size=32 batch=4 base=4 multipliers=1,2 blocks=1 steps=2 first_steps=2"
# Each is done once at 1x, so that imports and caches are no part of what is measured.
PREAMBLE = """
import json, resource, sys, time, tempfile
from pathlib import Path

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def measured(work, scale):
    work(1)
    start, before = time.perf_counter(), peak()
    work(scale)
    print(json.dumps([time.perf_counter() - start, peak()]))
"""
RUN = """
from uadbench import engine, options
from uadbench.plans import Plan
from uadbench.protocols import Silent

def run(scale):
    sizes = {"n_train": 2, "n_val": 2, "n_test": 4, "n_labelled": 0}
    data = {name: scale * count for name, count in sizes.items()}
    plan = Plan(
        method=sys.argv[2],
        dataset="phantom",
        options=options.parse(sys.argv[3:]),
        data_options={"size": 48, "slices": 4, **data},
        device="cpu",
    )
    with tempfile.TemporaryDirectory() as folder:
        engine.run(plan, Path(folder) / "run", Silent())

measured(run, int(sys.argv[1]))
"""
PREDICT = """
from dataclasses import replace
from uadbench import options, probes, registry
from uadbench.protocols import Context

method = options.build(
    registry.load("methods", sys.argv[2]), "", options.parse(sys.argv[3:]), "demo"
)
probes.fit(method, Context())
scan = probes.make_scan("scan", probes.needed(method), slices=4)

def predict(scale):
    scans = (replace(scan, id=str(number)) for number in range(4 * scale))
    for _ in method.predict(scans, Context()):
        pass

measured(predict, int(sys.argv[1]))
"""
EVALUATE = """
import nibabel as nib
import numpy as np
from uadbench.cli import app

def make(folder, scale):
    rng = np.random.default_rng(0)
    for case in range(4 * scale):
        score = rng.random((48, 48, 16), np.float32)
        for place, voxels in (("maps", score), ("labels", score > 0.98)):
            path = folder / place / f"{case}.nii.gz"
            path.parent.mkdir(exist_ok=True)
            image = nib.nifti1.Nifti1Image(voxels.astype(np.float32), np.eye(4))
            nib.loadsave.save(image, path)

def evaluate(scale):
    folder = folders[scale]
    words = [str(folder / name) for name in ("maps", "labels")]
    out = ["-o", str(folder / "out"), "--overwrite", "-q"]
    app(["evaluate", *words, *out, "--threshold", "fixed:0.9"], standalone_mode=False)

scale = int(sys.argv[1])
with tempfile.TemporaryDirectory() as root:
    folders = {size: Path(root) / str(size) for size in {1, scale}}
    for size, folder in folders.items():
        folder.mkdir()
        make(folder, size)
    measured(evaluate, scale)
"""
TASKS = {
    "run intensity": (RUN, "intensity"),
    "run itermask2": (RUN, "itermask2", *TINY.split()),
    "refine itermask2": (PREDICT, "itermask2", *TINY.split()),
    "evaluate": (EVALUATE,),
}


@pytest.fixture(scope="module")
def first() -> dict[str, tuple[float, float]]:
    """Keep seconds and MiB at 1x by task."""
    return {}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("task", TASKS)
def test_growth(
    benchmark: BenchmarkFixture,
    capfd: pytest.CaptureFixture[str],
    first: dict[str, tuple[float, float]],
    tmp_path: Path,
    task: str,
    scale: int,
) -> None:
    code, *words = TASKS[task]
    command = [sys.executable, "-c", PREAMBLE + code, str(scale), *words]

    def work() -> tuple[float, float]:
        # Elsewhere: the checkout has a uadbench/ without plugins.
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        seconds, mib = json.loads(done.stdout.splitlines()[-1])
        return seconds, mib

    benchmark.group = f"growth of: {task}, imports included"
    seconds, mib = benchmark.pedantic(work, rounds=1)  # type: ignore[no-untyped-call]  # not annotated

    before = first.setdefault(task, (seconds, mib))
    with capfd.disabled():
        sys.stdout.write(
            f"\n{task} at {scale}x: time {seconds / before[0]:.2f}, "
            f"peak memory {mib / before[1]:.2f} of those at 1x "
        )
    assert seconds > 0
