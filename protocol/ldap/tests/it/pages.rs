//! Pages, order, and what is said while a search is answered.

use crate::client::*;
use ldap3_proto::control::{LdapControl, ServerSortRequet};
use ldap3_proto::proto::*;
use std::sync::atomic::Ordering;
use zcluster_api::{AccountId, DirectoryCommand, GroupId};

fn many(cluster: &Cluster, count: u32) {
    for n in 0..count {
        let mut id = [9; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let attrs =
            vec![set("cn", &[&format!("Person {:04}", (n * 7) % count)]), set("title", &[&format!("{}", n % 3)])];
        let command = DirectoryCommand::CreateAccount {
            id: AccountId(id),
            name: format!("p{n}@other.org"),
            attrs,
            group: GroupId(1),
        };
        cluster.memory.command(command).expect("create");
    }
}

fn paged(size: i64, cookie: &[u8]) -> LdapControl {
    LdapControl::SimplePagedResults { size, cookie: cookie.to_vec() }
}

fn cookie(found: &Found) -> Vec<u8> {
    let found = found.controls.iter().find_map(|c| match c {
        LdapControl::SimplePagedResults { cookie, .. } => Some(cookie.clone()),
        _ => None,
    });
    found.expect("the control of paged results")
}

fn sorted_by(attr: &str, reverse: bool) -> LdapControl {
    let key = ServerSortRequet { attribute_name: attr.into(), ordering_rule: None, reverse_order: reverse };
    LdapControl::ServerSort { sort_requests: vec![key] }
}

#[tokio::test]
async fn pages_are_complete_also_on_another_connection() {
    let cluster = Cluster::new();
    many(&cluster, 600);
    let request = sub("dc=other,dc=org", "(&(objectClass=zimbraAccount)(title=1))", &["1.1"]);
    let whole = cluster.as_admin().await.search(request.clone()).await;
    assert_eq!(whole.entries.len(), 200);
    for size in [1, 7, 200, 1_000] {
        let (mut seen, mut next, mut pages) = (Vec::new(), Vec::new(), 0);
        let mut c = cluster.as_admin().await;
        loop {
            let page = c.search_with(request.clone(), vec![paged(size, &next)]).await;
            assert_eq!(page.result.code, LdapResultCode::Success);
            assert!(page.entries.len() <= size as usize);
            next = cookie(&page);
            seen.extend(page.entries.into_iter().map(|e| e.dn));
            pages += 1;
            if next.is_empty() {
                break;
            }
            if pages % 50 == 0 {
                c = cluster.as_admin().await;
            }
        }
        seen.sort();
        assert_eq!(seen, whole.dns(), "pages of {size}");
    }
    let mut c = cluster.as_admin().await;
    let first = c.search_with(request.clone(), vec![paged(5, b"")]).await;
    let other = c.search_with(sub("", "(uid=*)", &[]), vec![paged(5, &cookie(&first))]).await;
    assert_eq!(other.result.code, LdapResultCode::UnwillingToPerform);
    let enough = c.search_with(request, vec![paged(0, &cookie(&first))]).await;
    assert!(enough.entries.is_empty() && cookie(&enough).is_empty());
}

#[tokio::test]
async fn order() {
    let cluster = Cluster::new();
    many(&cluster, 50);
    let mut c = cluster.as_admin().await;
    let request = sub("dc=other,dc=org", "(cn=person*)", &["cn"]);
    let names = |found: &Found| found.entries.iter().map(|e| values(e, "cn")[0].clone()).collect::<Vec<_>>();
    let mut want: Vec<String> = (0..50).map(|n| format!("Person {n:04}")).collect();
    let up = c.search_with(request.clone(), vec![sorted_by("cn", false)]).await;
    assert_eq!(names(&up), want);
    assert!(
        matches!(&up.controls[0], LdapControl::ServerSortResult { sort_result } if sort_result.result_code == LdapResultCode::Success)
    );
    want.reverse();
    let (mut seen, mut next) = (Vec::new(), Vec::new());
    loop {
        let page = c.search_with(request.clone(), vec![sorted_by("cn", true), paged(7, &next)]).await;
        seen.extend(names(&page));
        next = cookie(&page);
        if next.is_empty() {
            break;
        }
    }
    assert_eq!(seen, want);
}

#[tokio::test]
async fn controls_that_are_critical_and_unknown() {
    let cluster = Cluster::new();
    let mut c = cluster.as_admin().await;
    let unknown = |criticality| LdapControl::Unknown { oid: "1.2.3.4".into(), criticality, value: None };
    let request = scoped(LdapSearchScope::Base, BOB, "(uid=*)", &[]);
    assert_eq!(c.search_with(request.clone(), vec![unknown(false)]).await.entries.len(), 1);
    let found = c.search_with(request, vec![unknown(true)]).await;
    assert_eq!(found.result.code, LdapResultCode::UnavailableCriticalExtension);
}

#[tokio::test]
async fn abandoning_cancelling_and_asking_ahead() {
    let cluster = Cluster::new();
    many(&cluster, 3_000);
    let mut c = cluster.as_admin().await;
    let all = sub("", "(objectClass=zimbraAccount)", &[]);
    let id = c.send(LdapOp::SearchRequest(all.clone()), vec![]).await;
    for _ in 0..10 {
        assert!(matches!(c.message().await.op, LdapOp::SearchResultEntry(_)));
    }
    c.send(LdapOp::AbandonRequest(id), vec![]).await;
    let root = c.send(LdapOp::SearchRequest(scoped(LdapSearchScope::Base, "", "(objectClass=*)", &[])), vec![]).await;
    let mut more = 0;
    loop {
        let message = c.message().await;
        match message.op {
            LdapOp::SearchResultEntry(_) if message.msgid == id => more += 1,
            LdapOp::SearchResultEntry(_) => assert_eq!(message.msgid, root),
            LdapOp::SearchResultDone(_) => {
                assert_eq!(message.msgid, root, "an abandoned search has no end");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(more < 2_900, "{more}");
    // Cancelled, it has an end, and so has the request that did it.
    let id = c.send(LdapOp::SearchRequest(all), vec![]).await;
    c.message().await;
    let number = u8::try_from(id).unwrap();
    let cancel = LdapExtendedRequest { name: "1.3.6.1.1.8".into(), value: Some(vec![0x30, 3, 2, 1, number]) };
    let by = c.send(LdapOp::ExtendedRequest(cancel.clone()), vec![]).await;
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let message = c.message().await;
        if !matches!(message.op, LdapOp::SearchResultEntry(_)) {
            ends.push((message.msgid, result(&message).code));
        }
    }
    assert_eq!(ends, [(id, LdapResultCode::Canceled), (by, LdapResultCode::Success)]);
    assert_eq!(c.ask(LdapOp::ExtendedRequest(cancel)).await.code, LdapResultCode::NoSuchOperation);
    // Requests sent at once are answered in turn.
    let ids = [
        c.send(LdapOp::SearchRequest(sub(BOB, "(uid=*)", &[])), vec![]).await,
        c.send(LdapOp::SearchRequest(sub(ADMIN, "(uid=*)", &[])), vec![]).await,
    ];
    for id in ids {
        assert_eq!(c.message().await.msgid, id);
        assert_eq!(c.message().await.msgid, id);
    }
    c.send(LdapOp::UnbindRequest, vec![]).await;
    assert!(c.try_message().await.is_none());
}

/// Who does not read his answer makes the service wait with the rest of it, not gather it: it has fetched one page, and a
/// page is bounded in bytes too.
#[tokio::test]
async fn who_does_not_read_is_waited_for() {
    const ENTRIES: u32 = 600;
    const BYTES: usize = 16 * 1024;
    const PAGE_BYTES: usize = 2 * 1024 * 1024;
    let cluster = Cluster::new();
    many(&cluster, ENTRIES);
    for n in 0..ENTRIES {
        let mut id = [9; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let changes = vec![set("description", &[&"x".repeat(BYTES)])];
        cluster.memory.command(DirectoryCommand::ModifyAccount { id: AccountId(id), changes }).expect("modify");
    }
    let (served, brought) = crate::direct::counted(&cluster.memory);
    let mut c = cluster.connect_to(served, NEAR, None);
    c.bind(ADMIN, PASSWORD).await;
    let before = brought.load(Ordering::SeqCst);
    c.send(LdapOp::SearchRequest(sub("", "(description=*)", &["*"])), vec![]).await;
    assert!(matches!(c.message().await.op, LdapOp::SearchResultEntry(_)));
    // Time enough to go on, if it did.
    for _ in 0..20 {
        zcluster_runtime::sleep(std::time::Duration::from_millis(10)).await;
    }
    let held = brought.load(Ordering::SeqCst) - before;
    assert!(held <= PAGE_BYTES / BYTES + 1, "{held} entries were fetched for a client that has read one");
    let mut left = ENTRIES - 1;
    while let LdapOp::SearchResultEntry(entry) = c.message().await.op {
        assert_eq!(values(&entry, "description")[0].len(), BYTES);
        left -= 1;
    }
    assert_eq!(left, 0);
}

/// `before`, `after`, place, of how many; a value in place of the two last.
fn view(before: u8, after: u8, target: std::result::Result<(u8, u8), &str>, context: Option<&[u8]>) -> LdapControl {
    let mut inner = vec![2, 1, before, 2, 1, after];
    match target {
        Ok((offset, of)) => inner.extend([0xa0, 6, 2, 1, offset, 2, 1, of]),
        Err(value) => {
            inner.extend([0x81, value.len() as u8]);
            inner.extend(value.as_bytes());
        }
    }
    if let Some(context) = context {
        inner.extend([4, context.len() as u8]);
        inner.extend(context);
    }
    let value = [&[0x30, inner.len() as u8][..], &inner].concat();
    LdapControl::Unknown { oid: "2.16.840.1.113730.3.4.9".into(), criticality: true, value: Some(value) }
}

/// Place, how many, result, and the word for the result.
fn viewed(found: &Found) -> (u8, u8, u8, Vec<u8>) {
    let value = found.controls.iter().find_map(|c| match c {
        LdapControl::Unknown { oid, value: Some(value), .. } if oid == "2.16.840.1.113730.3.4.10" => Some(value),
        _ => None,
    });
    let value = value.expect("the answer's control");
    assert_eq!((value[2], value[3], value[5], value[6], value[8], value[9]), (2, 1, 2, 1, 10, 1), "{value:?}");
    (value[4], value[7], value[10], value.get(13..).unwrap_or_default().to_vec())
}

#[tokio::test]
async fn parts_of_a_sorted_result_are_looked_at() {
    let cluster = Cluster::new();
    many(&cluster, 100);
    let mut c = cluster.as_admin().await;
    let request = || sub("dc=other,dc=org", "(cn=Person*)", &["cn"]);
    let cns = |found: &Found| found.entries.iter().map(|e| values(e, "cn")[0].clone()).collect::<Vec<_>>();
    let person = |n: u32| format!("Person {n:04}");
    let first = c.search_with(request(), vec![sorted_by("cn", false), view(0, 2, Ok((1, 0)), None)]).await;
    assert_eq!(first.result.code, LdapResultCode::Success);
    assert_eq!(cns(&first), [person(0), person(1), person(2)]);
    let (at, count, result, context) = viewed(&first);
    assert_eq!((at, count, result, context.len()), (1, 100, 0, 8));
    // Scrolling: by place, in proportion, by value, to the end; the result stays as it was.
    let mut gone = [9; 16];
    gone[..4].copy_from_slice(&[0; 4]);
    cluster.memory.command(DirectoryCommand::DeleteAccount(AccountId(gone))).expect("delete");
    for (target, want, place) in [
        (Ok((50, 100)), 48..52, 50),
        (Ok((25, 50)), 48..52, 50),
        (Err("person 0070"), 69..73, 71),
        (Ok((100, 100)), 98..100, 100),
        (Err("q"), 99..100, 101),
    ] {
        let found = c.search_with(request(), vec![sorted_by("cn", false), view(1, 2, target, Some(&context))]).await;
        assert_eq!(cns(&found), want.map(person).collect::<Vec<_>>(), "{target:?}");
        let (at, count, result, again) = viewed(&found);
        assert_eq!((at, count, result, &again), (place, 100, 0, &context), "{target:?}");
    }
    let reverse = c.search_with(request(), vec![sorted_by("cn", true), view(0, 1, Err("person 0050"), Some(&context))]);
    let reverse = reverse.await;
    assert_eq!(cns(&reverse), [person(50), person(49)]);
    assert_ne!(viewed(&reverse).3, context, "another order is another result");
    let unsorted = c.search_with(request(), vec![view(0, 1, Ok((1, 0)), None)]).await;
    assert_eq!((unsorted.entries.len(), viewed(&unsorted).2), (0, 60));
    let nowhere = c.search_with(request(), vec![sorted_by("cn", false), view(0, 1, Ok((0, 0)), None)]).await;
    assert_eq!((nowhere.entries.len(), viewed(&nowhere).2), (0, 61));
}
