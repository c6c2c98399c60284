//! The dump of a made-up Zimbra site (`fixtures/zimbra_dump.py`), brought into an in-memory directory.

use std::io::Cursor;
use std::sync::Arc;
use zcluster_api::directory::{Modification, Object, ObjectBy, ObjectKind};
use zcluster_api::{Actor, Freshness};
use zcluster_directory::Directory;
use zcluster_directory::change::{Change, How};
use zcluster_directory::ldif::{Reader, Record, Writer};
use zcluster_directory::shown::{KindName, Listing, wanted};
use zcluster_directory::wanted::{Done, Manner, Outcome, WANTED_MAX, Wanted};
use zcluster_directory::zimbra::{Dump, Report, Stage};
use zcluster_state::memory::Memory;

const DUMP: &str = include_str!("fixtures/zimbra.ldif");
const BRING: Manner = Manner { dry_run: false, update: true };
const ADMIN: Actor = Actor::System;

fn directory() -> Directory {
    Directory::new(Arc::new(Memory::with_account("postmaster@local.test", "")), Freshness::Local)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn records(text: &str) -> Vec<Record> {
    let mut reader = Reader::new(Cursor::new(text.as_bytes()));
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

async fn import(d: &Directory, manner: Manner, keep_transport: bool) -> Report {
    let records = records(DUMP);
    let mut dump = Dump::new(keep_transport);
    records.iter().for_each(|r| dump.survey(r));
    for stage in Stage::ALL {
        let wishes: Vec<Wanted> = records.iter().filter_map(|r| dump.wish(stage, r)).collect();
        for batch in wishes.chunks(7) {
            for (wish, outcome) in batch.iter().zip(d.bring(ADMIN, batch, manner).await.unwrap()) {
                if let Some(id) = &outcome.id {
                    dump.is_called(wish, id);
                }
                dump.report.note(wish, &outcome);
            }
        }
    }
    dump.report
}

async fn at(d: &Directory, address: &str) -> Object {
    d.find(ObjectBy::Address(address.into())).await.unwrap_or_else(|e| panic!("{address}: {e}"))
}

fn why<'a>(list: &'a [zcluster_directory::zimbra::Noted], what: &str) -> &'a str {
    list.iter().find(|n| n.what == what).map_or("", |n| n.why.as_str())
}

#[test]
fn a_site_moves_over() {
    run(async {
        let d = directory();
        let dry = import(&d, Manner { dry_run: true, ..BRING }, false).await;
        assert!(d.find(ObjectBy::Address("alice@example.com".into())).await.is_err(), "a dry run writes nothing");
        let report = import(&d, BRING, false).await;
        println!("{report}");
        let counts = |r: &Report| r.entries.iter().map(|(k, t)| (k.clone(), t.created + t.changed)).collect::<Vec<_>>();
        for (kind, created) in [
            ("account", 10),
            ("resource", 2),
            ("distributionList", 2),
            ("dynamicGroup", 1),
            ("domain", 3),
            ("cos", 2),
            ("server", 2),
            ("zimlet", 2),
            ("mimeType", 2),
            ("globalGrant", 1),
            ("identity", 1),
            ("signature", 1),
            ("dataSource", 3),
        ] {
            assert_eq!(report.entries[kind].created, created, "{kind}");
        }
        assert_eq!(report.entries["config"].changed, 1);
        assert_eq!(report.entries["alias"].same, 4, "accounts and lists bring their aliases along");
        let dry_only: Vec<_> = counts(&dry).into_iter().filter(|c| !counts(&report).contains(c)).collect();
        let told = ["alias", "signature", "with rights or groups"];
        assert!(
            dry_only.iter().all(|(kind, _)| told.contains(&kind.as_str())),
            "a dry run tells the same: {dry_only:?}"
        );

        // What was left, and why.
        let left = &report.entries_left;
        assert_eq!(why(left, "alias"), "its target is missing");
        assert!(why(left, "signature").starts_with("what it belongs to is missing"), "{left:?}");
        assert!(left.iter().any(|n| n.count == 5 && n.why.contains("LDAP servers alone")));
        assert!(left.iter().any(|n| n.why.contains("no such place") && n.examples == ["cn=accesslog"]));
        let values = &report.attributes_left;
        for (attr, reason) in [
            ("zimbraAuthTokenKey", "a key of the old servers"),
            ("zimbraSomethingFromAnExtension", "unknown attribute"),
            ("zimbraMailHost", "the cluster chose"),
            ("zimbraMailTransport", "it names the old mailbox server"),
            ("zimbraAuthTokens", "belongs to sessions"),
            ("zimbraCOSId", "no such COS"),
            ("zimbraFeatureMailForwardingEnabled", "must be TRUE or FALSE"),
            ("description", "not UTF-8"),
        ] {
            assert!(why(values, attr).contains(reason), "{attr}: {values:#?}");
        }
        all_is_there(&d).await;

        let again = import(&d, BRING, false).await;
        assert!(again.is_unchanged(), "{again}");
        assert_eq!(again.entries["account"].same, 10);
    });
}

