"""Ratios of time, processor time, memory and disk against bare floors, each pair measured in turn in one call."""
