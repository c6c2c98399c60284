"""A session of python-ldap, that is of OpenLDAP's libldap: schema, paged results, content synchronisation.

Arguments: port, DN, password. Prints `ok` at the end.
"""
import sys

import ldap
import ldap.modlist
import ldap.sasl
import ldap.schema
from ldap.controls import SimplePagedResultsControl
from ldap.controls.readentry import PostReadControl
from ldap.controls.sss import SSSRequestControl
from ldap.syncrepl import SyncreplConsumer

port, dn, password = sys.argv[1:]
uri = f"ldap://127.0.0.1:{port}"
ldap.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_NEVER)
base = "dc=example,dc=com"


def connect(kind=ldap.ldapobject.SimpleLDAPObject):
    conn = kind(uri)
    conn.set_option(ldap.OPT_NETWORK_TIMEOUT, 20)
    conn.set_option(ldap.OPT_TIMEOUT, 20)
    conn.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    conn.start_tls_s()
    conn.simple_bind_s(dn, password)
    return conn


conn = connect()
assert conn.whoami_s() == f"dn:{dn}"
subschema = conn.search_subschemasubentry_s()
schema = ldap.schema.SubSchema(conn.read_subschemasubentry_s(subschema))
quota = schema.get_obj(ldap.schema.AttributeType, "zimbraMailQuota")
assert quota.oid == "1.3.6.1.4.1.19348.2.1.16" and quota.single_value, quota
must, may = schema.attribute_types(["zimbraAccount", "inetOrgPerson"])
assert any("zimbraMailQuota" in a.names for a in may.values())

for n in range(12):
    entry = {"objectClass": [b"inetOrgPerson", b"zimbraAccount"], "cn": [f"Many {n:02}".encode()], "sn": [b"Many"]}
    conn.add_s(f"uid=many{n},ou=people,{base}", ldap.modlist.addModlist(entry))

page, seen = SimplePagedResultsControl(True, size=5, cookie=""), []
while True:
    request = conn.search_ext(base, ldap.SCOPE_SUBTREE, "(sn=many)", ["cn"], serverctrls=[page])
    _, data, _, controls = conn.result3(request)
    seen += [attrs["cn"][0] for _, attrs in data]
    (answer,) = [c for c in controls if c.controlType == SimplePagedResultsControl.controlType]
    if not answer.cookie:
        break
    page.cookie = answer.cookie
assert sorted(seen) == [f"Many {n:02}".encode() for n in range(12)], seen

sort = SSSRequestControl(ordering_rules=["-cn"])
request = conn.search_ext(base, ldap.SCOPE_SUBTREE, "(sn=many)", ["cn"], serverctrls=[sort])
_, data, _, _ = conn.result3(request)
names = [attrs["cn"][0] for _, attrs in data]
assert names == sorted(names, reverse=True) and len(names) == 12, names

target = f"uid=many0,ou=people,{base}"
read = PostReadControl(criticality=True, attrList=["title"])
request = conn.modify_ext(target, [(ldap.MOD_REPLACE, "title", [b"Read back"])], serverctrls=[read])
_, _, _, controls = conn.result3(request)
assert controls[0].entry["title"] == [b"Read back"], controls[0].entry
for wrong, changes in [
    (ldap.UNDEFINED_TYPE, [(ldap.MOD_REPLACE, "noSuchThing", [b"x"])]),
    (ldap.NO_SUCH_ATTRIBUTE, [(ldap.MOD_DELETE, "street", None)]),
    (ldap.TYPE_OR_VALUE_EXISTS, [(ldap.MOD_ADD, "title", [b"Read back"])]),
    (ldap.CONSTRAINT_VIOLATION, [(ldap.MOD_REPLACE, "zimbraAccountStatus", [b"asleep"])]),
]:
    try:
        conn.modify_s(target, changes)
        raise SystemExit(f"{changes} is taken")
    except wrong:
        pass
try:
    conn.search_s("ou=people,dc=nowhere,dc=com", ldap.SCOPE_BASE)
    raise SystemExit("found nowhere")
except ldap.NO_SUCH_OBJECT as error:
    assert error.args[0]["matched"] == "dc=com", error


class Follower(ldap.ldapobject.SimpleLDAPObject, SyncreplConsumer):
    """A copy: by entryUUID."""

    def __init__(self, *args):
        super().__init__(*args)
        self.copy, self.cookie, self.present, self.refreshed = {}, None, set(), False

    def syncrepl_set_cookie(self, cookie):
        self.cookie = cookie

    def syncrepl_get_cookie(self):
        return self.cookie

    def syncrepl_entry(self, name, attributes, uuid):
        self.copy[uuid] = (name, attributes)
        self.present.add(uuid)

    def syncrepl_delete(self, uuids):
        for uuid in uuids:
            self.copy.pop(uuid, None)

    def syncrepl_present(self, uuids, refreshDeletes=False):
        if uuids is None and not refreshDeletes:
            self.copy = {u: e for u, e in self.copy.items() if u in self.present}
            self.present = set()
        elif uuids:
            self.present.update(uuids)

    def syncrepl_refreshdone(self):
        self.refreshed = True


follower = connect(Follower)


def refresh():
    search = follower.syncrepl_search(f"ou=people,{base}", ldap.SCOPE_SUBTREE, mode="refreshOnly", filterstr="(sn=many)")
    while follower.syncrepl_poll(msgid=search, timeout=20, all=1):
        pass


refresh()
assert len(follower.copy) == 12, follower.copy
conn.delete_s(target)
refresh()
assert len(follower.copy) == 11 and target not in [name for name, _ in follower.copy.values()]
print("ok")
