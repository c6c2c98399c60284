//! Searches: scopes, filters, attributes, what the server says of itself.

use crate::client::*;
use ldap3_proto::proto::*;
use zcluster_api::directory::{Modification, ModifyKind, ObjectKind};
use zcluster_api::{AccountId, DirectoryCommand};

const CAROL: &str = "uid=carol,ou=people,dc=example,dc=com";
const DAVE: &str = "uid=dave,ou=people,dc=sub,dc=example,dc=com";
const ZOE: &str = "uid=zoe,ou=people,dc=other,dc=org";

fn rich() -> Cluster {
    let cluster = Cluster::new();
    cluster.modify(
        1,
        vec![
            set("zimbraMailQuota", &["1000"]),
            set("displayName", &["Bob Ångström"]),
            set("telephoneNumber", &["+49 30 1234"]),
        ],
    );
    cluster.modify(2, vec![set("zimbraMailQuota", &["50"]), set("userCertificate", &["AAEC/w=="])]);
    let memory = &cluster.memory;
    memory.command(DirectoryCommand::AddAlias { id: cluster.ids[1], alias: "robert@example.com".into() }).unwrap();
    let entry = |n: u8, kind, name: &str, parent, attrs: Vec<Modification>| {
        let command = DirectoryCommand::CreateEntry { kind, id: AccountId([n; 16]), name: name.into(), parent, attrs };
        memory.command(command).unwrap();
    };
    let members = Modification {
        name: "zimbraMailForwardingAddress".into(),
        kind: ModifyKind::Replace,
        values: vec!["bob@example.com".into(), "carol@example.com".into()],
    };
    entry(1, ObjectKind::DistributionList, "team@example.com", None, vec![members]);
    entry(2, ObjectKind::DynamicGroup, "all@example.com", None, vec![]);
    entry(3, ObjectKind::Server, "mx.example.com", None, vec![]);
    entry(
        4,
        ObjectKind::Signature,
        "Short, or not",
        Some(cluster.ids[1]),
        vec![set("zimbraPrefMailSignature", &["--"])],
    );
    entry(5, ObjectKind::Identity, "work", Some(cluster.ids[3]), vec![]);
    cluster
}

#[tokio::test]
async fn the_tree() {
    let cluster = rich();
    let mut c = cluster.as_admin().await;
    let one = |base: &str| scoped(LdapSearchScope::OneLevel, base, "(objectClass=*)", &["1.1"]);
    assert_eq!(c.search(one("")).await.dns(), ["cn=zimbra", "dc=com", "dc=org"]);
    assert_eq!(c.search(one("dc=com")).await.dns(), ["dc=example,dc=com"]);
    let below = ["cn=groups,dc=example,dc=com", "dc=sub,dc=example,dc=com", "ou=people,dc=example,dc=com"];
    assert_eq!(c.search(one("dc=example,dc=com")).await.dns(), below);
    let people = c.search(one("ou=people,dc=example,dc=com")).await;
    let want = [ADMIN, BOB, CAROL, "uid=robert,ou=people,dc=example,dc=com", "uid=team,ou=people,dc=example,dc=com"];
    assert_eq!(people.dns(), want);
    assert_eq!(c.search(one("cn=groups,dc=example,dc=com")).await.dns(), ["cn=all,cn=groups,dc=example,dc=com"]);
    assert_eq!(c.search(one("cn=servers,cn=zimbra")).await.dns(), ["cn=mx.example.com,cn=servers,cn=zimbra"]);
    assert_eq!(c.search(one("cn=cos,cn=zimbra")).await.dns(), ["cn=default,cn=cos,cn=zimbra"]);
    let zimbra = c.search(one("cn=zimbra")).await;
    assert!(zimbra.dns().contains(&"cn=config,cn=zimbra") && zimbra.dns().contains(&"cn=cos,cn=zimbra"), "{zimbra:?}");
    let signature = "zimbraSignatureName=Short\\, or not,uid=bob,ou=people,dc=example,dc=com";
    assert_eq!(c.search(one(BOB)).await.dns(), [signature]);
    assert_eq!(
        c.search(scoped(LdapSearchScope::Base, signature, "(objectClass=*)", &[]))
            .await
            .values("zimbraPrefMailSignature"),
        ["--"]
    );
    // All there is, each once.
    let all = c.find("", "(objectClass=*)").await;
    let mut once = all.clone();
    once.dedup();
    assert_eq!(all, once);
    for dn in [BOB, DAVE, ZOE, signature, "dc=com", "cn=config,cn=zimbra", "uid=robert,ou=people,dc=example,dc=com"] {
        assert!(all.contains(&dn.to_string()), "{dn}");
    }
    // Everything that is found can be found by its name.
    for dn in &all {
        let found = c.search(scoped(LdapSearchScope::Base, dn, "(objectClass=*)", &["entryDN"])).await;
        assert_eq!(found.values("entryDN"), std::slice::from_ref(dn));
    }
    for (base, count) in [("dc=other,dc=org", 4), ("dc=sub,dc=example,dc=com", 5), ("ou=people,dc=example,dc=com", 7)] {
        assert_eq!(
            c.find(base, "(objectClass=*)").await.len(),
            count,
            "{base}: {:?}",
            c.find(base, "(objectClass=*)").await
        );
    }
    assert!(c.find("dc=example,dc=com", "(uid=dave)").await.contains(&DAVE.to_string()));
    let children = scoped(LdapSearchScope::Children, BOB, "(objectClass=*)", &["1.1"]);
    assert_eq!(c.search(children).await.dns(), [signature]);
}