async fn all_is_there(d: &Directory) {
    let alice = at(d, "a.aemmel@example.com").await;
    assert_eq!(alice.name, "alice@example.com");
    assert_eq!(at(d, "alice@sub.example.com").await.id, alice.id);
    assert_eq!(at(d, "alice@example.net").await.id, alice.id, "the alias domain leads to the real one");
    for (attr, value) in [
        ("zimbraId", "a25e2b9c-ccb2-529b-b5a8-7d27a1d4d7ef"),
        ("displayName", "Alice Ämmel"),
        ("zimbraCreateTimestamp", "20190312081522.104Z"),
        ("zimbraPrefLocale", "fr"),
        ("zimbraPrefMailSignature", "Alice\nExample Inc."),
        ("zimbraMailForwardingAddress", "archive@example.org"),
    ] {
        if attr == "zimbraId" {
            assert!(DUMP.contains(alice.attrs.get(attr).unwrap()), "the id is that of the dump");
        } else {
            assert_eq!(alice.attrs.get(attr), Some(value), "{attr}");
        }
    }
    assert!(alice.attrs.get("userPassword").unwrap().starts_with("{SSHA}"));
    assert!(alice.attrs.get("zimbraMailSieveScript").unwrap().contains("Büro"));
    assert!(at(d, "bob@example.com").await.attrs.get("userPassword").unwrap().starts_with("{SSHA512}"));
    assert!(at(d, "carol@example.com").await.attrs.get("userPassword").unwrap().starts_with("{CRYPT}$6$"));
    let gold = d.named(&[ObjectKind::Cos], None, "gold").await.unwrap();
    assert_eq!(alice.attrs.get("zimbraCOSId"), Some(gold.id.to_string().as_str()));
    assert_eq!(d.effective(&alice).await.unwrap().get("zimbraMailQuota"), Some("10737418240"));
    let dave = at(d, "dave@example.com").await;
    assert_eq!((dave.attrs.get("zimbraAccountStatus"), dave.attrs.get("zimbraCOSId")), (Some("closed"), None));
    let eve = at(d, "eve@example.com").await;
    assert_eq!(eve.attrs.get("zimbraMailTransport"), Some("smtp:relay.example.org:25"), "a way out is kept");
    assert_eq!(at(d, "room1@example.com").await.kind, ObjectKind::Resource);
    let staff = at(d, "team@example.com").await;
    assert_eq!(staff.attrs.all("zimbraMailForwardingAddress").len(), 3);
    assert!(staff.attrs.get("zimbraACE").unwrap().ends_with("usr sendToDistList"));
    let project = at(d, "project@example.com").await;
    assert_eq!(project.attrs.get("zimbraMailForwardingAddress"), Some("partner@example.org"));
    assert_eq!(alice.attrs.get("zimbraMemberOf"), Some(project.id.to_string().as_str()));
    let named = async |kind: ObjectKind, name: &str| d.named(&[kind], Some(alice.id), name).await;
    assert!(named(ObjectKind::Identity, "Sales, old").await.is_ok());
    assert!(named(ObjectKind::Signature, "Privé").await.is_ok());
    let pop3 = named(ObjectKind::DataSource, "Old mail").await.unwrap();
    assert_eq!(pop3.attrs.get("zimbraDataSourceHost"), Some("pop.example.org"));
    let frank = at(d, "frank@example.com").await;
    assert!(frank.attrs.get("userCertificate").unwrap().starts_with("MIIBCg"));
}

