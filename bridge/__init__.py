"""Retrowalk: a bridge between a Bluetooth treadmill and a home, made for walking backward."""

__version__ = "0.1.0"
