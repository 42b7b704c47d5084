"""Unmask finds out whether a picture, a film or a voice was made or changed by a machine.

>>> import unmask
>>> report = unmask.scan("photo.jpg")  # doctest: +SKIP
>>> report.verdict.label  # doctest: +SKIP
'no_sign_found'
"""

from unmask.errors import (
    CardError,
    DamagedMedia,
    ExitCode,
    LimitExceeded,
    MediaError,
    ModelError,
    SubjectError,
    UnmaskError,
    UnsupportedMedia,
    UsageError,
)
from unmask.options import Limits, Options
from unmask.report import Evidence, Finding, Report, Verdict

__version__ = "0.1.0"

__all__ = [
    "CardError",
    "DamagedMedia",
    "Evidence",
    "ExitCode",
    "Finding",
    "LimitExceeded",
    "Limits",
    "MediaError",
    "ModelError",
    "Options",
    "Report",
    "Scanner",
    "SubjectError",
    "UnmaskError",
    "UnsupportedMedia",
    "UsageError",
    "Verdict",
    "__version__",
    "scan",
]

from unmask.scanner import Scanner, scan
