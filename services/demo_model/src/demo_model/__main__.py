"""`python -m demo_model` serves until SIGTERM or SIGINT."""

from runtime.sigterm import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()  # before the import, which takes its time

    from demo_model.service import main

    main()
