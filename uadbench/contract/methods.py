"""The checks of a method, in order."""

from functools import partial

from uadbench.contract import learning, predicting, randomness
from uadbench.contract.check import Check
from uadbench.contract.subject import Subject


def method_checks(subject: Subject) -> list[Check]:
    """Return the checks of what a method does."""
    vital = {
        "fits healthy scans": predicting.check_fit,
        "yields one valid prediction for each scan": predicting.check_predictions,
    }
    others = {
        "yields nothing for no scan": predicting.check_nothing,
        "scores and masks the brain and nothing else": predicting.check_inside,
        "scores and masks only slices that count": predicting.check_slices,
        "leaves the scans as they are": predicting.check_untouched,
        "asks a scan for no label": predicting.check_blind,
        "leaves global random generators alone": randomness.check_generators,
        "predicts a scan the same in any order and company": predicting.check_company,
        "predicts the same with batch=1, if it has that option": predicting.check_batch,
        "keeps in its state all that a prediction needs": learning.check_state,
        "learns the same from the same seed": learning.check_repeats,
        "goes on after a kill to what it would have learned": learning.check_resumes,
    }
    return [
        Check(title, partial(check, subject), vital=title in vital)
        for title, check in (vital | others).items()
    ]