#[test]
fn transports_are_kept_for_a_site_that_moves_step_by_step() {
    run(async {
        let d = directory();
        import(&d, BRING, true).await;
        let alice = at(&d, "alice@example.com").await;
        assert_eq!(alice.attrs.get("zimbraMailTransport"), Some("lmtp:mbs1.example.com:7025"));
    });
}

#[test]
fn what_stands_in_the_way_is_told_and_the_rest_goes_on() {
    run(async {
        let d = directory();
        d.create(ADMIN, ObjectKind::Domain, "example.com", None, vec![]).await.unwrap();
        let name = vec![Modification::set("displayName", "Somebody else")];
        let admin = d.create(ADMIN, ObjectKind::Account, "admin@example.com", None, name).await.unwrap();
        d.create(ADMIN, ObjectKind::DistributionList, "bob@example.com", None, vec![]).await.unwrap();
        let report = import(&d, BRING, false).await;
        assert_eq!(report.entries["account"].left, 1, "{report}");
        assert!(why(&report.entries_left, "account").contains("another kind of entry"), "{report}");
        let now = at(&d, "admin@example.com").await;
        assert_eq!(
            (now.id, now.attrs.get("displayName")),
            (admin.id, Some("Administrator")),
            "taken over under its id"
        );
        assert_eq!(report.entries["domain"].changed, 1);
        // Grantees and targets are named by the ids that they have here.
        let net = d.named(&[ObjectKind::Domain], None, "example.net").await.unwrap();
        let com = d.named(&[ObjectKind::Domain], None, "example.com").await.unwrap();
        assert_eq!(net.attrs.get("zimbraDomainAliasTargetId"), Some(com.id.to_string().as_str()));
        assert!(import(&d, BRING, false).await.is_unchanged());
    });
}

