"""What the scheduler would do with a trace: the very core that serves, at full speed, and figures of what came out.

Knows the scheduler and the model; nothing here waits, listens or starts anything.
"""

from ..scheduler import Distribution, Policy, Rules, Strategy
from . import report
from .figures import Figures, UserFigures, Waits, figures
from .machine import Machine
from .run import Outcome, Setting, simulate
from .samples import SAMPLES, Sample
from .trace import Job, Trace, read_trace, write_trace

__all__ = [
    "SAMPLES",
    "Distribution",
    "Figures",
    "Job",
    "Machine",
    "Outcome",
    "Policy",
    "Rules",
    "Sample",
    "Setting",
    "Strategy",
    "Trace",
    "UserFigures",
    "Waits",
    "figures",
    "read_trace",
    "report",
    "simulate",
    "write_trace",
]
