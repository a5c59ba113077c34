"""The entry point: `turnout`, or `python -m server.cli` where that is not on the path."""


def main() -> None:
    """Runs the command."""
    try:
        # Here, so that importing a part of the package does not build the whole command.
        from server.cli.app import app

        app()
    except KeyboardInterrupt:  # while it was still being loaded
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
