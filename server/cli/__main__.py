"""The entry point: `turnout`, or `python -m server.cli` where that is not on the path."""

import sys


def main() -> None:
    """Runs the command."""
    try:
        # Here, so that importing a part of the package does not build the whole command.
        from server.cli.app import app

        app()
    except KeyboardInterrupt:  # while it was still being loaded
        raise SystemExit(130) from None
    except UnicodeEncodeError as error:  # of an argument: bytes that no text in UTF-8 has
        if error.encoding != "utf-8":
            raise
        print(f"turnout: {error.object!a:.80} is not UTF-8: give text in UTF-8", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
