"""An exhaustive search of a small model of the pilot: ``python -m tests.search``."""
