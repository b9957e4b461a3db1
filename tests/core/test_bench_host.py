from uadbench.bench import host
from uadbench.bench.figures import limits

SMALL = (24, 20, 12)


def test_metrics_and_reading_stand_beside_the_bandwidth_of_memory() -> None:
    voxels = host.metrics(SMALL, 1e9, 0.01)
    volumes = host.reading(SMALL, 1e9, 0.01)

    assert (voxels.unit, volumes.unit) == ("voxels/s", "volumes/s")
    assert voxels.limits == {"memory": 1e9 / 7}
    assert volumes.limits == {"memory": 1e9 / (6 * 24 * 20 * 12)}
    assert volumes.name == "reading 24 x 20 x 12 .nii.gz"
    assert voxels.measured is not None
    assert volumes.measured is not None
    assert min(voxels.measured, volumes.measured) > 0


def test_a_precision_that_is_slower_than_single_is_no_limit() -> None:
    assert limits({"fp32": 10.0, "bf16": 9.0}, 2.0) == {"fp32": 5.0}
    assert limits({"fp32": 10.0, "bf16": 80.0}, 2.0) == {"fp32": 5.0, "bf16": 40.0}
    assert limits({"fp32": 10.0}, 0.0) == {}
    assert limits({}, 2.0) == {}
