"""`python -m voxseed` is `voxseed`."""

from voxseed.cli.main import main

if __name__ == "__main__":
    main()
