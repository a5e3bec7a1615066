"""The system, kept running to play with, until Ctrl-C: both servers, both stacks, a few AMIs, and the status page on a port of its own."""

import json
import signal
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "release")]

from aws import EU, US, until
from courier import Courier
from release_files import write_release
from servers import Servers

ACCOUNT, PORT, PAGE_PORT = "123456789012", 4566, 4580

PLAY = """
The system runs: LocalStack, EC2, the stack ami-courier in {eu}, ami-courier-source in {us}.

    export AWS_ENDPOINT_URL={endpoint} AWS_ENDPOINT_URL_EC2={ec2} AWS_ACCESS_KEY_ID={account} AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION={eu}
    output() {{ aws cloudformation describe-stacks --stack-name ami-courier --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text; }}

These commands are for the AWS CLI 2 as AWS installs it. (Version 1, and 2.9 of Debian 12's packages, ask AWS itself.) A dead letter lies there already: a request to copy
unheard-golden-3 as golden-3 named a key that does not exist.

Build an AMI, and see its copy:
    aws ec2 register-image --region {us} --name golden-9 --root-device-name /dev/xvda --block-device-mappings 'DeviceName=/dev/xvda,Ebs={{VolumeSize=8}}'
    aws ec2 describe-images --owners self --query 'Images[].[ImageId, Name, State, SourceImageId]' --output text
Ask for a second copy of golden-1 under another name, and for the status of all:
    aws sqs send-message --queue-url "$(output QueueUrl)" --message-body '{{"SourceImageId": "{golden}", "SourceRegion": "{us}", "Name": "golden-1-again"}}'
    aws lambda invoke --function-name "$(output FunctionName)" --cli-binary-format raw-in-base64-out --payload '{{"Status": {{}}}}' status.json && python3 -m json.tool status.json
Or look at the status page: {page}
Break the key, build another AMI, read the dead letter, and send it back after the repair (docs/operations.md):
    aws cloudformation deploy --stack-name ami-courier --template-file {template} --s3-bucket {bucket} --capabilities CAPABILITY_IAM --parameter-overrides KmsKeyId=alias/missing
    aws sqs receive-message --queue-url "$(output DeadLetterQueueUrl)" --message-attribute-names All
    aws cloudformation deploy --stack-name ami-courier --template-file {template} --s3-bucket {bucket} --capabilities CAPABILITY_IAM --parameter-overrides KmsKeyId=alias/golden
Read the log:
    aws logs tail "$(output LogGroupName)" --since 1h

Ctrl-C ends all of it.
"""

# What a dashboard has around the widget, as far as it changes the page.
STYLE = 'body{margin:16px;font-family:"Open Sans","DejaVu Sans",sans-serif}a.btn{border:1px solid;border-radius:16px;padding:3px 16px}cwdb-action{display:none}'
FRAME = f"<!doctype html><meta charset=utf-8><title>ami-courier</title><style>{STYLE}</style>"


def serve_page(courier, port=PAGE_PORT):
    """What the dashboard's widget shows, asked through Lambda each time that the page is loaded."""
    function = courier.outputs["FunctionName"]

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            context = {"dashboardName": "ami-courier", "width": 1050, "height": 600, "theme": "light"}
            answer = courier.client("lambda").invoke(FunctionName=function, Payload=json.dumps({"widgetContext": context}))
            body = (FRAME + json.loads(answer["Payload"].read())).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def furnish(courier):
    """AMIs in several states: two finished copies, one whose key is missing, and one that nobody announced. The first is the answer."""
    images = [courier.register(f"golden-{number}") for number in (1, 2)]
    broken = courier.unheard("golden-3")
    courier.send(courier.request(broken, "golden-3", Encrypted=True, KmsKeyId="alias/missing"))
    for image in images:
        courier.finished(image)
    courier.outcome(broken, "Rejected")
    courier.unheard("golden-4")
    until(lambda: len(courier.client("ec2", US).describe_images(Owners=["self"])["Images"]) == 4, "the AMIs to be visible")
    return images[0]


def main():
    with tempfile.TemporaryDirectory(prefix="ami-courier-system-") as folder:
        release = write_release(Path(folder))
        servers = Servers(Path(folder) / "servers", PORT)
        try:
            courier = Courier(servers, release, ACCOUNT).create().forward()
            golden = furnish(courier)
            page, template = serve_page(courier), release / "ami-courier.template.json"
            where = {"endpoint": servers.endpoint, "ec2": servers.ec2_endpoint, "page": page, "template": template, "golden": golden}
            print(PLAY.format(eu=EU, us=US, account=ACCOUNT, bucket=f"code-{ACCOUNT}-{EU}", **where), flush=True)
            signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            servers.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
