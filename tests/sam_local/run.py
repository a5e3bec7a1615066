#!/usr/bin/env python3
"""Runs `sam local invoke`: the function that `sam build` built, in a container, against two AWS on loopback.

It uses two AWS: `local serve` and moto. For each it sends a direct request, an SQS batch and an EventBridge event (files
of events/) through `sam local invoke`. The answer must be right, and the copies must exist with their tags.

It builds nothing: run `sam build` and `cargo build --package local` first. It needs root, socat, and a Docker daemon or the
packages docker.io and busybox-static. If no daemon answers, it starts its own. If it cannot pull the Lambda base image, it
replaces the image by a root file system from this machine's busybox and glibc. SAM adds its own runtime emulator in both
cases.

The server listens on loopback only. The function's container reaches it through a network of its own: a container named
`aws` is in that network, socat listens in its network namespace, and forwards to the server through a Unix socket.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TOOLS = Path(sys.executable).parent
IMAGE = "public.ecr.aws/lambda/provided:al2023-x86_64"
SOURCE_REGION, REGION = "us-east-1", "eu-west-1"
ACCOUNT = "123456789012"
# The oldest glibc that the provided.al2023 runtime has: docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html
AL2023_GLIBC = (2, 34)
PORT = 4566


def run(*command, env=None, timeout=120):
    """Returns the output of a command that must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env, timeout=timeout)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def process(*command, log, env=None):
    """A process that is stopped, by its id, at the end of the block."""
    with open(log, "w") as output:
        started = subprocess.Popen([str(part) for part in command], stdout=output, stderr=subprocess.STDOUT, env=env)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(timeout=30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def until(holds, what, log=None, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"{what} did not happen within {seconds} s{': ' + Path(log).read_text()[-2000:] if log else ''}")
        time.sleep(0.1)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Docker:
    """A Docker daemon: the one that answers, or one of our own without access to other machines."""

    def __init__(self, stack, work):
        self.env = dict(os.environ)
        answers = self.answers()
        if not answers:
            self.start(stack, work)
        self.stand_in = not (answers and self.pulls())
        if self.stand_in:
            self.import_stand_in(work / "root")

    def start(self, stack, work):
        self.env["DOCKER_HOST"] = f"unix://{work}/docker.sock"
        had_bridge = Path("/sys/class/net/docker0").exists()
        log = work / "dockerd.log"
        isolated = ["--iptables=false", "--ip-forward=false", "--ip-masq=false"]
        places = [f"--data-root={work}/data", f"--exec-root={work}/exec", f"--pidfile={work}/docker.pid", f"--host={self.env['DOCKER_HOST']}"]
        stack.callback(lambda: had_bridge or subprocess.run(["ip", "link", "delete", "docker0"], check=False, stderr=subprocess.DEVNULL))
        stack.enter_context(process("dockerd", "--storage-driver=vfs", *isolated, *places, log=log))
        until(self.answers, "the start of dockerd", log)

    def pulls(self):
        return subprocess.run(["docker", "pull", IMAGE], capture_output=True, env=self.env, check=False, timeout=600).returncode == 0

    def answers(self):
        return subprocess.run(["docker", "info"], capture_output=True, env=self.env, check=False).returncode == 0

    def __call__(self, *arguments):
        return run("docker", *arguments, env=self.env).strip()

    def import_stand_in(self, root):
        """Contains what a program linked against glibc needs, a shell for SAM's `RUN`, and root certificates at the path of Amazon Linux."""
        for folder in ["bin", "tmp", "etc/pki/tls/certs", "etc/ssl/certs", "var/task", "var/runtime", "opt"]:
            (root / folder).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin/busybox")
        for name in ["sh", "mv", "chmod", "sleep"]:
            (root / "bin" / name).symlink_to("busybox")
        # bash is linked against libc and the loader. A Rust program can need the others.
        for library in re.findall(r"(/\S+/ld-linux\S+|/\S+/libc\.so\.6)", run("ldd", "/bin/bash")):
            path = root / library.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, path)
            if library.endswith("libc.so.6"):
                for name in ["libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1"]:
                    shutil.copy(Path(library).with_name(name), path.with_name(name))
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/pki/tls/certs/ca-bundle.crt")
        (root / "etc/ssl/certs/ca-bundle.crt").symlink_to("/etc/pki/tls/certs/ca-bundle.crt")
        archive = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["docker", "import", "-", IMAGE], stdin=archive.stdout, env=self.env, check=True, stdout=subprocess.DEVNULL)
        if archive.wait() != 0:
            sys.exit("could not pack the replacement of the base image")


