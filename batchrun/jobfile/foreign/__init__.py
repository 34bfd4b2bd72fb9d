"""Files made for other programs, turned into job files. What cannot come along is told, never dropped in silence."""
