# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One signed S3 request with the standard library alone (AWS Signature Version 4)."""

from __future__ import annotations

import hashlib
import hmac
import http.client
from datetime import UTC, datetime
from urllib.parse import quote

REGION = "us-east-1"
_SIGNED_HEADERS = "host;x-amz-content-sha256;x-amz-date"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signed_request(
    method: str, port: int, path: str, credentials: tuple[str, str], body: bytes = b""
) -> tuple[int, bytes]:
    """Send one request to 127.0.0.1 and return (status, body).

    ``path`` starts with ``/``; ``credentials`` are (access key, secret key).

    Raises ``OSError`` or ``http.client.HTTPException`` when there is no answer.
    """
    access_key, secret_key = credentials
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    host = f"127.0.0.1:{port}"
    digest = hashlib.sha256(body).hexdigest()
    canonical = (
        f"{method}\n{quote(path)}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{moment}\n\n"
        f"{_SIGNED_HEADERS}\n{digest}"
    )
    scope = f"{moment[:8]}/{REGION}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _hmac(_hmac(_hmac(_hmac(f"AWS4{secret_key}".encode(), moment[:8]), REGION), "s3"), "aws4_request")
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers = {
        "Host": host,
        "x-amz-date": moment,
        "x-amz-content-sha256": digest,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, "
        f"SignedHeaders={_SIGNED_HEADERS}, Signature={signature}",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, quote(path), body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
