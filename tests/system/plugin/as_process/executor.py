"""Runs a function of a `provided` runtime as a process of this machine, with a Runtime API of its own.

LocalStack's executor needs Docker and a binary from the internet. This one needs neither: LAMBDA_RUNTIME_EXECUTOR=process.
docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import subprocess
import threading
import time
from concurrent.futures import Future, TimeoutError
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue

from localstack import config
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = "process"

    def load(self, *args, **kwargs):
        return ProcessExecutor


class _RuntimeApi(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        executor = self.server.executor
        executor.asked_for_work()
        # The invocations of this process, not of one that takes its place.
        queue = executor.invocations
        while (invocation := _next(queue)) is None:
            if executor.stopped or queue is not executor.invocations:
                self.close_connection = True
                return
        body = invocation["payload"].encode()
        self.send_response(200)
        for name, value in {
            "Lambda-Runtime-Aws-Request-Id": invocation["invoke-id"],
            "Lambda-Runtime-Deadline-Ms": str(executor.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation["invoked-function-arn"],
            "Lambda-Runtime-Trace-Id": invocation["trace-id"],
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        try:
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            # The process is gone. _watch says so.
            self.close_connection = True

    def do_POST(self):
        body = self._body()
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        match self.path.split("/")[3:]:
            case ["init", "error"]:
                self.server.executor.failed_to_start(body)
            case ["invocation", _, ("response" | "error") as kind]:
                self.server.executor.answered(body, is_error=kind == "error")

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def log_message(self, *_):
        pass


def _next(queue):
    try:
        return queue.get(timeout=0.5)
    except Empty:
        return None


class ProcessExecutor(RuntimeExecutor):
    def __init__(self, id, function_version):
        super().__init__(id=id, function_version=function_version)
        self.stopped = False
        self.process = None
        self.lines = []
        self.invocations = Queue()
        self.startup = Future()
        self.answer = None
        self.deadline_ms = 0
        self.server = None

    # ---- What LocalStack calls

    def start(self, env_vars):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _RuntimeApi)
        self.server.daemon_threads = True
        self.server.executor = self
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        code = self.function_version.config.code.get_unzipped_code_location()
        bootstrap = code / "bootstrap"
        bootstrap.chmod(0o755)
        host, port = self.server.server_address
        # As in Lambda, nothing of this process's own environment but a PATH.
        environment = {name: str(value) for name, value in env_vars.items() if not name.startswith("LOCALSTACK_")}
        environment |= {"PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}", "LAMBDA_TASK_ROOT": str(code), "TZ": "UTC"}
        # EC2 is another server. It takes the account from the id of the access key.
        environment |= {"AWS_ENDPOINT_URL_EC2": os.environ["EC2_ENDPOINT"], "AWS_ACCESS_KEY_ID": self.function_version.id.account}
        self.command = {"args": [str(bootstrap)], "cwd": code, "env": environment}
        self._spawn()

    def _spawn(self):
        self.startup, self.invocations = Future(), Queue()
        process = subprocess.Popen(**self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.process = process
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()
        self.startup.result(timeout=config.LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT)

    def stop(self):
        self.stopped = True
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.server:
            self.server.shutdown()
            self.server.server_close()

    def invoke(self, payload):
        seconds = self.function_version.config.timeout
        if self.process.poll() is not None:
            # As Lambda does after a crash or a timeout: a new process for the next invocation.
            self._spawn()
        self.answer = Future()
        before = len(self.lines)
        self.deadline_ms = int((time.time() + seconds) * 1000)
        self.invocations.put(payload)
        if self.process.poll() is not None:
            self._gone(self.process)
        try:
            body, is_error = self.answer.result(timeout=seconds)
        except TimeoutError:
            self.process.kill()
            self.process.wait()
            message = f"{payload['invoke-id']} Task timed out after {seconds:.2f} seconds"
            body, is_error = json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": message}).encode(), True
        # What the function wrote before its answer is read by another thread.
        time.sleep(0.02)
        return InvocationResult(payload["invoke-id"], body, is_error=is_error, logs="".join(self.lines[before:]))

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return "http://127.0.0.1"

    def get_logs(self):
        return "".join(self.lines)

    @classmethod
    def prepare_version(cls, function_version):
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version):
        pass

    # ---- What the Runtime API calls

    def asked_for_work(self):
        if not self.startup.done():
            self.startup.set_result(True)

    def failed_to_start(self, body):
        if not self.startup.done():
            self.startup.set_exception(StatusErrorException("Environment startup failed", payload=body))

    def answered(self, body, is_error):
        if self.answer and not self.answer.done():
            self.answer.set_result((body, is_error))

    # ---- What the process does

    def _read(self, process):
        for line in process.stdout:
            self.lines.append(line.decode(errors="replace"))

    def _watch(self, process):
        process.wait()
        self._gone(process)

    def _gone(self, process):
        if process is not self.process:
            return
        message = f"Runtime exited with error: exit status {process.returncode}"
        body = json.dumps({"errorType": "Runtime.ExitError", "errorMessage": message}).encode()
        self.failed_to_start(body)
        self.answered(body, is_error=True)
