"""Signs Deckle's URLs in Python 3. Copy it."""

import base64
import hashlib
import hmac
import sys
from urllib.parse import quote


def sign(secret: str, method: str, path: str, expires: int, scope: str = "") -> str:
    """Returns the query parameters that sign a path, decoded and beginning with a slash, until expires (Unix seconds).

    With a scope, such as /cat for /cat_300_200.webp, the same parameters serve all that it covers.
    """
    message = f"{method}\n{scope or path}\n{expires}"
    mac = hmac.new(secret.encode(), message.encode(), hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    extra = f"&X-Path={quote(scope, safe='')}" if scope else ""
    return f"X-Expires={expires}{extra}&X-Signature={signature}"


if __name__ == "__main__":  # python3 sign.py SECRET METHOD PATH EXPIRES [SCOPE]
    secret, method, path, expires, *scope = sys.argv[1:]
    print(sign(secret, method, path, int(expires), *scope))
