//! Add, modify, rename, delete, and the controls that go with them.

use crate::client::*;
use LdapResultCode as Code;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::*;

fn add(dn: &str, attributes: Vec<LdapPartialAttribute>) -> LdapOp {
    LdapOp::AddRequest(LdapAddRequest { dn: dn.into(), attributes })
}

fn modify(dn: &str, changes: &[(LdapModifyType, &str, &[&str])]) -> LdapOp {
    let change = |(operation, name, values): &(LdapModifyType, &str, &[&str])| LdapModify {
        operation: operation.clone(),
        modification: attr(name, values),
    };
    LdapOp::ModifyRequest(LdapModifyRequest { dn: dn.into(), changes: changes.iter().map(change).collect() })
}

fn rename(dn: &str, newrdn: &str, new_superior: Option<&str>) -> LdapOp {
    LdapOp::ModifyDNRequest(LdapModifyDNRequest {
        dn: dn.into(),
        newrdn: newrdn.into(),
        deleteoldrdn: true,
        new_superior: new_superior.map(str::to_string),
    })
}

fn base(dn: &str) -> LdapSearchRequest {
    scoped(LdapSearchScope::Base, dn, "(objectClass=*)", &["*"])
}

#[tokio::test]
async fn adding() {
    let cluster = Cluster::new();
    let mut c = cluster.as_admin().await;
    let dn = "uid=eve,ou=people,dc=example,dc=com";
    let person = || {
        vec![
            attr("objectClass", &["inetOrgPerson", "zimbraAccount"]),
            attr("uid", &["eve"]),
            attr("cn", &["Eve"]),
            attr("sn", &["Example"]),
            attr("mail", &["eve@example.com", "eva@example.com"]),
            attr("userPassword", &["in the clear"]),
        ]
    };
    assert_eq!(c.ask(add(dn, person())).await, ok());
    let found = c.search(base(dn)).await;
    assert_eq!(
        (found.values("cn"), found.values("mail")),
        (vec!["Eve".into()], vec!["eve@example.com".into(), "eva@example.com".into()])
    );
    assert_eq!(c.find("", "(uid=eva)").await, ["uid=eva,ou=people,dc=example,dc=com"]);
    cluster.connect().bind(dn, "in the clear").await;
    assert_eq!(c.ask(add(dn, person())).await.code, Code::EntryAlreadyExists);
    // Other kinds.
    for (dn, classes, more) in [
        (
            "dc=new,dc=net",
            &["dcObject", "organization", "zimbraDomain"][..],
            vec![attr("dc", &["new"]), attr("o", &["New"])],
        ),
        ("cn=gold,cn=cos,cn=zimbra", &["zimbraCOS"], vec![attr("cn", &["gold"]), attr("zimbraMailQuota", &["5"])]),
        (
            "uid=list,ou=people,dc=example,dc=com",
            &["zimbraDistributionList"],
            vec![attr("zimbraMailForwardingAddress", &["eve@example.com"])],
        ),
        ("cn=dyn,cn=groups,dc=example,dc=com", &["groupOfURLs", "zimbraGroup"], vec![]),
        ("zimbraSignatureName=S,uid=eve,ou=people,dc=example,dc=com", &["zimbraSignature"], vec![]),
    ] {
        let mut all = vec![attr("objectClass", classes)];
        all.extend(more);
        assert_eq!(c.ask(add(dn, all)).await, ok(), "{dn}");
        assert_eq!(c.search(base(dn)).await.dns(), [dn]);
    }
    let target = cluster.ids[1].to_string();
    let alias =
        vec![attr("objectClass", &["zimbraAlias"]), attr("uid", &["bobby"]), attr("zimbraAliasTargetId", &[&target])];
    assert_eq!(c.ask(add("uid=bobby,ou=people,dc=example,dc=com", alias)).await, ok());
    assert!(c.search(base(BOB)).await.values("zimbraMailAlias").contains(&"bobby@example.com".to_string()));
    let class = || attr("objectClass", &["zimbraAccount"]);
    for (dn, attrs, code) in [
        ("uid=x,ou=people,dc=nowhere,dc=com", vec![class()], Code::NoSuchObject),
        ("uid=x,ou=people,dc=example,dc=com", vec![], Code::ObjectClassViolation),
        ("uid=x,ou=people,dc=example,dc=com", vec![attr("objectClass", &["zimbraCOS"])], Code::ObjectClassViolation),
        ("uid=x,ou=people,dc=example,dc=com", vec![attr("objectClass", &["nonsense"])], Code::InvalidAttributeSyntax),
        ("uid=x,ou=people,dc=example,dc=com", vec![class(), attr("nonsense", &["1"])], Code::UndefinedAttributeType),
        ("uid=x,ou=people,dc=example,dc=com", vec![class(), attr("uid", &["y"])], Code::NamingViolation),
        ("uid=x,ou=people,dc=example,dc=com", vec![class(), attr("entryUUID", &["y"])], Code::ConstraintViolation),
        (
            "uid=x,ou=people,dc=example,dc=com",
            vec![class(), attr("userPassword", &["{CRYPT}x"])],
            Code::ConstraintViolation,
        ),
        ("uid=x,dc=example,dc=com", vec![class()], Code::NamingViolation),
        ("cn=config,cn=zimbra", vec![class()], Code::EntryAlreadyExists),
        ("ou=people,dc=example,dc=com", vec![class()], Code::EntryAlreadyExists),
    ] {
        assert_eq!(c.ask(add(dn, attrs)).await.code, code, "{dn}");
    }
    assert!(c.find("", "(uid=x)").await.is_empty());
}

