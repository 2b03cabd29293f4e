"""What every API of ours does alike: problems, limits, what a request says, its document. Its room brings FastAPI."""
