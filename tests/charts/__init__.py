"""What the charts render, looked at without installing them: `make check`."""
