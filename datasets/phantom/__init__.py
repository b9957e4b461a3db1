"""Simulated patients on real anatomy, drawn on the fly: nothing is downloaded.

Origin: the tissue maps of the ICBM152 template (2009a, nonlinear, symmetric) that
    nilearn carries in its package.
Licence: the maps stay in nilearn and no copy of them is part of this package. nilearn
    is BSD-3-Clause; the template is copyright of the McConnell Brain Imaging Centre,
    Montreal Neurological Institute, McGill University, which permits use, copying and
    change without fee where its notice is kept. nilearn's wheel carries nilearn's own
    notice alone. The simulated scans hold no person's data.
Layout: healthy subjects to learn from and to calibrate on; test subjects with a glioma,
    a stroke or MS lesions, one kind each, named in the stratum "kind".
How to get it: it comes with uadbench; `uadbench run --dataset phantom`.

For demonstration and tests only: it shows that a program runs and what its output looks
like. It proves nothing about methods: a simulation can rank them quite unlike patients
do. Its difficulty was fixed before any method was trained on it, by one promise that
real FLAIR suggests: the best single threshold on the plain intensity, pooled over the
test set, has a Dice of 0.25 to 0.40 on T2 and on FLAIR.
"""

from .dataset import Phantom

__all__ = ["Phantom"]
