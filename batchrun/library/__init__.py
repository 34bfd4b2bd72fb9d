"""The Python API: what can be done with a queue, without a command line. Each function takes the call's settings."""
