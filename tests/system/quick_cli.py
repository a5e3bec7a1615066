"""The AWS CLI of the package registry (version 1) in place of version 2: it takes payloads as they are, which version 2 does only with an option.

Its waiters look once in 30 seconds. Here they look once in a second.
"""

import os
import sys
import time
from types import SimpleNamespace

import botocore.waiter

botocore.waiter.time = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 1)))

from awscli.clidriver import main

arguments = [argument for argument in sys.argv[1:] if argument not in ("--cli-binary-format", "raw-in-base64-out")]
service = next((argument for argument in arguments if not argument.startswith("-")), "")
# `local serve` has no launch templates; LocalStack's EC2 has.
is_ours = service == "ec2" and not any("launch-template" in argument for argument in arguments)
endpoint = os.environ["EC2_ENDPOINT" if is_ours else "ENDPOINT"]
sys.argv[1:] = ["--endpoint-url", endpoint, *arguments]
# `cloudformation deploy --s3-bucket` makes a client of its own.
os.environ["AWS_ENDPOINT_URL_S3"] = endpoint
sys.exit(main())
