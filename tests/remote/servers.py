"""moto's S3 on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing-key-id",
    "AWS_SECRET_ACCESS_KEY": "testing-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """Serve a bucket; the environment points there."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _host, port = server.get_host_and_port()
        address = f"http://127.0.0.1:{port}"
        with patch.dict(os.environ, {**ENVIRONMENT, "AWS_ENDPOINT_URL_S3": address}):
            client = boto3.client("s3", endpoint_url=address)
            client.create_bucket(Bucket=bucket)
            client.close()
            yield bucket
    finally:
        server.stop()
