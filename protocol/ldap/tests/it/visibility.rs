//! Who sees what.

use crate::client::*;
use ldap3_proto::proto::*;

#[tokio::test]
async fn strangers_see_nothing() {
    let cluster = Cluster::new();
    let mut c = cluster.connect();
    for base in ["", BOB, "dc=example,dc=com", "cn=config,cn=zimbra"] {
        let found = c.search(sub(base, "(objectClass=*)", &[])).await;
        assert!(found.entries.is_empty());
        assert_eq!(found.result.code, LdapResultCode::InsufficentAccessRights, "{base}");
    }
    let compare = LdapCompareRequest { dn: BOB.into(), atype: "uid".into(), val: b"bob".to_vec() };
    assert_eq!(c.ask(LdapOp::CompareRequest(compare)).await.code, LdapResultCode::InsufficentAccessRights);
    assert_eq!(c.ask(LdapOp::DelRequest(BOB.into())).await.code, LdapResultCode::InsufficentAccessRights);
}

#[tokio::test]
async fn people_see_themselves_and_their_address_book() {
    let cluster = Cluster::new();
    cluster.modify(0, vec![set("zimbraMailQuota", &["7"]), set("mobile", &["123"])]);
    cluster.modify(1, vec![set("zimbraMailQuota", &["8"])]);
    cluster.modify(2, vec![set("zimbraHideInGal", &["TRUE"])]);
    let mut c = cluster.as_bob().await;
    assert_eq!(c.find("", "(objectClass=zimbraAccount)").await, [ADMIN, BOB], "one is hidden, two are elsewhere");
    // Another's entry shows what an address book has, and nothing else can be asked for.
    let admin = c.search(scoped(LdapSearchScope::Base, ADMIN, "(uid=admin)", &["*", "+"])).await;
    assert_eq!(admin.values("mobile"), ["123"]);
    assert!(admin.values("zimbraMailQuota").is_empty() && admin.values("zimbraIsAdminAccount").is_empty());
    assert!(c.find("", "(zimbraIsAdminAccount=TRUE)").await.is_empty(), "nor guessed by asking");
    assert_eq!(c.find("", "(zimbraMailQuota>=1)").await, [BOB]);
    let own = c.search(scoped(LdapSearchScope::Base, BOB, "(uid=*)", &["*"])).await;
    assert_eq!(own.values("zimbraMailQuota"), ["8"]);
    assert!(own.values("userPassword").is_empty());
    for hidden in [
        "uid=carol,ou=people,dc=example,dc=com",
        "uid=zoe,ou=people,dc=other,dc=org",
        "uid=dave,ou=people,dc=sub,dc=example,dc=com",
    ] {
        let found = c.search(scoped(LdapSearchScope::Base, hidden, "(objectClass=*)", &[])).await;
        assert_eq!(found.result.code, LdapResultCode::NoSuchObject, "{hidden}");
    }
    assert!(c.find("", "(objectClass=zimbraCOS)").await.is_empty());
    assert!(c.find("", "(objectClass=zimbraGlobalConfig)").await.is_empty());
    let change = LdapModifyRequest {
        dn: BOB.into(),
        changes: vec![LdapModify { operation: LdapModifyType::Replace, modification: attr("zimbraMailQuota", &["0"]) }],
    };
    assert_eq!(c.ask(LdapOp::ModifyRequest(change)).await.code, LdapResultCode::InsufficentAccessRights);
    let mut root = scoped(LdapSearchScope::Base, "", "(objectClass=*)", &["namingContexts"]);
    assert_eq!(c.search(root.clone()).await.values("namingContexts"), ["cn=zimbra", "dc=com"]);
    root.scope = LdapSearchScope::OneLevel;
    assert!(!c.search(root).await.dns().contains(&"dc=org"));
}
