"""The commands of docs/status.md for two terminals: an AWS on loopback in one, the question in the other."""

import os
import subprocess

from pages import script
from test_commands import TARGET

# On a free port, because the usual one may be in use.
STAND_IN = """
cargo() {
    [ "$1 $2 $3 $4" = "run -p local --" ] || { echo "cargo $*: this cannot run here" >&2; return 1; }
    shift 4
    case "$1" in
        serve) exec "$TARGET/local" "$@" --port 0 ;;
        status) "$TARGET/local" "$@" --endpoint-url "$AWS_ENDPOINT_URL" --function "$TARGET/ami-courier" ;;
    esac
}
"""


def terminal(commands, **more):
    environment = {**os.environ, "TARGET": str(TARGET), **more}
    return subprocess.Popen(["bash", "-euc", STAND_IN + commands], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_status_lists_the_ami_that_is_served():
    server = terminal(script("serve"))
    try:
        endpoint = next(line for line in server.stdout if line.startswith("AWS_ENDPOINT_URL=")).strip().partition("=")[2]
        answer, _ = terminal(script("ask"), AWS_ENDPOINT_URL=endpoint).communicate(timeout=60)
    finally:
        server.kill()
        server.wait()
    assert "ami-5731123e" in answer and "Awaited" in answer, answer
    assert "eu-west-1" in answer and "eu-north-1" in answer, answer