class Network:
    """A network in which `http://aws:4566` is the server that the bridge leads to."""

    name = "ami-courier-test"

    def __init__(self, stack, docker, work):
        self.work = work
        docker("network", "create", "--internal", self.name)
        stack.callback(docker, "network", "rm", self.name)
        container = docker("run", "--detach", "--network", self.name, "--network-alias", "aws", "--entrypoint", "sleep", IMAGE, "3600")
        stack.callback(docker, "rm", "--force", container)
        pid = docker("inspect", "--format", "{{.State.Pid}}", container)
        inside = ["nsenter", f"--net=/proc/{pid}/ns/net", "socat", f"TCP-LISTEN:{PORT},fork,reuseaddr", f"UNIX-CONNECT:{work}/aws"]
        stack.enter_context(process(*inside, log=work / "socat-inside.log"))

    @contextmanager
    def leading_to(self, port):
        socket_path = self.work / "aws"
        with process("socat", f"UNIX-LISTEN:{socket_path},fork,unlink-early", f"TCP:127.0.0.1:{port}", log=self.work / "socat.log"):
            until(socket_path.exists, "the bridge")
            yield


class Aws:
    """One AWS on loopback, as a client sees it. `complete`: copies have tags and can be found by their source, as in EC2. In moto they have no tags and cannot be found."""

    def __init__(self, name, port, complete):
        self.name, self.port, self.complete = name, port, complete

    def ec2(self, region):
        keys = {"aws_access_key_id": f"AKIA{ACCOUNT}TEST", "aws_secret_access_key": "secret"}
        return boto3.client("ec2", region_name=region, endpoint_url=f"http://127.0.0.1:{self.port}", **keys)

    def build(self, name):
        """A new source AMI that belongs to the function's account and has a tag."""
        ec2 = self.ec2(SOURCE_REGION)
        image_id = ec2.register_image(Name=name)["ImageId"]
        ec2.create_tags(Resources=[image_id], Tags=[{"Key": "team", "Value": "images"}])
        return image_id

    def forget(self):
        """Resets moto: if it has AMIs, its DescribeImages fails with the filters for the source of a copy."""
        if not self.complete:
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}/moto-api/reset", method="POST")
            urllib.request.urlopen(request, timeout=30).close()

    def copies(self):
        images = self.ec2(REGION).describe_images(Owners=["self"])["Images"]
        return {image["ImageId"]: image for image in images}


@contextmanager
def local_serve(work):
    port = free_port()
    log = work / "serve.log"
    with process(TARGET / "debug" / "local", "serve", "--port", port, log=log):
        until(lambda: listens(port), "the start of `local serve`", log)
        yield Aws("local serve", port, complete=True)


@contextmanager
def moto(work):
    port = free_port()
    log = work / "moto.log"
    with process(TOOLS / "moto_server", "-H", "127.0.0.1", "-p", port, log=log, env={**os.environ, "MOTO_ACCOUNT_ID": ACCOUNT}):
        until(lambda: listens(port), "the start of moto", log)
        yield Aws("moto", port, complete=False)


class Sam:
    """`sam local invoke`, with a function that uses the network's AWS."""

    def __init__(self, docker, build, work):
        self.docker, self.build, self.work = docker, build, work
        # The output of the last invocation, with the function's own log lines.
        self.log = ""
        self.environment = work / "environment.json"
        self.environment.write_text(json.dumps({"Parameters": {"AWS_ENDPOINT_URL": f"http://aws:{PORT}"}}))

    def invoke(self, event):
        path = self.work / "event.json"
        path.write_text(event)
        command = [TOOLS / "sam", "local", "invoke", "--template", self.build / "template.yaml", "--event", path]
        command += ["--env-vars", self.environment, "--docker-network", Network.name, "--region", REGION]
        # The one parameter without a default.
        command += ["--parameter-overrides", "SourceRegions=us-east-1"]
        if self.docker.stand_in:
            command += ["--skip-pull-image"]
        # Without credentials, SAM passes its own to the function; they mean ACCOUNT here. With credentials, it would ask STS for their account.
        environment = {name: value for name, value in self.docker.env.items() if not name.startswith("AWS_")}
        environment["SAM_CLI_TELEMETRY"] = "0"
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, cwd=ROOT, timeout=180)
        self.log = done.stdout + done.stderr
        try:
            if done.returncode == 0:
                return json.loads(done.stdout)
        except ValueError:
            pass
        sys.exit(f"sam local invoke gave no answer ({done.returncode}):\n{self.log}")