fn ok() -> LdapResult {
    LdapResult { code: Code::Success, matcheddn: String::new(), message: String::new(), referral: vec![] }
}

#[tokio::test]
async fn modifying() {
    use LdapModifyType::{Add, Delete, Increment, Replace};
    let cluster = Cluster::new();
    let mut c = cluster.as_admin().await;
    let name = "zimbraMailForwardingAddress";
    let changes: &[(LdapModifyType, &str, &[&str])] = &[
        (Add, name, &["a@x.org", "b@x.org"]),
        (Delete, name, &["A@x.org"]),
        (Replace, "title", &["Dr"]),
        (Replace, "zimbraMailQuota", &["5"]),
    ];
    assert_eq!(c.ask(modify(BOB, changes)).await, ok());
    assert_eq!(c.ask(modify(BOB, &[(Increment, "zimbraMailQuota", &["3"])])).await, ok());
    let found = c.search(base(BOB)).await;
    assert_eq!(
        (found.values(name), found.values("title"), found.values("zimbraMailQuota")),
        (vec!["b@x.org".into()], vec!["Dr".into()], vec!["8".into()])
    );
    for (changes, code) in [
        (vec![(Add, name, &["B@x.org"][..])], Code::AttributeOrValueExists),
        (vec![(Delete, name, &["z@x.org"])], Code::NoSuchAttribute),
        (vec![(Delete, "street", &[])], Code::NoSuchAttribute),
        (vec![(Replace, "nonsense", &["x"])], Code::UndefinedAttributeType),
        (vec![(Replace, "uid", &["x"])], Code::NotALlowedOnRDN),
        (vec![(Replace, "entryUUID", &["x"])], Code::ConstraintViolation),
        (vec![(Increment, "title", &["1"])], Code::ConstraintViolation),
        (vec![(Add, "objectClass", &["zimbraCOS"])], Code::ObjectClassModsProhibited),
        (vec![(Replace, "zimbraAccountStatus", &["asleep"])], Code::ConstraintViolation),
        // The first of these would do, but not without the second.
        (vec![(Replace, "title", &["Prof"]), (Delete, "street", &["x"])], Code::NoSuchAttribute),
        (vec![(Replace, "title", &["Prof"]), (Replace, "zimbraAccountStatus", &["asleep"])], Code::ConstraintViolation),
    ] {
        assert_eq!(c.ask(modify(BOB, &changes)).await.code, code, "{changes:?}");
    }
    assert_eq!(c.search(base(BOB)).await.values("title"), ["Dr"]);
    assert_eq!(
        c.ask(modify(BOB, &[(Add, "objectClass", &["zimbraAccount"]), (Delete, "title", &[]), (Delete, name, &[])]))
            .await,
        ok()
    );
    assert!(c.search(base(BOB)).await.values("title").is_empty());
    // Addresses, as Zimbra's own tools change them.
    assert_eq!(
        c.ask(modify(BOB, &[(Add, "zimbraMailAlias", &["rob@example.com"]), (Add, "mail", &["rob@example.com"])]))
            .await,
        ok()
    );
    assert_eq!(c.find("", "(mail=rob@example.com)").await, [BOB]);
    assert_eq!(
        c.ask(modify(BOB, &[(Add, "zimbraMailAlias", &["carol@example.com"])])).await.code,
        Code::EntryAlreadyExists
    );
    assert_eq!(c.ask(modify(BOB, &[(Delete, "zimbraMailAlias", &["rob@example.com"])])).await, ok());
    assert!(c.find("", "(mail=rob@example.com)").await.is_empty());
    assert_eq!(c.ask(modify(BOB, &[(Replace, "userPassword", &["new one"])])).await, ok());
    cluster.connect().bind(BOB, "new one").await;
    assert_eq!(
        c.ask(modify("cn=config,cn=zimbra", &[(Replace, "zimbraDefaultDomainName", &["example.com"])])).await,
        ok()
    );
    assert_eq!(c.ask(modify("dc=com", &[(Replace, "o", &["x"])])).await.code, Code::UnwillingToPerform);
}

