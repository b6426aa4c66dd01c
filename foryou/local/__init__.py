"""The stack without Docker: real processes, started by dependency on health checks, watched, ended by pid.

This package file and `jdk.py`, `install.py` stay on the standard library: they run before there is an environment.
"""
