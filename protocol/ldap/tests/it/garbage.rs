//! Whatever is sent, the session answers and stays in step, or says goodbye.

use crate::client::*;
use bytes::BytesMut;
use ldap3_proto::proto::*;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::{Decoder, Encoder};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

/// Sends bytes and takes all that comes; it must be whole messages.
async fn all(mut c: Client, bytes: &[u8]) -> Vec<LdapMsg> {
    let (mut read, mut write) = tokio::io::split(&mut c.stream);
    let mut answers = Vec::new();
    let talk = async {
        // The service may have had enough before the end; so a failing write is fine.
        let _ = write.write_all(bytes).await;
        let _ = write.shutdown().await;
    };
    let both = futures::future::join(talk, read.read_to_end(&mut answers));
    let (_, end) = zcluster_runtime::timeout(std::time::Duration::from_secs(20), both).await.expect("it ends");
    end.expect("it is readable");
    let (mut answers, mut out, mut codec) = (BytesMut::from(&answers[..]), Vec::new(), codec());
    while let Some(message) = codec.decode(&mut answers).expect("messages") {
        out.push(message);
    }
    assert!(answers.is_empty(), "a message is cut off");
    out
}

/// Requests of every kind, some of which make sense.
fn request() -> impl Strategy<Value = LdapOp> {
    let dn = || {
        prop::sample::select(vec![
            "",
            BOB,
            "cn=zimbra",
            "cn=cos,cn=zimbra",
            "dc=example,dc=com",
            "junk",
            "uid=x,ou=people,dc=example,dc=com",
            "zimbraSignatureName=x,uid=bob,ou=people,dc=example,dc=com",
        ])
        .prop_map(String::from)
    };
    let name = || {
        prop::sample::select(vec![
            "cn",
            "mail",
            "uid",
            "objectClass",
            "entryDN",
            "userPassword",
            "zimbraMailQuota",
            "nonsense",
            "",
            "userCertificate;binary",
        ])
        .prop_map(String::from)
    };
    let value = || prop_oneof!["[a-z@.*]{0,6}", Just("TRUE".to_string()), Just("zimbraAccount".to_string())];
    let attribute = move || {
        (name(), prop::collection::vec(value().prop_map(String::into_bytes), 0..3))
            .prop_map(|(atype, vals)| LdapPartialAttribute { atype, vals })
    };
    let leaf = prop_oneof![
        name().prop_map(LdapFilter::Present),
        (name(), value()).prop_map(|(a, v)| LdapFilter::Equality(a, v)),
        (name(), value()).prop_map(|(a, v)| LdapFilter::GreaterOrEqual(a, v)),
        (name(), value()).prop_map(|(a, v)| LdapFilter::Extensible(LdapMatchingRuleAssertion {
            matching_rule: None,
            type_: Some(a),
            match_value: v,
            dn_attributes: true
        })),
    ];
    let filter = leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(LdapFilter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(LdapFilter::Or),
            inner.prop_map(|f| LdapFilter::Not(Box::new(f))),
        ]
    });
    let scope = prop::sample::select(vec![
        LdapSearchScope::Base,
        LdapSearchScope::OneLevel,
        LdapSearchScope::Subtree,
        LdapSearchScope::Children,
    ]);
    let search = (dn(), scope, filter, prop::collection::vec(name(), 0..3), any::<bool>(), 0..5i32).prop_map(
        |(base, scope, filter, attrs, typesonly, sizelimit)| {
            LdapOp::SearchRequest(LdapSearchRequest {
                base,
                scope,
                aliases: LdapDerefAliases::Always,
                sizelimit,
                timelimit: 0,
                typesonly,
                filter,
                attrs,
            })
        },
    );
    let change = (
        prop::sample::select(vec![
            LdapModifyType::Add,
            LdapModifyType::Delete,
            LdapModifyType::Replace,
            LdapModifyType::Increment,
        ]),
        attribute(),
    )
        .prop_map(|(operation, modification)| LdapModify { operation, modification });
    prop_oneof![
        4 => search,
        1 => (dn(), prop::collection::vec(change, 0..3)).prop_map(|(dn, changes)| LdapOp::ModifyRequest(LdapModifyRequest { dn, changes })),
        1 => (dn(), prop::collection::vec(attribute(), 0..4)).prop_map(|(dn, attributes)| LdapOp::AddRequest(LdapAddRequest { dn, attributes })),
        1 => dn().prop_map(LdapOp::DelRequest),
        1 => (dn(), value(), prop::option::of(dn())).prop_map(|(dn, v, new_superior)| LdapOp::ModifyDNRequest(LdapModifyDNRequest { dn, newrdn: format!("uid={v}"), deleteoldrdn: true, new_superior })),
        1 => (dn(), name(), value()).prop_map(|(dn, atype, v)| LdapOp::CompareRequest(LdapCompareRequest { dn, atype, val: v.into_bytes() })),
        1 => (prop::sample::select(vec![OID_WHOAMI, OID_PASSWORD_MODIFY, "1.3.6.1.1.8", "1.2.3"]), prop::option::of(prop::collection::vec(any::<u8>(), 0..8))).prop_map(|(name, value)| LdapOp::ExtendedRequest(LdapExtendedRequest { name: name.into(), value })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000), signed_in in any::<bool>()) {
        runtime().block_on(async {
            let cluster = Cluster::new();
            let client = if signed_in { cluster.as_admin().await } else { cluster.connect() };
            all(client, &bytes).await;
        });
    }

    /// Requests with some of their bytes changed.
    #[test]
    fn damaged(requests in prop::collection::vec(request(), 1..5), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        runtime().block_on(async {
            let cluster = Cluster::new();
            let client = cluster.as_admin().await;
            let mut wire = BytesMut::new();
            for (n, op) in requests.into_iter().enumerate() {
                codec().encode(LdapMsg { msgid: 100 + n as i32, op, ctrl: vec![] }, &mut wire).expect("encode");
            }
            for (at, byte) in damage {
                let at = at.index(wire.len());
                wire[at] = byte;
            }
            all(client, &wire).await;
        });
    }

    /// Each request gets exactly one final answer.
    #[test]
    fn requests(requests in prop::collection::vec(request(), 1..8), as_admin in any::<bool>()) {
        runtime().block_on(async {
            let cluster = Cluster::new();
            let mut c = if as_admin { cluster.as_admin().await } else { cluster.as_bob().await };
            for op in requests {
                let shown = format!("{op:?}");
                let id = c.send(op, vec![]).await;
                loop {
                    let message = c.message().await;
                    assert_eq!(message.msgid, id, "{shown}");
                    if !matches!(message.op, LdapOp::SearchResultEntry(_)) {
                        result(&message);
                        break;
                    }
                }
            }
            c.in_step().await;
        });
    }
}

