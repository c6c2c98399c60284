//! Entries of every kind, finding them, and renaming domains.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::directory::*;
use zcluster_api::*;
use zcluster_state::memory::MemoryKv;
use zcluster_state::{Change, Proposal, Reply, Table, apply, read_directory};

struct Rig {
    kv: MemoryKv,
    index: u64,
}

fn id(n: u8) -> AccountId {
    AccountId([n; 16])
}

fn set(name: &str, values: &[&str]) -> Modification {
    Modification {
        name: name.into(),
        kind: ModifyKind::Replace,
        values: values.iter().map(|v| (*v).to_string()).collect(),
    }
}

fn account(n: u8, name: &str, attrs: Vec<Modification>) -> DirectoryCommand {
    DirectoryCommand::CreateAccount { id: id(n), name: name.into(), attrs, group: GroupId(1) }
}

fn entry(kind: ObjectKind, n: u8, name: &str, parent: Option<u8>, attrs: Vec<Modification>) -> DirectoryCommand {
    DirectoryCommand::CreateEntry { kind, id: id(n), name: name.into(), parent: parent.map(id), attrs }
}

impl Rig {
    fn new() -> Rig {
        let mut rig = Rig { kv: MemoryKv::new(), index: 0 };
        let (ca_cert_pem, ca_key_pem) = ("cert".to_string(), "key".to_string());
        let mut config = Attributes::new();
        config.set("zimbraDefaultDomainName", vec!["x.test".into()]);
        let cluster = Cluster { id: "c".into(), shards: 2, replication: 1, ca_cert_pem, ca_key_pem, config };
        let node = Node {
            id: NodeId::new(1, 0),
            rpc: "10.0.0.1:7".into(),
            advertise: "n1".into(),
            ports: BTreeMap::new(),
            state: NodeState::Active,
            zone: String::new(),
            version: "1".into(),
        };
        rig.ok(DirectoryCommand::InitCluster { cluster, node, default_cos: id(200) });
        for (n, name) in [(100, "x.test"), (101, "y.test")] {
            rig.ok(DirectoryCommand::CreateDomain { id: id(n), name: name.into(), attrs: vec![] });
        }
        rig
    }
    fn run(&mut self, command: DirectoryCommand) -> Result<DirectoryReply> {
        self.index += 1;
        let mut request = [0; 16];
        request[8..].copy_from_slice(&self.index.to_be_bytes());
        let what = Change::Directory(command);
        let proposal = Proposal { request: RequestId(request), wall_ms: 1_735_689_600_000 + self.index, what };
        let proposal = codec::decode(&codec::encode(&proposal)).unwrap();
        match apply(&mut self.kv, GroupId::DIRECTORY, self.index, &proposal).reply {
            Reply::Directory(reply) => reply,
            _ => unreachable!("a directory command"),
        }
    }
    fn ok(&mut self, command: DirectoryCommand) -> DirectoryReply {
        self.run(command).unwrap()
    }
    fn object(&self, by: ObjectBy) -> Result<Object> {
        read_directory(&self.kv, &DirectoryQuery::Object(by)).and_then(DirectoryReply::into_object)
    }
    /// All pages of a search, of `limit` each.
    fn find(&self, kinds: Kinds, domain: Option<&str>, filter: &Filter, limit: u32) -> Vec<Object> {
        let mut search = Search {
            kinds,
            domain: domain.map(String::from),
            parent: None,
            filter: filter.clone(),
            after: None,
            limit,
        };
        let mut found = Vec::new();
        loop {
            let reply = read_directory(&self.kv, &DirectoryQuery::Search(Box::new(search.clone()))).unwrap();
            let page = reply.into_page().unwrap();
            assert!(page.objects.len() <= limit as usize);
            found.extend(page.objects);
            match page.next {
                Some(next) => search.after = Some(next),
                None => return found,
            }
        }
    }
    fn rows(&self, table: Table) -> usize {
        self.kv.rows().filter(|(t, _, _)| *t == table).count()
    }
}

