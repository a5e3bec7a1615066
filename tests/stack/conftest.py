"""The checks of the templates. They need the packages of tests/requirements.txt and, for the permissions, the calls that `cargo test` recorded."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
