"""`python -m simscale` is `simscale`."""

from simscale.cli import main

if __name__ == "__main__":
    main()