#[test]
fn addresses_are_unique_over_accounts_lists_and_groups() {
    let mut rig = Rig::new();
    rig.ok(account(1, "al@x.test", vec![]));
    let list = |n, name: &str| entry(ObjectKind::DistributionList, n, name, None, vec![]);
    let DirectoryReply::Object(team) = rig.ok(list(2, "Team@X.test")) else { panic!() };
    assert_eq!((team.name.as_str(), team.attrs.all("mail")), ("team@x.test", &["team@x.test".to_string()][..]));
    assert!(matches!(rig.run(list(3, "al@x.test")), Err(Error::Exists(_))));
    assert!(matches!(rig.run(account(3, "team@x.test", vec![])), Err(Error::Exists(_))));
    assert!(matches!(rig.run(list(1, "other@x.test")), Err(Error::Exists(_))), "the id is the account's");
    assert!(matches!(rig.run(list(3, "team@nowhere.test")), Err(Error::NotFound(_))));
    let alias = |n, alias: &str| DirectoryCommand::AddAlias { id: id(n), alias: alias.into() };
    rig.ok(alias(2, "all@y.test"));
    assert!(matches!(rig.run(alias(1, "all@y.test")), Err(Error::Exists(_))));
    assert_eq!(rig.object(ObjectBy::Address("ALL@y.test".into())).unwrap().name, "team@x.test");
    let by_address = DirectoryQuery::Account(AccountBy::Address("all@y.test".into()));
    assert!(matches!(read_directory(&rig.kv, &by_address), Err(Error::NotFound(_))), "a list is no account");
    let rename = DirectoryCommand::RenameEntry { id: id(2), name: "crew@x.test".into() };
    let DirectoryReply::Object(crew) = rig.ok(rename) else { panic!() };
    assert_eq!(crew.attrs.all("mail"), ["crew@x.test", "all@y.test"]);
    rig.ok(account(4, "team@x.test", vec![]));
    rig.ok(DirectoryCommand::RemoveAlias { id: id(2), alias: "all@y.test".into() });
    assert!(rig.object(ObjectBy::Address("all@y.test".into())).is_err());
    rig.ok(DirectoryCommand::DeleteEntry(id(2)));
    rig.ok(list(5, "crew@x.test"));
}

#[test]
fn what_belongs_to_an_account_goes_with_it() {
    let mut rig = Rig::new();
    let indexed = rig.rows(Table::Index);
    rig.ok(account(1, "al@x.test", vec![]));
    let before = (rig.rows(Table::Entry), rig.rows(Table::EntryName));
    let signature =
        |n, name: &str| entry(ObjectKind::Signature, n, name, Some(1), vec![set("zimbraPrefMailSignature", &["Bye"])]);
    rig.ok(signature(10, "Work"));
    assert!(matches!(rig.run(signature(11, "WORK")), Err(Error::Exists(_))));
    rig.ok(entry(ObjectKind::Identity, 12, "Work", Some(1), vec![]));
    assert!(matches!(rig.run(entry(ObjectKind::Identity, 13, "x", None, vec![])), Err(Error::Invalid(_))));
    assert!(matches!(rig.run(entry(ObjectKind::Identity, 13, "x", Some(99), vec![])), Err(Error::NotFound(_))));
    assert!(matches!(rig.run(entry(ObjectKind::Server, 13, "x", Some(1), vec![])), Err(Error::Invalid(_))));
    assert!(matches!(rig.run(entry(ObjectKind::Account, 13, "x@x.test", None, vec![])), Err(Error::Invalid(_))));
    let named =
        |name: &str| rig.object(ObjectBy::Name { kind: ObjectKind::Signature, name: name.into(), parent: Some(id(1)) });
    assert_eq!(named("work").unwrap().attrs.get("zimbraSignatureName"), Some("Work"));
    rig.ok(account(2, "bo@x.test", vec![]));
    rig.ok(entry(ObjectKind::Signature, 14, "Work", Some(2), vec![]));
    for (limit, kinds, want) in [(1, Kinds::ALL, 2), (5, Kinds::ALL, 2), (5, Kinds::of(&[ObjectKind::Identity]), 1)] {
        let (domain, parent) = (None, Some(id(1)));
        let mut search = Search { kinds, domain, parent, filter: Filter::all(), after: None, limit };
        let mut found = 0;
        loop {
            let reply = read_directory(&rig.kv, &DirectoryQuery::Search(Box::new(search.clone()))).unwrap();
            let page = reply.into_page().unwrap();
            assert!(page.objects.iter().all(|o| o.parent == parent));
            found += page.objects.len();
            search.after = page.next;
            if search.after.is_none() {
                break;
            }
        }
        assert_eq!(found, want, "{limit} a page");
    }
    rig.ok(DirectoryCommand::DeleteAccount(id(2)));
    rig.ok(DirectoryCommand::RenameEntry { id: id(10), name: "Home".into() });
    let changes = vec![set("zimbraSignatureName", &["Nonsense"]), set("zimbraPrefMailSignature", &["Bye!"])];
    let DirectoryReply::Object(home) = rig.ok(DirectoryCommand::ModifyEntry { id: id(10), changes }) else { panic!() };
    assert_eq!((home.name.as_str(), home.attrs.get("zimbraSignatureName")), ("Home", Some("Home")));
    rig.ok(DirectoryCommand::DeleteAccount(id(1)));
    assert_eq!((rig.rows(Table::Entry), rig.rows(Table::EntryName)), before);
    assert_eq!((rig.rows(Table::Index), rig.rows(Table::AccountCount)), (indexed, 0));
}

