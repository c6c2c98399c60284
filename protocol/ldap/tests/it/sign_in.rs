//! Who gets in, and what is said to who does not.

use crate::client::*;
use ldap3_proto::proto::*;
use zcluster_auth::ScramClient;

fn sasl(mechanism: &str, credentials: Vec<u8>) -> LdapOp {
    let cred = LdapBindCred::SASL(SaslCredentials { mechanism: mechanism.into(), credentials });
    LdapOp::BindRequest(LdapBindRequest { version: 3, dn: String::new(), cred })
}

fn extended(name: &str, value: Option<Vec<u8>>) -> LdapOp {
    LdapOp::ExtendedRequest(LdapExtendedRequest { name: name.into(), value })
}

async fn who_am_i(client: &mut Client) -> String {
    let (result, message) = client.ask_with(extended(OID_WHOAMI, None), vec![]).await;
    assert_eq!(result.code, LdapResultCode::Success);
    match message.op {
        LdapOp::ExtendedResponse(r) => String::from_utf8(r.value.unwrap_or_default()).expect("text"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn simple() {
    let cluster = Cluster::new();
    let mut c = cluster.connect();
    assert_eq!(who_am_i(&mut c).await, "");
    for name in [BOB, "UID=Bob, OU=People, DC=example, DC=com", "bob@example.com"] {
        c.bind(name, PASSWORD).await;
        assert_eq!(who_am_i(&mut c).await, format!("dn:{BOB}"), "{name}");
    }
    for (name, password) in
        [(BOB, "wrong"), ("uid=nobody,ou=people,dc=example,dc=com", PASSWORD), ("cn=x", PASSWORD), ("junk", PASSWORD)]
    {
        let result = cluster.connect().try_bind(name, password).await;
        assert_eq!(result.code, LdapResultCode::InvalidCredentials, "{name}");
    }
    // Whoever fails is not whom it was before.
    c.try_bind(BOB, "wrong").await;
    assert_eq!(who_am_i(&mut c).await, "");
    c.bind("", "").await;
    assert_eq!(c.try_bind(BOB, "").await.code, LdapResultCode::UnwillingToPerform);
    let old = LdapBindRequest { version: 2, dn: String::new(), cred: LdapBindCred::Simple(String::new()) };
    assert_eq!(c.ask(LdapOp::BindRequest(old)).await.code, LdapResultCode::ProtocolError);
    // A third way to sign in, that LDAP does not have.
    c.raw(b"\x30\x0c\x02\x01\x63\x60\x07\x02\x01\x03\x04\x00\x85\x00").await;
    assert_eq!(result(&c.message().await).code, LdapResultCode::AuthMethodNotSupported);
    c.in_step().await;
}

#[tokio::test]
async fn closed_accounts_stay_out() {
    let cluster = Cluster::new();
    cluster.modify(1, vec![set("zimbraAccountStatus", &["closed"])]);
    let result = cluster.connect().try_bind(BOB, PASSWORD).await;
    assert_eq!(result.code, LdapResultCode::InvalidCredentials);
}

#[tokio::test]
async fn guessing_ends_the_connection() {
    let cluster = Cluster::new();
    let mut c = cluster.connect();
    for n in 0..5 {
        // Another name each time, so that it is not the throttle that ends it.
        c.send(
            LdapOp::BindRequest(LdapBindRequest {
                version: 3,
                dn: format!("x{n}@example.com"),
                cred: LdapBindCred::Simple("x".into()),
            }),
            vec![],
        )
        .await;
    }
    let mut last = c.message().await;
    while let Some(message) = c.try_message().await {
        last = message;
    }
    assert_eq!(last.msgid, 0, "{last:?}");
}

#[tokio::test]
async fn passwords_are_not_taken_in_plain_text_from_afar() {
    let cluster = Cluster::new();
    let mut c = cluster.connect_as(FAR, None);
    assert_eq!(c.try_bind(BOB, PASSWORD).await.code, LdapResultCode::ConfidentialityRequired);
    let plain = format!("\0bob@example.com\0{PASSWORD}").into_bytes();
    assert_eq!(c.ask(sasl("PLAIN", plain)).await.code, LdapResultCode::ConfidentialityRequired);
    let found = c.search(scoped(LdapSearchScope::Base, "", "(objectClass=*)", &[])).await;
    assert_eq!(found.values("supportedSASLMechanisms"), ["SCRAM-SHA-256"]);
}

#[tokio::test]
async fn sasl_plain() {
    let cluster = Cluster::new();
    let mut c = cluster.connect();
    let plain = format!("\0bob@example.com\0{PASSWORD}").into_bytes();
    assert_eq!(c.ask(sasl("PLAIN", plain)).await.code, LdapResultCode::Success);
    assert_eq!(who_am_i(&mut c).await, format!("dn:{BOB}"));
    assert_eq!(c.ask(sasl("PLAIN", b"\0bob@example.com\0no".to_vec())).await.code, LdapResultCode::InvalidCredentials);
    assert_eq!(c.ask(sasl("CRAM-MD5", vec![])).await.code, LdapResultCode::AuthMethodNotSupported);
    assert_eq!(c.ask(sasl("PLAIN", b"nonsense".to_vec())).await.code, LdapResultCode::ProtocolError);
}

#[tokio::test]
async fn sasl_scram() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let cluster = Cluster::new();
    let mut c = cluster.connect();
    let mut scram = ScramClient::new("bob@example.com", PASSWORD, "n,,", b"");
    let raw = |text: String| STANDARD.decode(text).unwrap();
    let (first, message) = c.ask_with(sasl("SCRAM-SHA-256", raw(scram.first())), vec![]).await;
    assert_eq!(first.code, LdapResultCode::SaslBindInProgress);
    let creds = |message: LdapMsg| match message.op {
        LdapOp::BindResponse(r) => STANDARD.encode(r.saslcreds.expect("credentials")),
        other => panic!("{other:?}"),
    };
    let last = scram.last(&creds(message)).expect("a challenge");
    let (done, message) = c.ask_with(sasl("SCRAM-SHA-256", raw(last)), vec![]).await;
    assert_eq!(done.code, LdapResultCode::Success, "{done:?}");
    assert!(scram.accepts(&creds(message)));
    assert_eq!(who_am_i(&mut c).await, format!("dn:{BOB}"));
}

#[tokio::test]
async fn the_administrator_of_ldap_alone() {
    const ROOT: &str = "uid=zimbra,cn=admins,cn=zimbra";
    let cluster = Cluster::new();
    let mut c = cluster.connect();
    assert_eq!(
        c.try_bind(ROOT, "anything").await.code,
        LdapResultCode::InvalidCredentials,
        "it has no password at first"
    );
    c.bind(ADMIN, PASSWORD).await;
    let modify = |value: &str| {
        LdapOp::ModifyRequest(LdapModifyRequest {
            dn: ROOT.into(),
            changes: vec![LdapModify {
                operation: LdapModifyType::Replace,
                modification: attr("userPassword", &[value]),
            }],
        })
    };
    assert_eq!(c.ask(modify("secret of ldap")).await.code, LdapResultCode::Success);
    let mut root = cluster.connect();
    root.bind(ROOT, "secret of ldap").await;
    assert_eq!(who_am_i(&mut root).await, format!("dn:{ROOT}"));
    assert!(root.find("", "(mail=bob@example.com)").await.contains(&BOB.to_string()));
    let stored = root.search(sub("cn=zimbra", "(objectClass=zimbraGlobalConfig)", &["*"])).await;
    assert_eq!(stored.entries.len(), 1);
}

fn new_password(user: &str, old: Option<&str>, new: Option<&str>) -> LdapOp {
    let mut inner = Vec::new();
    for (tag, text) in [(0x80, Some(user).filter(|u| !u.is_empty())), (0x81, old), (0x82, new)] {
        if let Some(text) = text {
            inner.extend([tag, text.len() as u8]);
            inner.extend(text.as_bytes());
        }
    }
    extended(OID_PASSWORD_MODIFY, Some([&[0x30, inner.len() as u8][..], &inner].concat()))
}

#[tokio::test]
async fn passwords_are_changed() {
    let cluster = Cluster::new();
    let mut c = cluster.as_bob().await;
    assert_eq!(c.ask(new_password("", None, Some("another one"))).await.code, LdapResultCode::UnwillingToPerform);
    assert_eq!(
        c.ask(new_password("", Some("wrong"), Some("another one"))).await.code,
        LdapResultCode::InvalidCredentials
    );
    assert_eq!(
        c.ask(new_password(ADMIN, Some(PASSWORD), Some("x"))).await.code,
        LdapResultCode::InsufficentAccessRights
    );
    assert_eq!(c.ask(new_password(BOB, Some(PASSWORD), Some("another one"))).await.code, LdapResultCode::Success);
    cluster.connect().bind(BOB, "another one").await;
    let mut admin = cluster.as_admin().await;
    let (done, message) = admin.ask_with(new_password("bob@example.com", None, None), vec![]).await;
    assert_eq!(done.code, LdapResultCode::Success);
    let LdapOp::ExtendedResponse(reply) = message.op else { panic!() };
    let value = reply.value.expect("a made-up password");
    let made = String::from_utf8(value[4..].to_vec()).unwrap();
    assert_eq!((&value[..4], made.len()), (&[0x30, 0x12, 0x80, 0x10][..], 16));
    cluster.connect().bind(BOB, &made).await;
    // As directories without that extension have it.
    let change = |old: &str| {
        let modify = |operation, value| LdapModify { operation, modification: attr("userPassword", &[value]) };
        LdapOp::ModifyRequest(LdapModifyRequest {
            dn: BOB.into(),
            changes: vec![modify(LdapModifyType::Delete, old), modify(LdapModifyType::Add, "third one")],
        })
    };
    let mut c = cluster.connect();
    c.bind(BOB, &made).await;
    assert_eq!(c.ask(change("wrong")).await.code, LdapResultCode::InvalidCredentials);
    assert_eq!(c.ask(change(&made)).await.code, LdapResultCode::Success);
    cluster.connect().bind(BOB, "third one").await;
}

/// A password in the clear is as the account's attributes want it, whichever operation brings it, and it takes the place of
/// the one before in every respect.
#[tokio::test]
async fn passwords_go_by_the_rules() {
    let cluster = Cluster::new();
    let rules = [("zimbraPasswordMinNumericChars", "2"), ("zimbraPasswordEnforceHistory", "3")];
    cluster.modify(1, rules.iter().map(|(name, value)| set(name, &[value])).collect());
    let change = |operation, value: &str| {
        let changes = vec![LdapModify { operation, modification: attr("userPassword", &[value]) }];
        LdapOp::ModifyRequest(LdapModifyRequest { dn: BOB.into(), changes })
    };
    let replace = |value: &str| change(LdapModifyType::Replace, value);
    let add = |password: &str| {
        let attributes = vec![
            attr("objectClass", &["zimbraAccount"]),
            attr("zimbraPasswordMinLength", &["9"]),
            attr("userPassword", &[password]),
        ];
        LdapOp::AddRequest(LdapAddRequest { dn: "uid=eve,ou=people,dc=example,dc=com".into(), attributes })
    };
    let mut admin = cluster.as_admin().await;
    for (op, why) in [
        (replace("no numbers"), "zimbraPasswordMinNumericChars=2"),
        (change(LdapModifyType::Add, "no numbers"), "zimbraPasswordMinNumericChars=2"),
        (replace("a12"), "zimbraPasswordMinLength=6"),
        (new_password(BOB, None, Some("no numbers")), "zimbraPasswordMinNumericChars=2"),
        (add("secret12"), "zimbraPasswordMinLength=9"),
    ] {
        let refused = admin.ask(op).await;
        assert_eq!(refused.code, LdapResultCode::ConstraintViolation, "{why}");
        assert!(refused.message.contains("account.INVALID_PASSWORD") && refused.message.contains(why), "{refused:?}");
    }
    assert_eq!(admin.ask(add("secret123")).await.code, LdapResultCode::Success);
    cluster.connect().bind("uid=eve,ou=people,dc=example,dc=com", "secret123").await;
    // An administrator may set one that was used before, its owner may not.
    for password in ["first 11", "second 22", "first 11"] {
        assert_eq!(admin.ask(replace(password)).await.code, LdapResultCode::Success, "{password}");
    }
    let mut bob = cluster.connect();
    bob.bind(BOB, "first 11").await;
    let refused = bob.ask(new_password("", Some("first 11"), Some("second 22"))).await;
    assert_eq!(refused.code, LdapResultCode::ConstraintViolation);
    assert!(refused.message.contains("account.PASSWORD_RECENTLY_USED"), "{refused:?}");
    let refused = bob.ask(new_password("", Some("first 11"), Some("none"))).await;
    assert!(refused.message.contains("account.INVALID_PASSWORD"), "{refused:?}");
    assert_eq!(bob.ask(new_password("", Some("first 11"), Some("third 33"))).await.code, LdapResultCode::Success);
    cluster.modify(1, vec![set("zimbraPasswordMinAge", &["1"])]);
    let refused = bob.ask(new_password("", Some("third 33"), Some("fourth 44"))).await;
    assert!(refused.message.contains("account.PASSWORD_CHANGE_TOO_SOON"), "{refused:?}");
    assert_eq!(admin.ask(new_password(BOB, None, Some("fourth 44"))).await.code, LdapResultCode::Success);
    cluster.connect().bind(BOB, "fourth 44").await;
}
