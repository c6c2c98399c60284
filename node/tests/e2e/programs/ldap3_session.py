"""A session of the pure Python client ldap3, which reads the schema and checks what it sends against it.

Arguments: port, DN, password. Prints `ok` at the end.
"""
import ssl
import sys

import ldap3
from ldap3.core.exceptions import LDAPEntryAlreadyExistsResult, LDAPInvalidCredentialsResult

port, dn, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
tls = ldap3.Tls(validate=ssl.CERT_NONE)
server = ldap3.Server("127.0.0.1", port=port, get_info=ldap3.ALL, tls=tls)

try:
    ldap3.Connection(server, dn, "wrong", auto_bind=True, raise_exceptions=True)
    raise SystemExit("a wrong password is taken")
except LDAPInvalidCredentialsResult:
    pass

conn = ldap3.Connection(server, dn, password, auto_bind=ldap3.AUTO_BIND_TLS_BEFORE_BIND, raise_exceptions=True)
assert conn.extend.standard.who_am_i() == f"dn:{dn}", conn.extend.standard.who_am_i()
info, schema = server.info, server.schema
assert info.supported_ldap_versions == ["3"], info
assert len(schema.attribute_types) > 1900, len(schema.attribute_types)
assert schema.object_classes["zimbraAccount"].may_contain, "the class's attributes"
assert schema.attribute_types["zimbraMailQuota"].single_value

base = "dc=example,dc=com"
conn.search(base, "(&(objectClass=zimbraAccount)(mail=bob@example.com))", attributes=[ldap3.ALL_ATTRIBUTES, ldap3.ALL_OPERATIONAL_ATTRIBUTES])
(bob,) = conn.entries
assert bob.entry_dn == "uid=bob,ou=people,dc=example,dc=com" and "bob@example.com" in bob.mail, bob
assert bob.entryUUID.value and "userPassword" not in bob.entry_attributes

ann = "uid=ann,ou=people,dc=example,dc=com"
conn.add(ann, ["inetOrgPerson", "zimbraAccount"], {"cn": "Ann Ångström", "sn": "Ångström", "userPassword": "a long password"})
try:
    conn.add(ann, ["inetOrgPerson", "zimbraAccount"], {"cn": "x", "sn": "x"})
    raise SystemExit("added twice")
except LDAPEntryAlreadyExistsResult:
    pass
conn.modify(ann, {"telephoneNumber": [(ldap3.MODIFY_ADD, ["+49 30 1", "+49 30 2"])], "title": [(ldap3.MODIFY_REPLACE, ["Dr"])]})
conn.modify(ann, {"telephoneNumber": [(ldap3.MODIFY_DELETE, ["+49 30 1"])]})
conn.search(base, "(cn=*ångström)", attributes=["telephoneNumber", "title", "cn"])
(found,) = conn.entries
assert (found.telephoneNumber.values, found.title.value, found.cn.value) == (["+49 30 2"], "Dr", "Ann Ångström"), found
assert conn.compare(ann, "title", "dr")

for letter in "abcdefghij":
    conn.add(f"uid=page-{letter},ou=people,{base}", ["inetOrgPerson", "zimbraAccount"], {"cn": f"Page {letter}", "sn": "Page"})
pages = conn.extend.standard.paged_search(base, "(sn=page)", attributes=["cn"], paged_size=3, generator=True)
assert sorted(e["attributes"]["cn"][0] for e in pages) == [f"Page {l}" for l in "abcdefghij"]

conn.modify_dn(ann, "uid=anna")
anna = "uid=anna,ou=people,dc=example,dc=com"
made = conn.extend.standard.modify_password(anna)
assert isinstance(made, str) and len(made) == 16, made
with ldap3.Connection(server, anna, made, auto_bind=ldap3.AUTO_BIND_TLS_BEFORE_BIND) as other:
    assert other.extend.standard.who_am_i() == f"dn:{anna}"
    plain = ldap3.Connection(server, authentication=ldap3.SASL, sasl_mechanism=ldap3.PLAIN, sasl_credentials=(None, "anna@example.com", made))
    plain.open()
    plain.start_tls()
    assert plain.bind(), plain.result
conn.delete(anna)
conn.search(base, "(uid=anna)")
assert not conn.entries
print("ok")
