"""The commands of README and docs/, run with the AWS CLI as their readers run them."""

import os
import subprocess
import sys
from pathlib import Path


class Shell:
    """One folder, one account, one Region."""

    def __init__(self, courier, folder):
        self.courier, self.folder = courier, folder
        programs = folder / "programs"
        programs.mkdir()
        program = programs / "aws"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} {Path(__file__).parent / 'quick_cli.py'} \"$@\"\n")
        program.chmod(0o755)
        quiet = {"AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        keys = {"AWS_ACCESS_KEY_ID": courier.aws.account, "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": courier.region}
        servers = {"ENDPOINT": courier.aws.servers.endpoint, "EC2_ENDPOINT": courier.aws.servers.ec2_endpoint}
        sam = {"AWS_ENDPOINT_URL": courier.aws.servers.endpoint, "SAM_CLI_TELEMETRY": "0"}
        path = f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, **quiet, **keys, **servers, **sam, "PATH": path}

    def run(self, *scripts):
        """What the commands print. Each must succeed."""
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(scripts)], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return (done.stdout + done.stderr).strip()
