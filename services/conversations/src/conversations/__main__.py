"""`python -m conversations` serves; its commands stand in `service.py`."""

from runtime.sigterm import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()  # before the import, which takes its time

    from conversations.service import main

    main()
