"""The command line: one file for each group of commands, joined in `bridge.cli.app`.

Commands read arguments, call one room and print. Whatever is heavy is imported inside them, so
that ``retrowalk --help`` stays quick on a small computer.
"""