def event_about(name, image_id):
    """The event of events/, with `image_id` as its AMI."""
    text = (ROOT / "events" / name).read_text()
    (written,) = set(re.findall(r"ami-[0-9a-f]{17}", text))
    return text.replace(written, image_id)


class Trial:
    """One event against one AWS."""

    def __init__(self, sam, aws):
        self.sam, self.aws = sam, aws
        self.known = set(aws.copies())

    def check(self, holds, what):
        if not holds:
            sys.exit(f"FAILED: {self.aws.name}, {what}\n{self.sam.log}")
        print(f"ok: {self.aws.name}, {what}", flush=True)

    def copied(self, source, name, what, answered=None):
        """Exactly one new copy exists. It is the one in the answer, if the answer has one, and its name and tags are right."""
        copies = self.aws.copies()
        new = set(copies) - self.known
        self.known |= new
        self.check(len(new) == 1 and answered in (None, *new), f"{what}: one new copy, {new}")
        image = copies[new.pop()]
        self.check(image["Name"] == name, f"{what}: its name is {name}")
        if self.aws.complete:
            tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
            expected = {"ami-courier:source-image": source, "ami-courier:source-region": SOURCE_REGION, "team": "images"}
            self.check(expected.items() <= tags.items(), f"{what}: it has its own tags, and the source's")

    def direct_request(self):
        source = self.aws.build("direct")
        event = event_about("copy-image-request.json", source)
        name = json.loads(event)["Name"]
        answer = self.sam.invoke(event)
        wanted = {"Outcome": "Started", "SourceImageId": source, "SourceRegion": SOURCE_REGION, "Region": REGION, "Name": name}
        self.check(isinstance(answer, dict) and wanted.items() <= answer.items(), f"direct request: {answer}")
        self.copied(source, name, "direct request", answer["ImageId"])

    def sqs_batch(self):
        source = self.aws.build("by-queue")
        answer = self.sam.invoke(event_about("sqs-batch.json", source))
        self.check(answer == {"batchItemFailures": []}, f"SQS batch: {answer}")
        self.copied(source, "by-queue", "SQS batch")

    def eventbridge_event(self):
        source = self.aws.build("by-event")
        answer = self.sam.invoke(event_about("ec2-ami-state-change.json", source))
        self.check(isinstance(answer, list) and [one["Outcome"] for one in answer] == ["Started"], f"EventBridge event: {answer}")
        self.copied(source, "by-event", "EventBridge event", answer[0]["ImageId"])
        if self.aws.complete:
            again = self.sam.invoke(event_about("ec2-ami-state-change.json", source))
            self.check([one["Outcome"] for one in again] == ["AlreadyCopied"], f"the same event again: {again}")
            self.check(set(self.aws.copies()) == self.known, "the same event again: no new copy")


def runs_on_amazon_linux(bootstrap):
    """This machine's glibc can be newer than Lambda's: the binary must not need a newer one than Lambda has."""
    asked = re.findall(rb"GLIBC_(\d+)\.(\d+)", bootstrap.read_bytes())
    newest = max(((int(major), int(minor)) for major, minor in asked), default=(0, 0))
    if newest > AL2023_GLIBC:
        sys.exit(f"FAILED: {bootstrap} needs glibc {newest[0]}.{newest[1]}, Amazon Linux 2023 has 2.34")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", type=Path, default=ROOT / ".aws-sam" / "build", help="output folder of `sam build` (default: .aws-sam/build)")
    build = parser.parse_args().build
    runs_on_amazon_linux(build / "Function" / "bootstrap")
    # A short path: that of a Unix socket can have 107 characters.
    with tempfile.TemporaryDirectory(prefix="courier-", dir="/tmp", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        work = Path(folder)
        docker = Docker(stack, work)
        network = Network(stack, docker, work)
        sam = Sam(docker, build, work)
        for server in [local_serve, moto]:
            with server(work) as aws, network.leading_to(aws.port):
                for event in (Trial.direct_request, Trial.sqs_batch, Trial.eventbridge_event):
                    aws.forget()
                    event(Trial(sam, aws))
    print("sam local invoke: all checks passed, with local serve and with moto")


if __name__ == "__main__":
    main()
