"""Entry point: ``python -m connectivity_operator`` and the script ``connectivity-operator``."""

from connectivity_operator.cli import cli


def main() -> None:
    """Run the command line."""
    cli(prog_name="connectivity-operator")


if __name__ == "__main__":
    main()
