import pytest
import torch

from uadbench.methods._nn.schedules import learning_rate


def test_constant_learning_rate_stays() -> None:
    assert {learning_rate("constant", 0.5, step, 10) for step in range(10)} == {0.5}


def test_one_cycle_learning_rate_peaks_after_a_quarter_and_ends_low() -> None:
    rates = [learning_rate("one-cycle", 0.5, step, 399) for step in range(399)]

    # Step 99 is the hundredth of 400: a quarter. Half way up the cosine is a half.
    assert max(rates) == rates[99] == pytest.approx(0.5)
    assert rates[49] == pytest.approx(0.25)
    assert 0 < rates[0] < 0.001
    assert 0 < rates[-1] < 0.001


def test_cosine_learning_rate_is_that_of_torch_and_goes_up_again() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=10)
    expected = []
    for _ in range(35):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()

    rates = [learning_rate("cosine", 0.5, step, 35, period=10) for step in range(35)]

    assert rates == pytest.approx(expected, abs=1e-9)
    assert rates[10] == pytest.approx(0.0)
    assert rates[20] == pytest.approx(0.5)


def test_cosine_learning_rate_without_a_period_falls_until_the_end() -> None:
    rates = [learning_rate("cosine", 0.5, step, 200) for step in range(200)]

    assert rates == sorted(rates, reverse=True)
    assert rates[100] == pytest.approx(0.25)
    assert 0 < rates[-1] < 0.001
