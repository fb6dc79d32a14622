"""The pure core: bytes and intents in, writes and events out.

Nothing in this folder reads a clock, opens a file, waits, logs or knows pydantic. Time comes in
as ``now_s``, seconds on any clock that never goes backward.
"""
