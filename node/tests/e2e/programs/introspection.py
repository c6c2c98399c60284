"""An authorization server's introspection endpoint (RFC 7662) on Python's http.server, as strict as the RFC's clients
must expect. Arguments: port-file log-file client-id client-secret.

It writes its port to the one file and, for each question, one line of JSON to the other.
"""
import base64
import json
import pathlib
import sys
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port_file, log_file, client_id, client_secret = sys.argv[1:]
BASIC = "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
ANSWERS = {
    # What RFC 6750 allows in a token and a form must escape.
    "ali-ce.~+/==": {"active": True, "username": "alice@example.com", "aud": ["mail"], "scope": "imap smtp"},
    "too-narrow": {"active": True, "username": "alice@example.com", "aud": ["mail"], "scope": "profile"},
    "bobs": {"active": True, "username": "bob@example.com", "aud": "mail", "exp": int(time.time()) + 600, "scope": "imap"},
    "for-others": {"active": True, "username": "alice@example.com", "aud": ["wiki"], "scope": "imap"},
    "old": {"active": True, "username": "alice@example.com", "aud": "mail", "exp": int(time.time()) - 600, "scope": "imap"},
    "nobodys": {"active": True, "username": "nobody@example.com", "aud": "mail", "scope": "imap"},
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode("ascii")
        form = urllib.parse.parse_qs(body, strict_parsing=True)
        with open(log_file, "a") as log:
            print(json.dumps({"path": self.path, "form": form}), file=log)
        if self.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            return self.reply(415, b"{}")
        if self.headers.get("Authorization") != BASIC:
            return self.reply(401, b"{}")
        token = form["token"][0]
        if token == "broken":
            return self.reply(500, b"<html>", "text/html")
        if token == "nonsense":
            return self.reply(200, b"this is not JSON")
        if token == "endless":
            return self.reply(200, b'{"active": true, "padding": "' + b"x" * (1 << 20) + b'"}')
        # RFC 7662 2.2: whatever is wrong with a token, it is not active, and no more is said.
        return self.reply(200, json.dumps(ANSWERS.get(token, {"active": False})).encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
pathlib.Path(port_file + ".new").write_text(str(server.server_address[1]))
pathlib.Path(port_file + ".new").rename(port_file)
server.serve_forever()
