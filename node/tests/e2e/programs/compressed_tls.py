"""IMAP with DEFLATE inside TLS (RFC 4978 §3), by Python's ssl and zlib. Arguments: host port user password."""
import random
import socket
import ssl
import sys
import zlib

host, port, user, password = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
raw = socket.create_connection((host, int(port)), timeout=60)
tls = context.wrap_socket(raw)
inflate = deflate = None
buffer = b""
on_the_wire = 0


def send(data):
    if deflate:
        data = deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)
    tls.sendall(data)


def fill():
    global buffer, on_the_wire
    data = tls.recv(65536)
    assert data, "closed"
    on_the_wire += len(data)
    buffer += inflate.decompress(data) if inflate else data


def line():
    global buffer
    while b"\r\n" not in buffer:
        fill()
    first, buffer = buffer.split(b"\r\n", 1)
    return first


def exactly(count):
    global buffer
    while len(buffer) < count:
        fill()
    data, buffer = buffer[:count], buffer[count:]
    return data


def run(tag, command):
    send(f"{tag} {command}\r\n".encode())
    return answer(tag)


def answer(tag):
    literals = []
    while True:
        got = line()
        while got.endswith(b"}"):
            literals.append(exactly(int(got[got.rindex(b"{") + 1 : -1])))
            got = line()
        if got.startswith(tag.encode() + b" "):
            assert got.split()[1] == b"OK", got
            return got, literals


assert line().startswith(b"* OK")
run("a1", f'LOGIN "{user}" "{password}"')
run("a2", "COMPRESS DEFLATE")
assert buffer == b"", "plain text behind the OK"
deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
inflate = zlib.decompressobj(-15)
# One message that DEFLATE makes small, and one that it cannot.
easy = b"Subject: easy\r\n\r\n" + b"all work and no play\r\n" * 40000
hard = b"Subject: hard\r\n\r\n" + "".join(
    "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789+/ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=76)) + "\r\n"
    for _ in range(6000)
).encode()
for number, message in enumerate((easy, hard)):
    send(f"b{number} APPEND INBOX {{{len(message)}+}}\r\n".encode())
    for at in range(0, len(message), 50000):
        send(message[at : at + 50000])
    send(b"\r\n")
    answer(f"b{number}")
run("c1", "SELECT INBOX")
before = on_the_wire
_, literals = run("c2", "FETCH 1 BODY.PEEK[]")
assert literals == [easy], "byte for byte"
assert on_the_wire - before < len(easy) / 20, (on_the_wire - before, len(easy))
_, literals = run("c3", "FETCH 2 BODY.PEEK[]")
assert literals == [hard], "byte for byte"
send(b"d1 IDLE\r\n")
assert line().startswith(b"+ ")
send(b"DONE\r\n")
answer("d1")
run("z", "LOGOUT")
print("all done")