#[test]
fn a_new_entry_may_say_when_it_was_made() {
    let mut rig = Rig::new();
    let made = |at: &str| vec![set("zimbraCreateTimestamp", &[at])];
    for (n, at, good) in [(1, "20190312081522.104Z", true), (2, "20190312081522Z", true), (3, "yesterday", false)] {
        let name = format!("u{n}@x.test");
        match rig.run(account(n, &name, made(at))) {
            Ok(DirectoryReply::Account(a)) => {
                assert_eq!((a.attrs.get("zimbraCreateTimestamp"), good), (Some(at), true))
            }
            other => assert!(!good && matches!(other, Err(Error::Invalid(_))), "{other:?}"),
        }
    }
    let later = DirectoryCommand::ModifyAccount { id: id(1), changes: made("20200101000000Z") };
    assert!(matches!(rig.run(later), Err(Error::Invalid(_))), "and never changes");
    let made = DirectoryCommand::CreateCos { id: id(9), name: "old".into(), attrs: made("20180101000000Z") };
    let DirectoryReply::Cos(cos) = rig.ok(made) else { panic!() };
    assert_eq!(cos.attrs.get("zimbraCreateTimestamp"), Some("20180101000000Z"));
}

#[test]
fn batches_carry_out_what_they_can() {
    let mut rig = Rig::new();
    let commands = vec![account(1, "a@x.test", vec![]), account(2, "A@x.test", vec![]), account(3, "c@x.test", vec![])];
    let DirectoryReply::Outcomes(outcomes) = rig.ok(DirectoryCommand::Batch(commands)) else { panic!() };
    assert!(matches!(outcomes.as_slice(), [None, Some(Error::Exists(_)), None]), "{outcomes:?}");
    let nested = DirectoryCommand::Batch(vec![DirectoryCommand::Batch(vec![])]);
    assert!(matches!(rig.run(nested), Err(Error::Invalid(_))));
    let counts = read_directory(&rig.kv, &DirectoryQuery::AccountCounts("X.test".into()));
    assert_eq!(counts, Ok(DirectoryReply::CosCounts(vec![(AccountId([0; 16]), 2)])));
    let mail: BTreeSet<u64> =
        rig.find(Kinds::ACCOUNTS, None, &Filter::all(), 1).iter().map(|o| o.home.unwrap().mailbox.0).collect();
    assert_eq!(mail.len(), 2, "a mailbox each");
}

#[test]
fn an_alias_domain_stands_for_another() {
    let mut rig = Rig::new();
    rig.ok(account(1, "al@x.test", vec![]));
    rig.ok(account(2, "own@y.test", vec![]));
    let attrs = vec![set("zimbraDomainType", &["alias"]), set("zimbraDomainAliasTargetId", &[&id(100).to_string()])];
    rig.ok(DirectoryCommand::ModifyDomain { name: "y.test".into(), changes: attrs });
    let of = |address: &str| rig.object(ObjectBy::Address(address.into())).map(|o| o.id);
    assert_eq!(of("al@y.test"), Ok(id(1)));
    assert_eq!(of("own@y.test"), Ok(id(2)), "its own come first");
    assert!(of("none@y.test").is_err());
}

