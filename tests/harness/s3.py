"""An S3 server with the bucket `annals`, all in memory. Prints its endpoint, and ends with standard input."""

import sys

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
s3 = boto3.client(
    "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="annals", aws_secret_access_key="annals"
)
s3.create_bucket(Bucket="annals")
print(endpoint, flush=True)
sys.stdin.read()
server.stop()
