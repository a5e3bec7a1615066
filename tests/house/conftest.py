"""The checks of the house: its words and its walls. They need pytest and nothing else: `python3 -m pytest tests/house`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
