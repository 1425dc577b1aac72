"""`make bench`: every speed claim, as a ratio measured in one run on this machine."""

from bench import nnunet, orthanc, receiving, score, statistics, training


def main() -> None:
    score.main()
    nnunet.main()
    training.main()
    statistics.main()
    receiving.main()
    orthanc.main()


if __name__ == "__main__":
    main()
