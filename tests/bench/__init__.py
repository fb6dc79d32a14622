"""Measurements in one run, on the same bytes and the same machine, as ratios beside figures."""
