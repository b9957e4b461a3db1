"""What every plugin promises, as checks for pytest and for `uadbench check`.

A package with a method tests it by

    @pytest.mark.parametrize("check", checks("methods", "rarity"), ids=str)
    def test_method_keeps_its_contract(check: Check) -> None:
        check()
"""

from uadbench.contract.check import Check, Finding, examine
from uadbench.contract.specimens import make_scan
from uadbench.contract.suite import checks

__all__ = ["Check", "Finding", "checks", "examine", "make_scan"]
