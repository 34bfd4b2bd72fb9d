from batchrun.errors import BatchrunError as BatchrunError
from batchrun.errors import KeyRefused as KeyRefused
from batchrun.errors import NothingMatched as NothingMatched
from batchrun.errors import UsageError as UsageError
from batchrun.errors import WorkerBusy as WorkerBusy
from batchrun.library.given import InvalidJobs as InvalidJobs
from batchrun.library.given import Job as Job
from batchrun.library.given import place_of as place_of
from batchrun.library.program import Queue as Queue
from batchrun.library.program import Run as Run
from batchrun.library.program import Status as Status
from batchrun.library.program import Stopped as Stopped
from batchrun.library.program import open as open  # noqa: A004  # read as `batchrun.open`
from batchrun.library.rows import Errors as Errors
from batchrun.library.rows import Results as Results

__version__: str
