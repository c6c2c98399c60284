"""An authority that speaks ACME (acme2certifier with a CA of its own), for tests.

Usage: acme_ca.py FOLDER PORT. FOLDER holds ca.pem, ca.key, server.pem and server.key, and is read anew for each question:
`target` (the port of 127.0.0.1 to which challenges go, whatever the name, instead of 443 or 80) and `seconds` (how
long certificates count).
"""

import os
import socket
import ssl
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

folder, port = Path(sys.argv[1]), int(sys.argv[2])
settings = folder / "acme_srv.cfg"
settings.write_text(
    f"""[DEFAULT]
debug: False
[CAhandler]
handler_module: acme2certifier.cahandlers.openssl_ca_handler
issuing_ca_key: {folder}/ca.key
issuing_ca_cert: {folder}/ca.pem
issuing_ca_crl: {folder}/crl.pem
cert_save_path: {folder}/certs
cert_validity_days: 90
[DBhandler]
handler: wsgi
dbfile: {folder}/acme.db
[Challenge]
challenge_validation_disable: False
"""
)
(folder / "certs").mkdir()
(folder / "crl.pem").touch()
os.environ["ACME_SRV_CONFIGFILE"] = str(settings)
os.environ["ACME2CERTIFIER_BASE_DIR"] = str(folder)

from acme2certifier.acme_srv import helper  # noqa: E402
from acme2certifier.cahandlers import openssl_ca_handler  # noqa: E402
from acme2certifier.share import acme2certifier_wsgi  # noqa: E402

helper.fqdn_resolve = lambda *_, **__: (["127.0.0.1"], False, None)
plain_connect = socket.socket.connect


def connect(self, address):
    if address[1] in (80, 443):
        address = ("127.0.0.1", int((folder / "target").read_text()))
    return plain_connect(self, address)


socket.socket.connect = connect
load = openssl_ca_handler.CAhandler._config_policy_load


def load_policy(self, config):
    load(self, config)
    self.cert_validity_days = float((folder / "seconds").read_text()) / 86400


openssl_ca_handler.CAhandler._config_policy_load = load_policy


def application(environ, start_response):
    environ["wsgi.url_scheme"] = "https"
    return acme2certifier_wsgi.application(environ, start_response)


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


handler = acme2certifier_wsgi.get_handler_cls()
server = make_server("127.0.0.1", port, application, server_class=Server, handler_class=handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "server.pem", folder / "server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