#[tokio::test]
async fn renaming_and_deleting() {
    let cluster = Cluster::new();
    let mut c = cluster.as_admin().await;
    let robert = "uid=robert,ou=people,dc=example,dc=com";
    assert_eq!(c.ask(rename(BOB, "uid=robert", None)).await, ok());
    assert_eq!(c.search(base(robert)).await.values("mail"), ["robert@example.com"]);
    assert_eq!(c.ask(rename(robert, "uid=carol", None)).await.code, Code::EntryAlreadyExists);
    let moved = "uid=robert,ou=people,dc=other,dc=org";
    assert_eq!(c.ask(rename(robert, "uid=robert", Some("ou=people,dc=other,dc=org"))).await, ok());
    assert_eq!(c.search(base(moved)).await.values("zimbraId"), [cluster.ids[1].to_string()]);
    for (dn, rdn, above, code) in [
        (moved, "cn=x", None, Code::NamingViolation),
        (moved, "junk", None, Code::InvalidDNSyntax),
        (moved, "uid=x", Some("ou=people,dc=nowhere"), Code::NoSuchObject),
        (moved, "uid=x", Some("cn=cos,cn=zimbra"), Code::NamingViolation),
        ("ou=people,dc=other,dc=org", "ou=x", None, Code::UnwillingToPerform),
    ] {
        assert_eq!(c.ask(rename(dn, rdn, above)).await.code, code, "{dn} {rdn}");
    }
    let keep =
        LdapModifyDNRequest { dn: moved.into(), newrdn: "uid=x".into(), deleteoldrdn: false, new_superior: None };
    assert_eq!(c.ask(LdapOp::ModifyDNRequest(keep)).await.code, Code::ConstraintViolation);
    assert_eq!(c.ask(LdapOp::DelRequest("dc=other,dc=org".into())).await.code, Code::NotAllowedOnNonLeaf);
    assert_eq!(c.ask(LdapOp::DelRequest(moved.into())).await, ok());
    assert_eq!(c.ask(LdapOp::DelRequest(moved.into())).await.code, Code::NoSuchObject);
    assert_eq!(c.ask(LdapOp::DelRequest("cn=zimbra".into())).await.code, Code::UnwillingToPerform);
}

#[tokio::test]
async fn reading_and_asserting_with_a_change() {
    let cluster = Cluster::new();
    let mut c = cluster.as_admin().await;
    let control = |oid: &str, value: &[u8]| LdapControl::Unknown {
        oid: oid.into(),
        criticality: true,
        value: Some(value.to_vec()),
    };
    let title = b"\x30\x07\x04\x05title";
    let change = |value: &str| modify(BOB, &[(LdapModifyType::Replace, "title", &[value])]);
    let reads = vec![control("1.3.6.1.1.13.1", title), control("1.3.6.1.1.13.2", title)];
    c.ask(change("one")).await;
    let (done, message) = c.ask_with(change("two"), reads).await;
    assert_eq!(done, ok());
    let said: Vec<String> = message.ctrl.iter().map(|c| format!("{c:?}")).collect();
    let LdapControl::Unknown { value: Some(before), .. } = &message.ctrl[0] else { panic!("{said:?}") };
    let LdapControl::Unknown { value: Some(after), .. } = &message.ctrl[1] else { panic!("{said:?}") };
    assert!(before.ends_with(b"\x04\x03one") && after.ends_with(b"\x04\x03two"), "{said:?}");
    // (title=one), (title=two)
    let is = |value: &str| [&b"\xa3\x0c\x04\x05title\x04\x03"[..], value.as_bytes()].concat();
    let (refused, _) = c.ask_with(change("three"), vec![control("1.3.6.1.1.12", &is("one"))]).await;
    assert_eq!(refused.code, Code::AssertionFailed);
    let (done, _) = c.ask_with(change("three"), vec![control("1.3.6.1.1.12", &is("two"))]).await;
    assert_eq!(done, ok());
}
