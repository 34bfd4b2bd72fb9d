"""The pure core: standard library only; time and randomness come in as arguments."""
