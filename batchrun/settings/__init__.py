"""Settings: one declared table of options, where each value came from, the key, and the dated tables.

settings = load({"tier": "build"})      # flags by option; environment and files are read
settings.tier, settings.origin_of("tier")
settings.credential().secret
settings.tables().prices
"""

from batchrun.settings.credential import Credential
from batchrun.settings.files import SYSTEM_FILE
from batchrun.settings.options import OPTIONS, OTHER_VARIABLES, Option
from batchrun.settings.resolve import Settings, load

__all__ = ["OPTIONS", "OTHER_VARIABLES", "SYSTEM_FILE", "Credential", "Option", "Settings", "load"]