#[test]
fn a_domain_is_renamed_step_by_step() {
    let mut rig = Rig::new();
    for n in 1..=5 {
        rig.ok(account(n, &format!("u{n}@x.test"), vec![]));
    }
    rig.ok(DirectoryCommand::AddAlias { id: id(1), alias: "one@x.test".into() });
    rig.ok(DirectoryCommand::AddAlias { id: id(2), alias: "two@y.test".into() });
    let members = vec![set("zimbraMailForwardingAddress", &["u1@x.test", "U2@x.test", "else@where.test"])];
    rig.ok(entry(ObjectKind::DistributionList, 50, "team@y.test", None, members));
    rig.ok(entry(ObjectKind::DistributionList, 51, "crew@x.test", None, vec![]));
    let begin = || DirectoryCommand::RenameDomain { name: "x.test".into(), new_name: "z.test".into() };
    rig.ok(begin());
    rig.ok(begin());
    assert!(matches!(rig.run(account(9, "new@x.test", vec![])), Err(Error::Conflict(_))));
    assert!(matches!(rig.run(account(9, "u5@z.test", vec![])), Err(Error::Conflict(_))), "it will be taken");
    let step = || DirectoryCommand::RenameDomainStep { name: "x.test".into(), limit: 2 };
    let mut moved = 0;
    loop {
        let DirectoryReply::Number(n) = rig.ok(step()) else { panic!() };
        moved += n;
        if n == 0 {
            break;
        }
    }
    assert_eq!(moved, 7);
    assert!(matches!(read_directory(&rig.kv, &DirectoryQuery::Domain("x.test".into())), Err(Error::NotFound(_))));
    let one = rig.object(ObjectBy::Address("one@z.test".into())).unwrap();
    assert_eq!(
        (one.name.as_str(), one.attrs.all("mail")),
        ("u1@z.test", &["u1@z.test".to_string(), "one@z.test".into()][..])
    );
    assert_eq!(rig.object(ObjectBy::Address("two@y.test".into())).unwrap().name, "u2@z.test");
    let team = rig.object(ObjectBy::Address("team@y.test".into())).unwrap();
    assert_eq!(team.attrs.all("zimbraMailForwardingAddress"), ["u1@z.test", "u2@z.test", "else@where.test"]);
    assert_eq!(rig.object(ObjectBy::Address("crew@z.test".into())).unwrap().id, id(51));
    assert_eq!(rig.object(ObjectBy::Id(id(100))).unwrap().name, "z.test");
    assert_eq!(rig.find(Kinds::ACCOUNTS, Some("z.test"), &Filter::all(), 2).len(), 5);
    rig.ok(account(9, "new@z.test", vec![]));
    let counts = read_directory(&rig.kv, &DirectoryQuery::AccountCounts("z.test".into()));
    assert_eq!(counts, Ok(DirectoryReply::CosCounts(vec![(AccountId([0; 16]), 6)])));
}

#[test]
fn the_index_is_built_for_what_was_there_before() {
    let mut rig = Rig::new();
    for n in 1..=7 {
        rig.ok(account(n, &format!("u{n}@x.test"), vec![set("sn", &[&format!("Name{n}")])]));
    }
    let want: Vec<_> = rig.kv.rows().map(|(t, k, v)| (t, k.to_vec(), v.to_vec())).collect();
    let is_new = |t: &Table| matches!(t, Table::Index | Table::AccountCount | Table::DomainId);
    // As an earlier version left it: no rows of these tables, counters without the field.
    let mut old = MemoryKv::new();
    for (t, k, v) in want.iter().filter(|(t, _, _)| !is_new(t)) {
        let counters = *t == Table::Cluster && k == &[1];
        // The field is the last one of the array.
        let v = if counters { [&[v[0], v[1] - 1], &v[2..v.len() - 3]].concat() } else { v.clone() };
        zcluster_state::Kv::put(&mut old, *t, k, v);
    }
    rig.kv = old;
    let DirectoryReply::Number(first) = rig.ok(DirectoryCommand::BuildIndex { limit: 3 }) else { panic!() };
    assert_eq!(first, 3);
    // Changes meanwhile, on both sides of where it has come to.
    for n in [1, 7] {
        let changes = vec![set("sn", &["Changed"])];
        rig.ok(DirectoryCommand::ModifyAccount { id: id(n), changes });
    }
    rig.ok(account(8, "u8@x.test", vec![set("sn", &["New"])]));
    rig.ok(DirectoryCommand::DeleteAccount(id(6)));
    while rig.ok(DirectoryCommand::BuildIndex { limit: 3 }) != DirectoryReply::Number(0) {}
    let found = |sn: &str| rig.find(Kinds::ACCOUNTS, None, &Filter::equal("sn", sn), 10).len();
    assert_eq!((found("changed"), found("name6"), found("name5"), found("new")), (2, 0, 1, 1));
    let counts = read_directory(&rig.kv, &DirectoryQuery::AccountCounts("x.test".into()));
    assert_eq!(counts, Ok(DirectoryReply::CosCounts(vec![(AccountId([0; 16]), 7)])));
    assert_eq!(rig.object(ObjectBy::Id(id(101))).unwrap().name, "y.test");
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["al", "Alan", "bo", "BOB", "smith", "Smythe", "ä"]).prop_map(String::from)
}

