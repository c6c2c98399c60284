"""Python's imaplib does what scripts of a site do. Arguments: host port user password marker-file.

It makes the marker when it is in the middle of its appends; whoever started it may then kill what it likes.
"""
import imaplib
import pathlib
import re
import sys
import time

host, port, user, password, marker = sys.argv[1:]
MESSAGES = 120


def message(number):
    thread = number % 10
    lines = [
        f"From: Sender {number:03} <sender{number}@example.org>",
        "To: someone@example.com",
        f"Subject: {'Re: ' if number >= 10 else ''}topic {thread}",
        f"Message-ID: <py{number}@ledger>",
        f"Date: Mon, {1 + number % 28} Nov 2026 10:00:00 +0000",
    ]
    if number >= 10:
        lines.append(f"References: <py{thread}@ledger>")
    lines += ["", f"body {number}", "needle" if number % 20 == 5 else "hay", ""]
    return "\r\n".join(lines).encode()


def check(what, answer):
    status, data = answer
    assert status == "OK", (what, status, data)
    print("ok:", what)
    return data


def numbers(data):
    return [int(word) for word in (data[0] or b"").split()]


imap = imaplib.IMAP4(host, int(port), timeout=60)
check("login", imap.login(user, password))
imap.enable("UTF8=ACCEPT") if False else None
check("create", imap.create("Script"))
uids = []
for number in range(MESSAGES):
    data = check(f"append {number}", imap.append("Script", r"(\Seen)" if number % 2 else None, None, message(number)))
    uids.append(int(re.search(rb"APPENDUID \d+ (\d+)", data[0]).group(1)))
    if number == MESSAGES // 4:
        pathlib.Path(marker).touch()
assert uids == sorted(set(uids)), "UIDs rise and none is given twice"

data = check("select", imap.select("Script"))
assert int(data[0]) == MESSAGES, data
assert numbers(check("search all", imap.uid("SEARCH", None, "ALL"))) == uids
assert len(numbers(check("search unseen", imap.search(None, "UNSEEN")))) == MESSAGES // 2
assert len(numbers(check("search text", imap.search(None, "TEXT", "needle")))) == MESSAGES // 20
assert numbers(check("search from", imap.search(None, "FROM", '"sender77@"'))) == [78]

by_subject = numbers(check("sort subject", imap.sort("(SUBJECT)", "UTF-8", "ALL")))
assert by_subject == sorted(range(1, MESSAGES + 1), key=lambda n: ((n - 1) % 10, n)), by_subject
by_date = numbers(check("sort date", imap.sort("(REVERSE DATE)", "UTF-8", "ALL")))
assert by_date == sorted(range(1, MESSAGES + 1), key=lambda n: (-((n - 1) % 28), n)), by_date
threads = check("thread", imap.thread("REFERENCES", "UTF-8", "ALL"))[0].decode()
assert threads.count("(1 ") == 1 and len(re.findall(r"\d+", threads)) == MESSAGES, threads

data = check("store", imap.store("1:10", "+FLAGS", r"(\Flagged $Later)"))
assert len(data) == 10 and all(b"$Later" in line for line in data), data
assert numbers(check("search keyword", imap.search(None, "KEYWORD", "$Later"))) == list(range(1, 11))
data = check("fetch", imap.fetch("5", "(UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[TEXT])"))
assert b"body 4" in data[0][1], data
check("copy", imap.copy("1:5", "INBOX"))
data = check("move", imap.uid("MOVE", f"{uids[10]}:{uids[14]}", "INBOX"))
check("delete", imap.store("1:5", "+FLAGS.SILENT", r"(\Deleted)"))
imap.response("EXPUNGE")  # what MOVE took away
gone = check("expunge", imap.expunge())
assert len(gone) == 5, gone

# A second session sees it, and is seen: NOOP polls (imaplib has IDLE from Python 3.14).
other = imaplib.IMAP4(host, int(port), timeout=60)
check("second login", other.login(user, password))
data = check("status", other.status("Script", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"))
assert f"MESSAGES {MESSAGES - 10}".encode() in data[0], data
check("second append", other.append("Script", None, None, message(900)))
if hasattr(imap, "idle"):
    with imap.idle(duration=20) as idler:
        assert any(kind == "EXISTS" for kind, _ in idler)
else:
    for _ in range(50):
        check("noop", imap.noop())
        if imap.untagged_responses.get("EXISTS", [b"0"])[-1] == str(MESSAGES - 9).encode():
            break
        time.sleep(0.1)
    else:
        raise AssertionError("NOOP never told of the new message")

check("getacl", imap.getacl("Script"))
assert b"lrswipkxtea" in check("myrights", imap.myrights("Script"))[0]
check("setacl", imap.setacl("Script", "admin@example.com", "lr"))
assert b"admin@example.com" in check("getacl again", imap.getacl("Script"))[0]
check("deleteacl", imap.deleteacl("Script", "admin@example.com"))
roots, limits = check("getquotaroot", imap.getquotaroot("INBOX"))
print(roots, limits)
data = check("list", imap.list('""', "*"))
assert any(b"Script" in line for line in data), data
check("rename", imap.rename("Script", "Renamed"))
check("close", imap.close())
check("delete folder", imap.delete("Renamed"))
data = check("inbox", imap.select("INBOX", readonly=True))
assert int(data[0]) == 10, data
imap.logout()
other.logout()
print("all done")