#[tokio::test]
async fn filters() {
    let cluster = rich();
    let mut c = cluster.as_admin().await;
    let alias = "uid=robert,ou=people,dc=example,dc=com";
    let team = "uid=team,ou=people,dc=example,dc=com";
    let id = cluster.ids[1].to_string();
    for (filter, want) in [
        ("(mail=BOB@example.com)", vec![BOB]),
        ("(mail=robert@example.com)", vec![BOB]),
        ("(uid=bob)", vec![BOB]),
        ("(uid=robert)", vec![alias]),
        ("(objectClass=zimbraAlias)", vec![alias]),
        ("(&(objectClass=zimbraAlias)(uid=bob))", vec![]),
        ("(zimbraMailQuota>=51)", vec![BOB]),
        ("(&(uid=*)(zimbraMailQuota<=999))", vec![CAROL]),
        ("(cn=b*ex*le)", vec![BOB]),
        ("(sn=*xampl*)", vec![ADMIN, BOB, CAROL, DAVE, ZOE]),
        ("(&(objectClass=person)(!(sn=example)))", vec!["uid=zimbra,cn=admins,cn=zimbra"]),
        ("(&(objectClass=zimbraAccount)(!(zimbraMailQuota=50))(mail=*@example.com))", vec![ADMIN, BOB]),
        ("(|(uid=bob)(uid=zoe))", vec![BOB, ZOE]),
        ("(zimbraMailForwardingAddress=bob@example.com)", vec![team]),
        ("(&(objectClass=zimbraDistributionList)(mail=*))", vec![team]),
        ("(objectClass=groupOfURLs)", vec!["cn=all,cn=groups,dc=example,dc=com"]),
        ("(&(objectClass=zimbraDomain)(zimbraDomainName=other.org))", vec!["dc=other,dc=org"]),
        ("(&(objectClass=dcObject)(dc=com))", vec!["dc=com"]),
        ("(mail:caseExactMatch:=bob@example.com)", vec![BOB]),
        ("(mail:caseExactMatch:=BOB@example.com)", vec![]),
        ("(&(uid=*)(ou:dn:=people)(dc:dn:=other))", vec![ZOE]),
        ("(zimbraMailQuota:1.2.840.113556.1.4.803:=1000)", vec![BOB]),
        ("(nonsense=x)", vec![]),
        ("(!(nonsense=x))", vec![]),
        ("(userPassword=*)", vec![]),
        ("(|(uid=bob)(nonsense=x))", vec![BOB]),
    ] {
        assert_eq!(c.find("", filter).await, want, "{filter}");
    }
    // The other codec's parser of filters takes no names as values, and no numbers for attributes.
    for (attribute, value) in [("entryDN", ZOE.to_uppercase()), ("2.5.4.3", "zoe example".to_string())] {
        let filter = LdapFilter::Equality(attribute.into(), value);
        let search = LdapSearchRequest { filter, ..sub("", "(objectClass=*)", &["1.1"]) };
        assert_eq!(c.search(search).await.dns(), [ZOE], "{attribute}");
    }
    assert_eq!(c.find("", &format!("(zimbraId={id})")).await, [BOB]);
    assert_eq!(c.find("", &format!("(entryUUID={id})")).await, [BOB]);
    assert_eq!(c.find("", &format!("(zimbraAliasTargetId={id})")).await, [alias]);
    assert_eq!(c.find("ou=people,dc=example,dc=com", "(objectClass=zimbraSignature)").await.len(), 1);
    for of in [LdapFilter::Equality, LdapFilter::Approx] {
        let filter = of("displayName".into(), "bob åNGSTRÖM".into());
        assert_eq!(c.search(LdapSearchRequest { filter, ..sub("", "(uid=*)", &["1.1"]) }).await.dns(), [BOB]);
    }
    // RFC 4526: true and false.
    let mut request = scoped(LdapSearchScope::Base, BOB, "(uid=*)", &["1.1"]);
    request.filter = LdapFilter::And(vec![]);
    assert_eq!(c.search(request.clone()).await.dns(), [BOB]);
    request.filter = LdapFilter::Or(vec![]);
    assert!(c.search(request).await.dns().is_empty());
}

