//! The directory machine: a model of who has which address, and the rules of each command.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::directory::*;
use zcluster_api::*;
use zcluster_state::memory::MemoryKv;
use zcluster_state::{Applied, Change, Effect, Proposal, Reply, apply, read_directory};

const START_MS: u64 = 1_735_689_600_000;

struct Rig {
    kv: MemoryKv,
    twin: MemoryKv,
    index: u64,
    wall_ms: u64,
}

fn cluster(id: &str) -> Cluster {
    let (ca_cert_pem, ca_key_pem) = ("cert".to_string(), "key".to_string());
    Cluster { id: id.into(), shards: 2, replication: 3, ca_cert_pem, ca_key_pem, config: Attributes::new() }
}

fn node(number: u32) -> Node {
    Node {
        id: NodeId::new(number, 0),
        rpc: format!("10.0.0.{number}:7"),
        advertise: format!("n{number}"),
        ports: BTreeMap::new(),
        state: NodeState::Active,
        zone: String::new(),
        version: "1".into(),
    }
}

fn id(n: u8) -> AccountId {
    AccountId([n; 16])
}

fn init(name: &str) -> DirectoryCommand {
    DirectoryCommand::InitCluster { cluster: cluster(name), node: node(1), default_cos: id(200) }
}

fn create_domain(name: &str) -> DirectoryCommand {
    // An id of its own.
    let id = id(name.bytes().fold(100u8, |sum, b| sum.wrapping_mul(31).wrapping_add(b.to_ascii_lowercase())) | 0x80);
    DirectoryCommand::CreateDomain { id, name: name.into(), attrs: vec![] }
}

fn create(n: u8, name: &str, attrs: Vec<Modification>) -> DirectoryCommand {
    DirectoryCommand::CreateAccount { id: id(n), name: name.into(), attrs, group: GroupId(1 + u32::from(n % 2)) }
}

