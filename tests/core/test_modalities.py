import pytest

from uadbench.modalities import scored_modality


@pytest.mark.parametrize(
    ("options", "scored"),
    [
        ({}, "FLAIR"),
        ({"latent": 64}, "FLAIR"),
        ({"modality": ""}, "FLAIR"),
        ({"modality": "T1w"}, "T1w"),
        ({"source": "T1w", "target": "FLAIR"}, "T1w"),
        ({"source": "elsewhere"}, "FLAIR"),
    ],
)
def test_option_names_the_modality_and_without_it_the_first_is_scored(
    options: dict[str, object], scored: str
) -> None:
    assert scored_modality(options, ("FLAIR", "T1w")) == scored
