"""A script as it is written for the command line."""

import argparse
import sys


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--top", type=int, default=3)
    return parser.parse_args([] if argv is None else argv)


def main() -> int:
    global result
    args = parse_args()
    result = df.nlargest(args.top, "amount")[["order_id", "amount"]]
    print(result.to_string(index=False))
    return 0


if __name__ == "__main__":
    code = main()
    if code:
        sys.exit(code)