impl Rig {
    fn empty() -> Self {
        Rig { kv: MemoryKv::new(), twin: MemoryKv::new(), index: 0, wall_ms: START_MS }
    }
    fn new() -> Self {
        let mut rig = Rig::empty();
        rig.run(init("c")).unwrap();
        rig.run(create_domain("X.test")).unwrap();
        rig.run(create_domain("y.test")).unwrap();
        rig
    }
    fn applied(&mut self, command: DirectoryCommand) -> Applied {
        self.index += 1;
        let mut request = [0; 16];
        request[8..].copy_from_slice(&self.index.to_be_bytes());
        let proposal =
            Proposal { request: RequestId(request), wall_ms: self.wall_ms, what: Change::Directory(command) };
        let wire = codec::encode(&proposal);
        let applied = apply(&mut self.kv, GroupId::DIRECTORY, self.index, &proposal);
        let twin = apply(&mut self.twin, GroupId::DIRECTORY, self.index, &codec::decode(&wire).unwrap());
        assert_eq!(applied, twin);
        assert!(self.kv == self.twin);
        assert_eq!(codec::decode::<Reply>(&codec::encode(&applied.reply)).unwrap(), applied.reply);
        applied
    }
    fn run(&mut self, command: DirectoryCommand) -> Result<DirectoryReply> {
        match self.applied(command).reply {
            Reply::Directory(reply) => reply,
            _ => unreachable!("a directory command"),
        }
    }
    fn ask(&self, query: DirectoryQuery) -> Result<DirectoryReply> {
        read_directory(&self.kv, &query)
    }
    fn account(&self, name: &str) -> Result<Account> {
        self.ask(DirectoryQuery::Account(AccountBy::Address(name.into())))?.into_account()
    }
    fn page(&self, domain: Option<&str>, after: Option<&str>, limit: u32) -> Vec<String> {
        let (domain, after) = (domain.map(String::from), after.map(String::from));
        match self.ask(DirectoryQuery::Accounts { domain, after, limit }) {
            Ok(DirectoryReply::Accounts(list)) => list.into_iter().map(|a| a.name).collect(),
            other => panic!("{other:?}"),
        }
    }
    fn counts(&self) -> BTreeMap<GroupId, u64> {
        match self.ask(DirectoryQuery::MailboxCounts) {
            Ok(DirectoryReply::Counts(list)) => list.into_iter().collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Create(u8, usize),
    Delete(u8),
    Rename(u8, usize),
    Add(u8, usize),
    Remove(u8, usize),
}

const NAMES: [&str; 6] = ["a@x.test", "A@X.TEST", "b@x.test", "a@y.test", "c@nowhere.test", "é@x.test"];

fn op() -> impl Strategy<Value = Op> {
    let (n, name) = (0u8..4, 0..NAMES.len());
    prop_oneof![
        3 => (n.clone(), name.clone()).prop_map(|(a, b)| Op::Create(a, b)),
        1 => n.clone().prop_map(Op::Delete),
        2 => (n.clone(), name.clone()).prop_map(|(a, b)| Op::Rename(a, b)),
        3 => (n.clone(), name.clone()).prop_map(|(a, b)| Op::Add(a, b)),
        2 => (n, name).prop_map(|(a, b)| Op::Remove(a, b)),
    ]
}

/// Account -> (name, aliases).
type Model = BTreeMap<u8, (String, BTreeSet<String>)>;

fn is_taken(model: &Model, name: &str) -> bool {
    model.values().any(|(own, aliases)| own == name || aliases.contains(name))
}

/// Whether the operation must succeed; changes the model if so.
fn expect(model: &mut Model, op: &Op) -> bool {
    let free = |model: &Model, name: &str| !name.contains("nowhere") && !is_taken(model, name);
    let name_of = |n: &usize| NAMES[*n].to_lowercase();
    match op {
        Op::Create(n, name) => {
            let ok = !model.contains_key(n) && free(model, &name_of(name));
            ok && model.insert(*n, (name_of(name), BTreeSet::new())).is_none()
        }
        Op::Delete(n) => model.remove(n).is_some(),
        Op::Rename(n, name) => {
            let name = name_of(name);
            let ok = model.get(n).is_some_and(|(own, _)| *own == name || free(model, &name));
            if ok && let Some(a) = model.get_mut(n) {
                a.0 = name;
            }
            ok
        }
        Op::Add(n, name) => {
            let ok = model.contains_key(n) && free(model, &name_of(name));
            ok && model.get_mut(n).is_some_and(|a| a.1.insert(name_of(name)))
        }
        Op::Remove(n, name) => model.get_mut(n).is_some_and(|a| a.1.remove(&name_of(name))),
    }
}

fn command(op: &Op) -> DirectoryCommand {
    match *op {
        Op::Create(n, name) => create(n, NAMES[name], vec![]),
        Op::Delete(n) => DirectoryCommand::DeleteAccount(id(n)),
        Op::Rename(n, name) => DirectoryCommand::RenameAccount { id: id(n), name: NAMES[name].into() },
        Op::Add(n, name) => DirectoryCommand::AddAlias { id: id(n), alias: NAMES[name].into() },
        Op::Remove(n, name) => DirectoryCommand::RemoveAlias { id: id(n), alias: NAMES[name].into() },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn an_address_has_one_owner(ops in prop::collection::vec(op(), 1..40)) {
        let (mut rig, mut model) = (Rig::new(), Model::new());
        let mut boxes = BTreeSet::new();
        for op in &ops {
            let got = rig.run(command(op));
            prop_assert_eq!(got.is_ok(), expect(&mut model, op), "{:?}: {:?}", op, got);
            if let (Op::Create(..), Ok(DirectoryReply::Account(a))) = (op, &got) {
                prop_assert!(boxes.insert(a.home.mailbox), "a mailbox number twice");
            }
        }
        for name in NAMES.map(str::to_lowercase) {
            let owner = model.iter().find(|(_, (own, aliases))| *own == name || aliases.contains(&name));
            match rig.account(&name) {
                Ok(a) => prop_assert_eq!(Some(a.id), owner.map(|(n, _)| id(*n))),
                Err(e) => prop_assert!(matches!(e, Error::NotFound(_)) && owner.is_none(), "{}: {}", name, e),
            }
        }
        for (n, (name, aliases)) in &model {
            let a = rig.ask(DirectoryQuery::Account(AccountBy::Id(id(*n)))).unwrap().into_account().unwrap();
            prop_assert_eq!(&a.name, name);
            prop_assert_eq!(a.attrs.all("zimbraMailAlias").iter().cloned().collect::<BTreeSet<_>>(), aliases.clone());
            let mail: BTreeSet<String> = aliases.iter().chain([name]).cloned().collect();
            prop_assert_eq!(a.attrs.all("mail").iter().cloned().collect::<BTreeSet<_>>(), mail);
            prop_assert_eq!(a.attrs.get("mail"), Some(name.as_str()));
        }
        prop_assert_eq!(rig.page(None, None, 100).len(), model.len());
        prop_assert_eq!(rig.counts().values().sum::<u64>(), boxes.len() as u64);
        let Ok(DirectoryReply::Homes(homes)) = rig.ask(DirectoryQuery::DeletingHomes) else { panic!() };
        prop_assert_eq!(homes.len(), boxes.len() - model.len());
        for home in homes {
            rig.run(DirectoryCommand::MailboxDeleted(home.mailbox)).unwrap();
            rig.run(DirectoryCommand::MailboxDeleted(home.mailbox)).unwrap();
        }
        prop_assert_eq!(rig.counts().values().sum::<u64>(), model.len() as u64);
    }
}

#[test]
fn a_cluster_begins_once() {
    let mut rig = Rig::empty();
    assert!(matches!(rig.run(create_domain("x.test")), Err(Error::Conflict(_))));
    assert_eq!(rig.run(init("c")), Ok(DirectoryReply::Done));
    assert_eq!(rig.run(init("c")), Ok(DirectoryReply::Done));
    assert!(matches!(rig.run(init("d")), Err(Error::Conflict(_))));
    assert_eq!(rig.run(DirectoryCommand::TakeNodeNumber), Ok(DirectoryReply::Number(2)));
    assert_eq!(rig.applied(DirectoryCommand::PutNode(node(7), None)).effects, vec![Effect::NodesChanged]);
    assert_eq!(rig.applied(DirectoryCommand::PutNode(node(7), None)).effects, vec![]);
    assert_eq!(rig.run(DirectoryCommand::TakeNodeNumber), Ok(DirectoryReply::Number(8)));
    let Ok(DirectoryReply::Nodes(nodes)) = rig.ask(DirectoryQuery::Nodes) else { panic!() };
    assert_eq!(nodes, vec![node(1), node(7)]);
    let Ok(DirectoryReply::Cos(cos)) = rig.ask(DirectoryQuery::Cos("Default".into())) else { panic!() };
    assert_eq!((cos.id, cos.attrs.get("zimbraMailQuota")), (id(200), Some("0")));
    let Ok(DirectoryReply::Cluster(c)) = rig.ask(DirectoryQuery::Cluster) else { panic!() };
    assert_eq!(c, cluster("c"));
    let set = vec![Modification::set("zimbraMtaMaxMessageSize", "20971520")];
    rig.run(DirectoryCommand::ModifyConfig(set)).unwrap();
    let Ok(DirectoryReply::Cluster(c)) = rig.ask(DirectoryQuery::Cluster) else { panic!() };
    assert_eq!(c.config.get("zimbraMtaMaxMessageSize"), Some("20971520"));
}

#[test]
fn decisions_on_nodes_are_not_undone_unseen() {
    use NodeState::{Active, Draining, Joining, Removed};
    let mut rig = Rig::new();
    let put = |state, expect| DirectoryCommand::PutNode(Node { state, ..node(7) }, expect);
    assert!(matches!(rig.run(put(Active, Some(Joining))), Err(Error::Conflict(_))));
    rig.run(put(Joining, None)).unwrap();
    // An operator lets it go while the reconciler still sees it joining, and the node itself sees it active.
    rig.run(put(Draining, Some(Joining))).unwrap();
    assert!(matches!(rig.run(put(Active, Some(Joining))), Err(Error::Conflict(_))));
    rig.run(put(Removed, Some(Draining))).unwrap();
    for late in [put(Active, Some(Draining)), put(Active, Some(Removed)), put(Joining, None)] {
        assert!(matches!(rig.run(late), Err(Error::Conflict(_))));
    }
    assert_eq!(rig.run(put(Removed, None)), Ok(DirectoryReply::Done));
    // Its next incarnation had asked to join anew before it was let go.
    let anew = Node { id: NodeId::new(7, 1), state: Draining, ..node(7) };
    assert!(matches!(rig.run(DirectoryCommand::PutNode(anew.clone(), None)), Err(Error::Conflict(_))));
    rig.run(DirectoryCommand::PutNode(Node { state: Draining, ..node(8) }, None)).unwrap();
    let anew = Node { id: NodeId::new(8, 1), ..anew };
    assert_eq!(rig.run(DirectoryCommand::PutNode(anew, None)), Ok(DirectoryReply::Done));
}

#[test]
fn tokens_work_once_and_not_for_ever() {
    let mut rig = Rig::new();
    let add = |n: u8, expires_ms| DirectoryCommand::AddToken { hash: [n; 32], expires_ms };
    let take = |n: u8| DirectoryCommand::UseToken { hash: [n; 32] };
    rig.run(add(1, START_MS + 1_000)).unwrap();
    rig.run(add(2, START_MS + 1_000)).unwrap();
    assert!(rig.run(take(1)).is_ok());
    assert!(matches!(rig.run(take(1)), Err(Error::Denied(_))));
    assert!(matches!(rig.run(take(9)), Err(Error::Denied(_))));
    rig.wall_ms += 1_000;
    assert!(matches!(rig.run(take(2)), Err(Error::Denied(_))));
    rig.run(add(3, START_MS + 9_000)).unwrap();
    assert!(matches!(rig.run(take(2)), Err(Error::Denied(_))));
    assert!(rig.run(take(3)).is_ok());
}

#[test]
fn shards_change_by_comparison() {
    let mut rig = Rig::new();
    let put = |group, version, expect| DirectoryCommand::PutShard {
        shard: Shard { group: GroupId(group), replicas: vec![NodeId::new(1, 0)], version },
        expect,
    };
    assert_eq!(rig.applied(put(1, 1, 0)).effects, vec![Effect::ShardsChanged]);
    assert!(matches!(rig.run(put(1, 1, 0)), Err(Error::Conflict(_))));
    assert!(rig.run(put(1, 2, 1)).is_ok());
    assert!(matches!(rig.run(put(1, 9, 2)), Err(Error::Invalid(_))));
    assert!(matches!(rig.run(put(3, 1, 0)), Err(Error::Invalid(_))));
    assert_eq!(rig.counts(), [(GroupId(1), 0)].into());
}

#[test]
fn an_account_from_birth_to_death() {
    let mut rig = Rig::new();
    let attrs = vec![Modification::set("userPassword", "$hash"), Modification::set("displayName", "Al")];
    let a = rig.run(create(1, "Al@X.test", attrs)).unwrap().into_account().unwrap();
    assert_eq!((a.name.as_str(), a.id, a.status(), a.quota()), ("al@x.test", id(1), "active", 0));
    let home = Home { mailbox: MailboxId(1), group: GroupId(2), epoch: Epoch(1), state: HomeState::Active };
    assert_eq!(a.home, home);
    let shown: Vec<_> = a.attrs.iter().map(|v| format!("{}={}", v.name, v.values.join(","))).collect();
    let want = [
        "displayName=Al",
        "mail=al@x.test",
        "uid=al",
        "userPassword=$hash",
        "zimbraAccountStatus=active",
        "zimbraCreateTimestamp=20250101000000Z",
        "zimbraId=01010101-0101-0101-0101-010101010101",
        "zimbraMailDeliveryAddress=al@x.test",
        "zimbraMailStatus=enabled",
    ];
    assert_eq!(shown, want);
    let inheriting = rig.account("AL@x.TEST").unwrap();
    assert_eq!(inheriting.effective("zimbraPasswordMinLength"), Some("6"));
    assert_eq!((inheriting.effective("cn"), inheriting.cos.as_ref().and_then(|c| c.get("zimbraId"))), (None, None));
    assert_eq!(Account { cos: None, domain: None, ..inheriting }, a, "a command's reply is the account alone");

    let modify = |changes| DirectoryCommand::ModifyAccount { id: id(1), changes };
    let set = |name: &str, value: &str| vec![Modification::set(name, value)];
    let closed = rig.run(modify(set("zimbraAccountStatus", "closed"))).unwrap().into_account().unwrap();
    assert_eq!((closed.status(), closed.attrs.get("zimbraMailStatus")), ("closed", Some("disabled")));
    let back = rig.run(modify(set("zimbraAccountStatus", "active"))).unwrap().into_account().unwrap();
    assert_eq!(back, a);
    for (name, value) in [("mail", "z@x.test"), ("zimbraMailAlias", "z@x.test")] {
        assert!(matches!(rig.run(modify(set(name, value))), Err(Error::Invalid(_))), "{name}");
    }
    assert!(matches!(rig.run(modify(set("zimbraCOSId", &id(9).to_string()))), Err(Error::NotFound(_))));
    assert_eq!(rig.account("al@x.test").unwrap().attrs, a.attrs);

    let home = Home { state: HomeState::Deleting, ..home };
    let deleted = rig.applied(DirectoryCommand::DeleteAccount(id(1)));
    assert_eq!(deleted.effects, vec![Effect::EmptyMailbox(home)]);
    assert!(matches!(rig.account("al@x.test"), Err(Error::NotFound(_))));
    assert_eq!(rig.ask(DirectoryQuery::DeletingHomes), Ok(DirectoryReply::Homes(vec![home])));
    let again = rig.run(create(1, "al@x.test", vec![])).unwrap().into_account().unwrap();
    assert_eq!(again.home.mailbox, MailboxId(2));
    assert!(matches!(rig.run(create(3, "no address", vec![])), Err(Error::Invalid(_))));
    let nowhere =
        DirectoryCommand::CreateAccount { id: id(5), name: "q@x.test".into(), attrs: vec![], group: GroupId(3) };
    assert!(matches!(rig.run(nowhere), Err(Error::Invalid(_))));
}

#[test]
fn classes_of_service_are_inherited() {
    let mut rig = Rig::new();
    let quota = |v: &str| vec![Modification::set("zimbraMailQuota", v)];
    let make = |n: u8, name: &str, v| DirectoryCommand::CreateCos { id: id(n), name: name.into(), attrs: quota(v) };
    rig.run(make(50, "Big", "5368709120")).unwrap();
    rig.run(make(51, "Small", "1048576")).unwrap();
    assert!(matches!(rig.run(make(52, "BIG", "1")), Err(Error::Exists(_))));
    rig.run(create(1, "a@x.test", vec![])).unwrap();
    let now = |rig: &Rig| rig.account("a@x.test").unwrap().quota();
    assert_eq!(now(&rig), 0);
    let changes = vec![Modification::set("zimbraDomainDefaultCOSId", id(51).to_string())];
    rig.run(DirectoryCommand::ModifyDomain { name: "X.test".into(), changes }).unwrap();
    assert_eq!(now(&rig), 1 << 20);
    let changes = vec![Modification::set("zimbraCOSId", id(50).to_string())];
    rig.run(DirectoryCommand::ModifyAccount { id: id(1), changes }).unwrap();
    assert_eq!(now(&rig), 5 << 30);
    rig.run(DirectoryCommand::ModifyCos { name: "big".into(), changes: quota("7") }).unwrap();
    assert_eq!(now(&rig), 7);
    rig.run(DirectoryCommand::DeleteCos("Big".into())).unwrap();
    assert_eq!(now(&rig), 0);
    assert!(matches!(rig.run(DirectoryCommand::DeleteCos("default".into())), Err(Error::Denied(_))));
    let changes = quota("3");
    rig.run(DirectoryCommand::ModifyAccount { id: id(1), changes }).unwrap();
    assert_eq!(now(&rig), 3);
    let Ok(DirectoryReply::CosList(list)) = rig.ask(DirectoryQuery::CosList) else { panic!() };
    assert_eq!(list.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["default", "Small"]);
}

#[test]
fn domains_and_pages() {
    let mut rig = Rig::new();
    assert!(matches!(rig.run(create_domain("x.TEST")), Err(Error::Exists(_))));
    for bad in ["", "a b", "a@b", "."] {
        assert!(matches!(rig.run(create_domain(bad)), Err(Error::Invalid(_))), "{bad:?}");
    }
    for (n, name) in ["b@y.test", "b@x.test", "a@y.test", "a@x.test"].iter().enumerate() {
        rig.run(create(n as u8, name, vec![])).unwrap();
    }
    rig.run(DirectoryCommand::AddAlias { id: id(0), alias: "aa@x.test".into() }).unwrap();
    assert_eq!(rig.page(None, None, 9), ["a@x.test", "b@x.test", "a@y.test", "b@y.test"]);
    assert_eq!(rig.page(None, Some("a@x.test"), 2), ["b@x.test", "a@y.test"]);
    assert_eq!(rig.page(Some("Y.test"), None, 1), ["a@y.test"]);
    assert_eq!(rig.page(Some("y.test"), Some("a@y.test"), 1), ["b@y.test"]);
    assert!(matches!(rig.run(DirectoryCommand::DeleteDomain("x.test".into())), Err(Error::Conflict(_))));
    rig.run(create_domain("z.test")).unwrap();
    rig.run(DirectoryCommand::DeleteDomain("Z.test".into())).unwrap();
    let Ok(DirectoryReply::Domains(list)) = rig.ask(DirectoryQuery::Domains) else { panic!() };
    assert_eq!(list.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["x.test", "y.test"]);
    assert!(matches!(rig.ask(DirectoryQuery::Domain("z.test".into())), Err(Error::NotFound(_))));
}

fn catches(domains: &[&str]) -> Vec<Modification> {
    let values = domains.iter().map(|d| (*d).into()).collect();
    vec![Modification { name: "zimbraMailCatchAllAddress".into(), kind: ModifyKind::Replace, values }]
}

#[test]
fn a_domains_unknown_addresses_have_one_owner() {
    let mut rig = Rig::new();
    let owner = |rig: &Rig, domain: &str| {
        rig.ask(DirectoryQuery::Account(AccountBy::CatchAll(domain.into())))?.into_account().map(|a| a.name)
    };
    rig.run(create(1, "a@x.test", catches(&["@Y.test"]))).unwrap();
    rig.run(create(2, "b@x.test", vec![])).unwrap();
    assert_eq!(owner(&rig, "y.TEST"), Ok("a@x.test".into()));
    assert!(matches!(owner(&rig, "x.test"), Err(Error::NotFound(_))));
    assert!(matches!(rig.account("@y.test"), Err(Error::NotFound(_))), "no way to sign in");
    let modify = |n: u8, changes| DirectoryCommand::ModifyAccount { id: id(n), changes };
    assert!(matches!(rig.run(modify(2, catches(&["@y.test"]))), Err(Error::Exists(_))));
    assert!(matches!(rig.run(modify(2, catches(&["@x.test", "@nowhere.test"]))), Err(Error::NotFound(_))));
    assert!(matches!(rig.run(modify(2, catches(&["x.test"]))), Err(Error::Invalid(_))));
    assert!(matches!(owner(&rig, "x.test"), Err(Error::NotFound(_))), "an error leaves no trace");
    // Other changes leave it alone; it holds its domain, but is no account of it.
    rig.run(modify(1, vec![Modification::set("displayName", "A")])).unwrap();
    assert_eq!(owner(&rig, "y.test"), Ok("a@x.test".into()));
    assert!(matches!(rig.run(DirectoryCommand::DeleteDomain("y.test".into())), Err(Error::Conflict(_))));
    assert!(rig.page(Some("y.test"), None, 9).is_empty());
    rig.run(modify(1, catches(&["@x.test"]))).unwrap();
    rig.run(modify(2, catches(&["@y.test"]))).unwrap();
    assert_eq!((owner(&rig, "x.test"), owner(&rig, "y.test")), (Ok("a@x.test".into()), Ok("b@x.test".into())));
    rig.run(DirectoryCommand::DeleteAccount(id(1))).unwrap();
    rig.run(modify(2, catches(&[]))).unwrap();
    assert!(owner(&rig, "x.test").is_err() && owner(&rig, "y.test").is_err());
    rig.run(DirectoryCommand::DeleteDomain("y.test".into())).unwrap();
}

#[test]
fn a_domains_quota_stands_above_those_of_its_accounts() {
    let mut rig = Rig::new();
    rig.run(create(1, "a@x.test", vec![Modification::set("zimbraMailQuota", "500")])).unwrap();
    rig.run(create(2, "b@x.test", vec![])).unwrap();
    let quotas = |rig: &Rig| ["a@x.test", "b@x.test"].map(|name| rig.account(name).unwrap().quota());
    assert_eq!(quotas(&rig), [500, 0]);
    for (bound, want) in [("300", [300, 300]), ("900", [500, 900]), ("0", [500, 0])] {
        let changes = vec![Modification::set("zimbraMailDomainQuota", bound)];
        rig.run(DirectoryCommand::ModifyDomain { name: "x.test".into(), changes }).unwrap();
        assert_eq!(quotas(&rig), want, "{bound}");
    }
}

#[test]
fn secrets_are_compared_set_and_never_printed() {
    let mut rig = Rig::new();
    let put = |name: &str, value: Option<&str>, expect| DirectoryCommand::PutSecret {
        name: name.into(),
        value: value.map(|v| Secret(v.as_bytes().to_vec())),
        expect,
    };
    let command = put("acme/a", Some("the key"), Some(0));
    assert!(!format!("{command:?}").contains("the key"));
    let Ok(DirectoryReply::Version(first)) = rig.run(command) else { panic!() };
    assert!(matches!(rig.run(put("acme/a", Some("x"), Some(0))), Err(Error::Conflict(_))));
    let Ok(DirectoryReply::Version(second)) = rig.run(put("acme/a", Some("y"), Some(first))) else { panic!() };
    assert!(matches!(rig.run(put("acme/a", None, Some(first))), Err(Error::Conflict(_))));
    let got = rig.ask(DirectoryQuery::Secret("acme/a".into())).unwrap();
    assert_eq!(got, DirectoryReply::Secret(Secret(b"y".to_vec()), second));
    rig.run(put("acme/b", Some("z"), None)).unwrap();
    rig.run(put("acmf", Some("z"), None)).unwrap();
    let names = |after: Option<&str>, limit| {
        let query = DirectoryQuery::Secrets { prefix: "acme/".into(), after: after.map(Into::into), limit };
        match rig.ask(query) {
            Ok(DirectoryReply::Secrets(list)) => list.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((names(None, 9), names(None, 1)), (vec!["acme/a".into(), "acme/b".into()], vec!["acme/a".to_string()]));
    assert_eq!(names(Some("acme/a"), 9), ["acme/b"]);
    rig.run(put("acme/a", None, Some(second))).unwrap();
    let Ok(DirectoryReply::Version(again)) = rig.run(put("acme/a", Some("y"), Some(0))) else { panic!() };
    assert!(again > second, "a version is never used twice");
    for bad in ["", "a b", "\u{e4}"] {
        assert!(matches!(rig.run(put(bad, Some("x"), None)), Err(Error::Invalid(_))), "{bad:?}");
    }
    let large = DirectoryCommand::PutSecret {
        name: "l".into(),
        value: Some(Secret(vec![0; SECRET_BYTES_MAX + 1])),
        expect: None,
    };
    assert!(matches!(rig.run(large), Err(Error::TooLarge(_))));
}

#[test]
fn what_is_under_legal_hold_stays() {
    let mut rig = Rig::new();
    let hold = |value: &str| match value {
        "" => Modification { name: LEGAL_HOLD.into(), kind: ModifyKind::Replace, values: vec![] },
        value => Modification::set(LEGAL_HOLD, value),
    };
    let account = |value: &str| DirectoryCommand::ModifyAccount { id: id(1), changes: vec![hold(value)] };
    let domain =
        |name: &str, value: &str| DirectoryCommand::ModifyDomain { name: name.into(), changes: vec![hold(value)] };
    let rename = |name: &str| DirectoryCommand::RenameAccount { id: id(1), name: name.into() };
    let is_denied = |got: Result<DirectoryReply>, hold: &str| match got {
        Err(Error::Denied(why)) => assert!(why.contains("under legal hold") && why.contains(hold), "{why}"),
        other => panic!("{other:?}"),
    };
    for name in ["held.org", "other.org"] {
        rig.run(create_domain(name)).unwrap();
    }
    rig.run(create(1, "a@held.org", vec![])).unwrap();

    rig.run(account("case 7")).unwrap();
    is_denied(rig.run(DirectoryCommand::DeleteAccount(id(1))), "case 7");
    let batch = DirectoryCommand::Batch(vec![DirectoryCommand::DeleteAccount(id(1))]);
    match rig.run(batch) {
        Ok(DirectoryReply::Outcomes(each)) => assert!(matches!(each[..], [Some(Error::Denied(_))]), "{each:?}"),
        other => panic!("{other:?}"),
    }
    rig.run(rename("b@other.org")).unwrap();
    rig.run(rename("a@held.org")).unwrap();

    // The domain's is not left behind with the domain.
    rig.run(account("")).unwrap();
    rig.run(domain("held.org", "inquiry")).unwrap();
    is_denied(rig.run(DirectoryCommand::DeleteAccount(id(1))), "inquiry");
    is_denied(rig.run(rename("a@other.org")), "inquiry");
    rig.run(rename("b@held.org")).unwrap();
    rig.run(domain("other.org", "inquiry")).unwrap();
    rig.run(rename("b@other.org")).unwrap();
    is_denied(rig.run(DirectoryCommand::DeleteDomain("held.org".into())), "inquiry");

    rig.run(domain("other.org", "")).unwrap();
    rig.run(domain("held.org", "")).unwrap();
    rig.run(DirectoryCommand::DeleteAccount(id(1))).unwrap();
    rig.run(DirectoryCommand::DeleteDomain("held.org".into())).unwrap();
}
