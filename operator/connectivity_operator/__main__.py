"""Entry point: ``python -m connectivity_operator`` and the script ``connectivity-operator``."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from connectivity_operator.cli import cli
    except KeyboardInterrupt:  # loading takes long enough to change one's mind
        sys.exit(130)
    cli(prog_name="connectivity-operator")


if __name__ == "__main__":
    main()
