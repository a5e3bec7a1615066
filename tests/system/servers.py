"""The two servers of the system, on loopback only: `local serve` is EC2, with its tokens, its lag and its events, and LocalStack is everything else."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
# Built by `cargo test --workspace`.
PROGRAMS = Path(os.environ.get("PROGRAMS", ROOT / "target" / "debug"))
# An environment with requirements.txt: LocalStack brings packages that the tests have in other versions.
PYTHON = os.environ.get("SYSTEM_PYTHON", str(ROOT / "target" / "system" / "bin" / "python"))

# The name of an AMI whose own event is lost begins so.
UNHEARD = "unheard-"
COPY_SECONDS, LAG_SECONDS = 2, 1


class Servers:
    """LocalStack's endpoint and EC2's, and how to stop both."""

    def __init__(self, folder, port=None, gaps="filled"):
        self.folder, self.gaps = Path(folder), gaps
        self.folder.mkdir(parents=True, exist_ok=True)
        port = port or _free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.processes = []
        try:
            self.ec2_endpoint = self._start_ec2()
            self._start_localstack(port)
        except BaseException:
            self.stop()
            raise

    def _start_ec2(self):
        options = ["--copy-takes", COPY_SECONDS, "--lag", LAG_SECONDS, "--events-to", self.endpoint, "--lose", UNHEARD]
        keys = [option for region in ("eu-west-1", "ap-southeast-2") for option in ("--key", f"{region}:alias/golden")]
        log = self._start("ec2", [PROGRAMS / "local", "serve", "--port", "0", *map(str, options), *keys], os.environ)
        return _eventually(lambda: next((line.partition("=")[2] for line in log.read_text().splitlines() if line.startswith("AWS_ENDPOINT_URL=")), None), self, log)

    def _start_localstack(self, port):
        state = self.folder.resolve()
        folders = {"HOME": state / "home", "TMPDIR": state / "tmp", "XDG_CACHE_HOME": state / "cache", "FILESYSTEM_ROOT": state / "root"}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        # Not a container, no internet, no analytics, no DNS server, no Docker.
        alone = {"DISABLE_EVENTS": 1, "SKIP_SSL_CERT_DOWNLOAD": 1, "DNS_ADDRESS": 0, "OVERRIDE_IN_DOCKER": 0, "EAGER_SERVICE_LOADING": 0}
        here = {"GATEWAY_LISTEN": f"127.0.0.1:{port}", "LOCALSTACK_HOST": f"127.0.0.1:{port}", "SQS_ENDPOINT_STRATEGY": "path"}
        function = {"PYTHONPATH": HERE / "plugin", "LAMBDA_RUNTIME_EXECUTOR": "process", "EC2_ENDPOINT": self.ec2_endpoint, "GAPS": self.gaps, "LAMBDA_KEEPALIVE_MS": 600_000}
        # Time that nobody needs to wait: Lambda tries an asynchronous invocation again after a minute, and an idle poller looks once in ten seconds.
        quick = {"LAMBDA_RETRY_BASE_DELAY": 1, "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": 1}
        settings = {name: str(value) for name, value in {**folders, **alone, **here, **function, **quick}.items()}
        log = self._start("localstack", [PYTHON, "-m", "localstack.runtime.main"], {"PATH": os.environ["PATH"], **settings})

        def ready():
            try:
                return urllib.request.urlopen(f"{self.endpoint}/_localstack/health", timeout=5).status == 200 and "Ready." in log.read_text()
            except (urllib.error.URLError, OSError):
                return None

        _eventually(ready, self, log)

    def _start(self, name, command, environment):
        log = self.folder / f"{name}.log"
        with log.open("w") as output:
            options = {"stdout": output, "stderr": subprocess.STDOUT, "cwd": self.folder, "preexec_fn": _end_with_the_tests}
            process = subprocess.Popen([str(part) for part in command], env=environment, **options)
        self.processes.append(process)
        return log

    def stop(self):
        """At once: nobody needs what they hold, and LocalStack's own end takes 20 seconds. A function without its Runtime API ends by itself."""
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def _end_with_the_tests():
    """Tests that are killed stop no servers: Linux then ends these (PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _eventually(look, servers, log):
    end = time.monotonic() + 120
    while not (found := look()):
        ended = [process for process in servers.processes if process.poll() is not None]
        if ended or time.monotonic() > end:
            raise RuntimeError(f"a server {'ended' if ended else 'is not ready'}:\n{log.read_text()[-4000:]}")
        time.sleep(0.1)
    return found


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
