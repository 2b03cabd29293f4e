"""`python -m console` serves."""

from runtime.sigterm import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()  # before the import, which takes its time

    from console.service import main

    main()