#[tokio::test]
async fn goodbyes() {
    let cluster = Cluster::new();
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x30\x80\x02\x01\x01",
        b"\x30\x84\x7f\xff\xff\xff\x02",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ] {
        let told = all(cluster.connect(), garbage).await;
        assert_eq!(told.len(), 1, "{garbage:?}");
        assert_eq!((told[0].msgid, result(&told[0]).code), (0, LdapResultCode::ProtocolError));
        let LdapOp::ExtendedResponse(notice) = &told[0].op else { panic!() };
        assert_eq!(notice.name.as_deref(), Some("1.3.6.1.4.1.1466.20036"));
    }
}

#[tokio::test]
async fn nested_too_deeply() {
    let cluster = Cluster::new();
    let mut c = cluster.as_admin().await;
    let mut filter = LdapFilter::Present("cn".into());
    for _ in 0..60 {
        filter = LdapFilter::Not(Box::new(filter));
    }
    let found = c.search(LdapSearchRequest { filter, ..sub("", "(cn=*)", &[]) }).await;
    assert_eq!(found.result.code, LdapResultCode::ProtocolError);
    c.in_step().await;
}

#[tokio::test]
async fn values_that_are_no_text() {
    let cluster = Cluster::new();
    let mut c = cluster.as_admin().await;
    // (cn=\ff) below the root: finds nothing, and is no reason to part.
    let body = b"\x02\x01\x63\x63\x1c\x04\x00\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\xa3\x07\x04\x02cn\x04\x01\xff\x30\x00";
    c.raw(&[&[0x30, body.len() as u8][..], body].concat()).await;
    let message = c.message().await;
    assert_eq!((message.msgid, result(&message).code), (99, LdapResultCode::Success));
}
