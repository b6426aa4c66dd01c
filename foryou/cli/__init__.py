"""`foryou`: the commands. Each lies in its own module, which is imported when it is called and not before."""


def main() -> None:
    """The entry point of the `foryou` script."""
    from foryou.cli.app import run

    run()
