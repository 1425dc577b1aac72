"""`make bench`: every speed claim, as a ratio measured in one run on this machine."""

from bench import score, statistics


def main() -> None:
    score.main()
    statistics.main()


if __name__ == "__main__":
    main()