/// Everything as LDIF, as the command writes it.
async fn export(d: &Directory) -> String {
    let mut writer = Writer::new(Vec::new()).unwrap();
    let groups: [&[ObjectKind]; 6] = [
        &[ObjectKind::Config, ObjectKind::Cos, ObjectKind::GlobalGrant],
        &[ObjectKind::Domain],
        &[ObjectKind::Server, ObjectKind::Zimlet, ObjectKind::MimeType],
        &[ObjectKind::Account, ObjectKind::Resource],
        &[ObjectKind::DistributionList, ObjectKind::DynamicGroup, ObjectKind::Alias],
        &[ObjectKind::Identity, ObjectKind::Signature, ObjectKind::DataSource],
    ];
    for kinds in groups {
        let mut listing = Listing { kinds: kinds.iter().map(|k| KindName(*k)).collect(), ..Listing::default() };
        loop {
            let page = d.list(ADMIN, &listing).await.unwrap();
            for shown in page.entries {
                let dn = shown.dn.clone();
                writer.entry(&dn, &shown.lines()).unwrap();
            }
            listing.after = page.next;
            if listing.after.is_none() {
                break;
            }
        }
    }
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

async fn load(d: &Directory, text: &str, manner: Manner) -> Vec<(String, Outcome)> {
    let mut out = Vec::new();
    let wishes: Vec<Wanted> = records(text)
        .iter()
        .filter_map(|r| match &r.what {
            zcluster_directory::ldif::What::Content(lines) => {
                wanted(&r.dn, lines).unwrap_or_else(|e| panic!("{}: {e}", r.dn))
            }
            _ => None,
        })
        .collect();
    for batch in wishes.chunks(WANTED_MAX) {
        let outcomes = d.bring(ADMIN, batch, manner).await.unwrap();
        out.extend(batch.iter().map(|w| w.name.clone()).zip(outcomes));
    }
    out
}

#[test]
fn what_is_exported_can_be_imported() {
    run(async {
        let (one, two) = (directory(), directory());
        import(&one, BRING, false).await;
        let text = export(&one).await;
        assert!(
            text.contains("dn: uid=alice,ou=people,dc=example,dc=com")
                && text.contains("userCertificate;binary:: MIIBCg")
        );
        let strict = Manner { dry_run: false, update: false };
        let same = load(&one, &text, strict).await;
        let odd: Vec<_> = same.iter().filter(|(_, o)| o.done != Done::Same || !o.attrs_left.is_empty()).collect();
        assert!(odd.is_empty(), "an export says what is there: {odd:#?}");
        let outcomes = load(&two, &text, BRING).await;
        let left: Vec<_> = outcomes.iter().filter(|(_, o)| o.done == Done::Left || !o.attrs_left.is_empty()).collect();
        assert!(left.is_empty(), "{left:#?}");
        let lines = |text: &str| {
            // Those that were there before differ.
            let mut entries: Vec<String> =
                text.split("\n\n").filter(|e| !e.contains("local.test")).map(String::from).collect();
            entries.sort();
            entries
        };
        assert_eq!(lines(&export(&two).await), lines(&text));
    });
}

#[test]
fn changes_of_a_file_are_carried_out() {
    run(async {
        let d = directory();
        import(&d, BRING, false).await;
        let text = "version: 1\n\ndn: uid=bob,ou=people,dc=example,dc=com\nchangetype: modify\nreplace: displayName\ndisplayName: Bob B.\n-\n\
            delete: telephoneNumber\n-\nadd: description\ndescription: one\ndescription: two\n-\n\n\
            dn: uid=bob,ou=people,dc=example,dc=com\nchangetype: modrdn\nnewrdn: uid=bobby\ndeleteoldrdn: 1\nnewsuperior: ou=people,dc=sub,dc=example,dc=com\n\n\
            dn: zimbraSignatureName=Priv\\C3\\A9,uid=alice,ou=people,dc=example,dc=com\nchangetype: modrdn\nnewrdn: zimbraSignatureName=Own\ndeleteoldrdn: 1\n\n\
            dn: uid=robert,ou=people,dc=example,dc=com\nchangetype: delete\n\n\
            dn: uid=room1,ou=people,dc=example,dc=com\nchangetype: delete\n\n\
            dn: uid=nobody,ou=people,dc=example,dc=com\nchangetype: delete\n\n\
            dn: cn=Gold,cn=cos,cn=zimbra\nchangetype: modrdn\nnewrdn: uid=silver\ndeleteoldrdn: 1\n";
        let mut refused = Vec::new();
        for record in records(text) {
            let how = How::of(&record.what).unwrap().unwrap();
            let change = Change { dn: record.dn.clone(), how };
            let sent: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
            if let Err(failure) = d.change(ADMIN, &sent).await {
                refused.push(format!("{}: {failure}", record.line));
            }
        }
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused[0].contains("NO_SUCH_ACCOUNT") && refused[1].contains("cannot be called"), "{refused:?}");
        let bob = at(&d, "bobby@sub.example.com").await;
        assert_eq!(bob.attrs.get("displayName"), Some("Bob B."));
        assert_eq!((bob.attrs.has("telephoneNumber"), bob.attrs.all("description").len()), (false, 2));
        assert!(d.find(ObjectBy::Address("robert@example.com".into())).await.is_err());
        assert!(d.find(ObjectBy::Address("room1@example.com".into())).await.is_err());
        let alice = at(&d, "alice@example.com").await;
        assert!(d.named(&[ObjectKind::Signature], Some(alice.id), "Own").await.is_ok());
    });
}