fn filter() -> impl Strategy<Value = Filter> {
    let attr =
        prop::sample::select(vec!["cn", "sn", "displayName", "description", "uid", "anr", "objectClass", "mail"]);
    let leaf = (attr, word(), 0..5u8).prop_map(|(attr, word, how)| match how {
        0 | 1 => Filter::equal(attr, word),
        2 => Filter::begins(attr, word),
        3 => Filter::Present(attr.into()),
        _ => Filter::Substring { attr: attr.into(), initial: String::new(), any: vec![word], end: String::new() },
    });
    let classes =
        prop::sample::select(vec!["zimbraAccount", "zimbraDistributionList", "zimbraDomain", "zimbraCalendarResource"]);
    let leaf = prop_oneof![4 => leaf, 1 => classes.prop_map(|c| Filter::equal("objectClass", c))];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|f| Filter::Not(Box::new(f))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// With or without an index, in pages of any size, a search finds what the filter fits, each once.
    #[test]
    fn searches_find_what_fits(
        entries in prop::collection::vec((word(), word(), 0..5u8, any::<bool>()), 1..30),
        changes in prop::collection::vec((0usize..30, word()), 0..10),
        filters in prop::collection::vec(filter(), 1..12),
        limit in 1u32..5,
        in_domain in any::<bool>(),
        aliases in any::<bool>(),
    ) {
        let mut rig = Rig::new();
        for (n, (cn, sn, what, other)) in entries.iter().enumerate() {
            let domain = if *other { "y.test" } else { "x.test" };
            let name = format!("{}{n}@{domain}", cn.to_lowercase().replace('ä', "ae"));
            let n = n as u8 + 1;
            let mut attrs = vec![set("cn", &[&format!("{cn} {sn}"), cn]), set("sn", &[sn])];
            rig.ok(match what {
                0 | 1 => account(n, &name, attrs),
                2 => {
                    attrs.push(set("zimbraAccountCalendarUserType", &["RESOURCE"]));
                    account(n, &name, attrs)
                }
                3 => entry(ObjectKind::DistributionList, n, &name, None, attrs),
                _ => entry(ObjectKind::Server, n, &name, None, attrs),
            });
            if *what < 4 {
                rig.ok(DirectoryCommand::AddAlias { id: id(n), alias: format!("alias{n}@{domain}") });
            }
        }
        for (n, to) in &changes {
            let n = (n % entries.len()) as u8 + 1;
            let changes = vec![set("displayName", &[to]), set("sn", &[])];
            rig.ok(if entries[usize::from(n) - 1].2 > 2 {
                DirectoryCommand::ModifyEntry { id: id(n), changes }
            } else {
                DirectoryCommand::ModifyAccount { id: id(n), changes }
            });
        }
        let kinds = if aliases { Kinds::ALL.and(Kinds::of(&[ObjectKind::Alias])) } else { Kinds::ALL };
        let everything = rig.find(kinds, None, &Filter::all(), 1_000);
        let domain = in_domain.then_some("x.test");
        for filter in &filters {
            let fits = |o: &&Object| filter.fits(o.kind, &o.attrs) && domain.is_none_or(|d| o.domain() == Some(d));
            let want: BTreeSet<(ObjectKind, String)> = everything.iter().filter(fits).map(|o| (o.kind, o.name.clone())).collect();
            let found = rig.find(kinds, domain, filter, limit);
            let got: BTreeSet<(ObjectKind, String)> = found.iter().map(|o| (o.kind, o.name.clone())).collect();
            prop_assert_eq!(found.len(), got.len(), "none twice");
            prop_assert_eq!(got, want, "{:?}", filter);
        }
    }
}
