"""`python -m foryou.cli`: the same as `foryou`."""

from foryou.cli import main

main()
