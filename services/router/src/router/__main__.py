"""`python -m router` serves the agent."""

from runtime.sigterm import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()  # before the import, which takes its time

    from router.service import main

    main()