#[tokio::test]
async fn attributes() {
    let cluster = rich();
    let mut c = cluster.as_admin().await;
    let base = |attrs: &[&str]| scoped(LdapSearchScope::Base, BOB, "(objectClass=*)", attrs);
    let all = c.search(base(&[])).await;
    assert_eq!(all.values("objectClass"), ["inetOrgPerson", "zimbraAccount", "amavisAccount"]);
    assert_eq!(all.values("mail"), ["bob@example.com", "robert@example.com"]);
    assert!(all.values("userPassword").is_empty() && all.values("entryUUID").is_empty());
    let some = c.search(base(&["CN", "entryuuid", "hasSubordinates", "nonsense"])).await;
    let names: Vec<&str> = some.entries[0].attributes.iter().map(|a| a.atype.as_str()).collect();
    assert_eq!(names, ["cn", "entryUUID", "hasSubordinates"]);
    assert_eq!(
        (some.values("entryUUID"), some.values("hasSubordinates")),
        (vec![cluster.ids[1].to_string()], vec!["TRUE".into()])
    );
    let both = c.search(base(&["*", "+"])).await;
    assert_eq!(both.values("structuralObjectClass"), ["inetOrgPerson"]);
    assert_eq!(both.values("subschemaSubentry"), ["cn=Subschema"]);
    assert_eq!(both.values("createTimestamp").len(), 1);
    assert!(c.search(base(&["1.1"])).await.entries[0].attributes.is_empty());
    let mut types = base(&["mail", "cn"]);
    types.typesonly = true;
    let types = c.search(types).await;
    assert!(types.entries[0].attributes.iter().all(|a| a.vals.is_empty()) && types.entries[0].attributes.len() == 2);
    let certificate =
        c.search(scoped(LdapSearchScope::Base, CAROL, "(objectClass=*)", &["userCertificate;binary"])).await;
    let shown = &certificate.entries[0].attributes[0];
    assert_eq!(shown.vals, [vec![0, 1, 2, 0xff]]);
}

#[tokio::test]
async fn limits_and_missing_entries() {
    let cluster = rich();
    let mut c = cluster.as_admin().await;
    let mut two = sub("", "(objectClass=inetOrgPerson)", &["1.1"]);
    two.sizelimit = 2;
    let found = c.search(two.clone()).await;
    assert_eq!((found.entries.len(), found.result.code), (2, LdapResultCode::SizeLimitExceeded));
    two.sizelimit = 6;
    let found = c.search(two).await;
    assert_eq!((found.entries.len(), found.result.code), (6, LdapResultCode::Success));
    let missing = c.search(sub("uid=x,ou=people,dc=example,dc=com", "(uid=*)", &[])).await;
    assert_eq!(missing.result.code, LdapResultCode::NoSuchObject);
    assert_eq!(missing.result.matcheddn, "ou=people,dc=example,dc=com");
    let missing = c.search(sub("ou=people,dc=nowhere,dc=org", "(uid=*)", &[])).await;
    assert_eq!(missing.result.matcheddn, "dc=org");
    assert_eq!(c.search(sub("junk", "(uid=*)", &[])).await.result.code, LdapResultCode::InvalidDNSyntax);
}

#[tokio::test]
async fn compare() {
    let cluster = rich();
    let mut c = cluster.as_admin().await;
    for (attr, value, code) in [
        ("mail", "Robert@Example.com", LdapResultCode::CompareTrue),
        ("mail", "x@example.com", LdapResultCode::CompareFalse),
        ("objectClass", "person", LdapResultCode::CompareTrue),
        ("title", "x", LdapResultCode::NoSuchAttribute),
        ("nonsense", "x", LdapResultCode::UndefinedAttributeType),
        ("userPassword", PASSWORD, LdapResultCode::InsufficentAccessRights),
    ] {
        let request = LdapCompareRequest { dn: BOB.into(), atype: attr.into(), val: value.into() };
        assert_eq!(c.ask(LdapOp::CompareRequest(request)).await.code, code, "{attr}");
    }
}

#[tokio::test]
async fn what_the_server_says_of_itself() {
    let cluster = Cluster::new();
    let mut c = cluster.connect();
    let root = c.search(scoped(LdapSearchScope::Base, "", "(objectClass=*)", &["+", "*"])).await;
    assert_eq!(root.values("supportedLDAPVersion"), ["3"]);
    assert_eq!(root.values("namingContexts"), ["cn=zimbra"], "strangers are not told of domains");
    assert!(root.values("supportedControl").contains(&"1.2.840.113556.1.4.319".to_string()));
    let schema = root.values("subschemaSubentry");
    let schema = c
        .search(scoped(
            LdapSearchScope::Base,
            &schema[0],
            "(objectClass=subschema)",
            &["attributeTypes", "objectClasses"],
        ))
        .await;
    assert!(schema.values("attributeTypes").len() > 1_900);
    assert!(schema.values("objectClasses").iter().any(|c| c.contains("'zimbraAccount'")));
    let mut c = cluster.as_admin().await;
    let root = c.search(scoped(LdapSearchScope::Base, "", "(objectClass=*)", &["namingContexts"])).await;
    assert_eq!(root.values("namingContexts"), ["cn=zimbra", "dc=com", "dc=org"]);
}
