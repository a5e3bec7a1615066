"""The checks of an update from the stack before the redesign. They need the packages of tests/requirements.txt and, for the messages, the built programs."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "stack")]
