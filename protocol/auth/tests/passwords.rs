//! Passwords that came from elsewhere, that are too old, that another directory has; and guesses on several nodes.

use futures::FutureExt;
use futures::future::BoxFuture;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use zcluster_api::directory::{Account, AccountBy, Attributes, Domain, Modification, ModifyKind};
use zcluster_api::{AccountId, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, GroupId};
use zcluster_auth::{
    AuthConfig, AuthError, Authenticator, ChangeError, ExternalDirectory, ExternalEntry, ExternalError, ExternalQuery,
    ExternalServer, HashParams, Herald, News, Provisioner, Service, encode_news, hash_password_with, password_values,
};
use zcluster_state::memory::Memory;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const NAME: &str = "alice@example.com";
/// slappasswd -h '{SSHA}' -s Secret-9
const SSHA: &str = "{SSHA}kmOlqpxDQlmOWSUhLPWmNFoImundgbl2";

fn node(memory: &Memory) -> Authenticator {
    Authenticator::new(Arc::new(memory.clone()), AuthConfig::cheap())
}

fn account(memory: &Memory, name: &str) -> Account {
    let by = AccountBy::Address(name.into());
    memory.directory(DirectoryQuery::Account(by)).unwrap().into_account().unwrap()
}

fn set(memory: &Memory, id: AccountId, name: &str, values: &[&str]) {
    let values = values.iter().map(|v| v.to_string()).collect();
    let changes = vec![Modification { name: name.into(), kind: ModifyKind::Replace, values }];
    memory.command(DirectoryCommand::ModifyAccount { id, changes }).unwrap();
}

fn set_domain(memory: &Memory, name: &str, values: &[&str]) {
    let values = values.iter().map(|v| v.to_string()).collect();
    let changes = vec![Modification { name: name.into(), kind: ModifyKind::Replace, values }];
    memory.command(DirectoryCommand::ModifyDomain { name: "example.com".into(), changes }).unwrap();
}

async fn sign_in(node: &Authenticator, password: &str) -> Result<AccountId, AuthError> {
    node.verify(NAME, password.as_bytes(), PEER, Service::Imap).await.map(|a| a.id)
}

#[tokio::test]
async fn a_hash_from_elsewhere_is_replaced_at_the_first_sign_in() {
    let memory = Memory::new();
    let id = memory.add_account(NAME, SSHA);
    let node = node(&memory);
    assert_eq!(sign_in(&node, "wrong").await, Err(AuthError::Invalid));
    assert_eq!(account(&memory, NAME).attrs.all("userPassword"), [SSHA]);
    assert_eq!(sign_in(&node, "Secret-9").await, Ok(id));
    let stored = account(&memory, NAME).attrs.all("userPassword").to_vec();
    assert!(stored.len() == 2 && stored[0].starts_with("$argon2id$") && stored[1].starts_with("SCRAM-SHA-256$"));
    assert_eq!(sign_in(&node, "Secret-9").await, Ok(id));
    assert_eq!(account(&memory, NAME).attrs.all("userPassword"), stored, "once is enough");
    // One of two passwords is old: the other one and the keys stay.
    let other = hash_password_with(HashParams::cheap(), "other");
    set(&memory, id, "userPassword", &[SSHA, &other, &stored[1]]);
    assert_eq!(sign_in(&node, "Secret-9").await, Ok(id));
    let now = account(&memory, NAME).attrs.all("userPassword").to_vec();
    assert!(now.len() == 3 && now.contains(&other) && now.contains(&stored[1]) && !now.iter().any(|v| v == SSHA));
}

/// A directory in which the password changes between reading the account and the first write.
struct Hasty(Memory, Mutex<Option<Vec<String>>>);

impl zcluster_api::DirectoryApi for Hasty {
    fn read(
        &self,
        query: DirectoryQuery,
        freshness: zcluster_api::Freshness,
    ) -> BoxFuture<'_, zcluster_api::Result<DirectoryReply>> {
        zcluster_api::DirectoryApi::read(&self.0, query, freshness)
    }
    fn write(
        &self,
        actor: zcluster_api::Actor,
        request: zcluster_api::RequestId,
        command: DirectoryCommand,
    ) -> BoxFuture<'_, zcluster_api::Result<DirectoryReply>> {
        if let (DirectoryCommand::ModifyAccount { id, changes }, Some(new)) = (&command, &*self.1.lock().unwrap())
            && changes.iter().any(|c| c.name == "userPassword")
        {
            let values: Vec<&str> = new.iter().map(String::as_str).collect();
            set(&self.0, *id, "userPassword", &values);
        }
        zcluster_api::DirectoryApi::write(&self.0, actor, request, command)
    }
}

#[tokio::test]
async fn a_password_that_changes_meanwhile_is_not_lost() {
    let memory = Memory::new();
    let id = memory.add_account(NAME, SSHA);
    let new = password_values(HashParams::cheap(), "new");
    let directory = Arc::new(Hasty(memory.clone(), Mutex::new(Some(new.clone()))));
    let node = Authenticator::new(directory, AuthConfig::cheap());
    assert_eq!(sign_in(&node, "Secret-9").await, Ok(id), "it was right when it was looked at");
    assert_eq!(account(&memory, NAME).attrs.all("userPassword"), new);
}

#[tokio::test]
async fn passwords_that_have_to_be_changed() {
    let memory = Memory::new();
    let id = memory.add_account(NAME, &hash_password_with(HashParams::cheap(), "old"));
    let node = node(&memory);
    set(&memory, id, "zimbraPasswordMustChange", &["TRUE"]);
    assert_eq!(sign_in(&node, "wrong").await, Err(AuthError::Invalid));
    assert_eq!(sign_in(&node, "old").await, Err(AuthError::ChangePassword));
    set(&memory, id, "zimbraPasswordMinLength", &["8"]);
    let change = async |old: &str, new: &str| {
        node.change_password(NAME, old.as_bytes(), new, PEER, Service::Imap).await.map(|a| a.id)
    };
    assert_eq!(change("wrong", "Grünspecht-7").await, Err(ChangeError::Auth(AuthError::Invalid)));
    let short = change("old", "short").await.unwrap_err();
    assert_eq!(short.to_string(), "invalid password: too short (zimbraPasswordMinLength=8)");
    assert_eq!(change("old", "Grünspecht-7").await, Ok(id));
    assert_eq!(sign_in(&node, "old").await, Err(AuthError::Invalid));
    assert_eq!(sign_in(&node, "Grünspecht-7").await, Ok(id));
    set(&memory, id, "zimbraPasswordMaxAge", &["30"]);
    assert_eq!(sign_in(&node, "Grünspecht-7").await, Ok(id));
    set(&memory, id, "zimbraPasswordModifiedTime", &["20200101000000Z"]);
    assert_eq!(sign_in(&node, "Grünspecht-7").await, Err(AuthError::ChangePassword));
    set(&memory, id, "zimbraPasswordMinAge", &["30000"]);
    assert!(
        matches!(change("Grünspecht-7", "Grünspecht-8").await, Err(ChangeError::Violation(v)) if v.code() == "account.PASSWORD_CHANGE_TOO_SOON")
    );
    node.set_password(&account(&memory, NAME), "Grünspecht-9").await.unwrap();
    assert_eq!(sign_in(&node, "Grünspecht-9").await, Ok(id), "administrators need not wait");
    set(&memory, id, "zimbraAccountStatus", &["closed"]);
    set(&memory, id, "zimbraPasswordMustChange", &["TRUE"]);
    assert_eq!(sign_in(&node, "Grünspecht-9").await, Err(AuthError::Disabled("closed".into())), "the first word");
}

#[tokio::test]
async fn the_last_sign_in_is_noted_now_and_then() {
    let memory = Memory::new();
    memory.add_account(NAME, &hash_password_with(HashParams::cheap(), "right"));
    let node = node(&memory);
    assert!(sign_in(&node, "wrong").await.is_err());
    tokio::task::yield_now().await;
    assert_eq!(account(&memory, NAME).attrs.get("zimbraLastLogonTimestamp"), None);
    sign_in(&node, "right").await.unwrap();
    while account(&memory, NAME).attrs.get("zimbraLastLogonTimestamp").is_none() {
        tokio::task::yield_now().await;
    }
    let noted = account(&memory, NAME).attrs.get("zimbraLastLogonTimestamp").map(str::to_string);
    // Another node sees that it was noted lately.
    sign_in(&self::node(&memory), "right").await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(account(&memory, NAME).attrs.get("zimbraLastLogonTimestamp").map(str::to_string), noted);
}

/// Carries what one node tells to the others.
struct Wire(Vec<Arc<Authenticator>>);

impl Herald for Wire {
    fn tell(&self, news: News) {
        let message = encode_news(&[news]);
        self.0.iter().for_each(|node| node.hear(&message).unwrap());
    }
}

fn three_nodes(memory: &Memory) -> Vec<Arc<Authenticator>> {
    let nodes: Vec<_> = (0..3).map(|_| Arc::new(node(memory))).collect();
    for (n, it) in nodes.iter().enumerate() {
        let others = nodes.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, other)| other.clone()).collect();
        it.set_herald(Arc::new(Wire(others)));
    }
    nodes
}

#[tokio::test]
async fn guesses_on_several_nodes_are_counted_together() {
    let memory = Memory::new();
    let id = memory.add_account(NAME, &hash_password_with(HashParams::cheap(), "right"));
    let nodes = three_nodes(&memory);
    for n in 0..10 {
        assert_eq!(sign_in(&nodes[n % 3], "wrong").await, Err(AuthError::Invalid), "{n}");
    }
    for node in &nodes {
        assert_eq!(sign_in(node, "right").await, Err(AuthError::TryLater));
    }
    let elsewhere = IpAddr::from([198, 51, 100, 1]);
    let from_elsewhere = nodes[2].verify(NAME, b"right", elsewhere, Service::Imap).await;
    assert_eq!(from_elsewhere.map(|a| a.id), Ok(id), "another place");
    assert!(nodes[0].hear(b"nonsense").is_err());
}

#[tokio::test]
async fn lockouts_count_what_all_nodes_see_and_a_success_is_told() {
    let memory = Memory::new();
    let id = memory.add_account(NAME, &hash_password_with(HashParams::cheap(), "right"));
    set(&memory, id, "zimbraPasswordLockoutEnabled", &["TRUE"]);
    set(&memory, id, "zimbraPasswordLockoutMaxFailures", &["4"]);
    let nodes = three_nodes(&memory);
    for node in &nodes {
        assert_eq!(sign_in(node, "wrong").await, Err(AuthError::Invalid));
    }
    assert_eq!(sign_in(&nodes[0], "right").await, Ok(id), "all nodes forget");
    for node in &nodes {
        assert_eq!(sign_in(node, "wrong").await, Err(AuthError::Invalid));
    }
    assert_eq!(account(&memory, NAME).status(), "active");
    assert_eq!(sign_in(&nodes[0], "wrong").await, Err(AuthError::Invalid));
    assert_eq!(account(&memory, NAME).status(), "lockout");
    assert_eq!(sign_in(&nodes[1], "right").await, Err(AuthError::Disabled("lockout".into())));
}

#[tokio::test]
async fn an_old_password_that_a_program_repeats_locks_nobody() {
    let memory = Memory::new();
    let id = memory.add_account(NAME, &hash_password_with(HashParams::cheap(), "right"));
    set(&memory, id, "zimbraPasswordLockoutEnabled", &["TRUE"]);
    set(&memory, id, "zimbraPasswordLockoutMaxFailures", &["3"]);
    set(&memory, id, "zimbraPasswordLockoutSuppressionProtocols", &["imap"]);
    let node = node(&memory);
    for _ in 0..8 {
        assert_eq!(sign_in(&node, "last year's").await, Err(AuthError::Invalid));
    }
    assert_eq!(account(&memory, NAME).status(), "active");
    for guess in ["a", "b"] {
        assert_eq!(sign_in(&node, guess).await, Err(AuthError::Invalid));
    }
    assert_eq!(account(&memory, NAME).status(), "lockout", "guesses still count");
}

/// Another directory: names and passwords, entries, and what was asked.
#[derive(Default)]
struct Fake {
    passwords: Vec<(&'static str, &'static str)>,
    entries: Mutex<Vec<ExternalEntry>>,
    asked: Mutex<Vec<String>>,
    down: Mutex<bool>,
}

impl Fake {
    fn note(&self, text: String) -> Result<(), ExternalError> {
        self.asked.lock().unwrap().push(text);
        if *self.down.lock().unwrap() { Err(ExternalError::Unreachable("down".into())) } else { Ok(()) }
    }
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl ExternalDirectory for Fake {
    fn bind<'a>(
        &'a self,
        server: &'a ExternalServer,
        dn: &'a str,
        password: &'a str,
    ) -> BoxFuture<'a, Result<bool, ExternalError>> {
        assert!(!password.is_empty());
        async move {
            self.note(format!("bind {dn} at {}{}", server.urls.join(" "), if server.start_tls { " TLS" } else { "" }))?;
            Ok(self.passwords.contains(&(dn, password)))
        }
        .boxed()
    }
    fn search<'a>(
        &'a self,
        _: &'a ExternalServer,
        bind: Option<(&'a str, &'a str)>,
        query: &'a ExternalQuery,
    ) -> BoxFuture<'a, Result<Vec<ExternalEntry>, ExternalError>> {
        async move {
            self.note(format!("search {} {} as {bind:?}", query.base, query.filter))?;
            // As much of a filter as the tests need: the name of the one who is looked for.
            let entries = self.entries.lock().unwrap();
            let fits = |e: &&ExternalEntry| {
                query.filter.contains("(uid=*)")
                    || query.filter.contains(&format!("(uid={})", e.attrs.get("uid").unwrap()))
            };
            Ok(entries.iter().filter(fits).cloned().collect())
        }
        .boxed()
    }
}

fn entry(dn: &str, attrs: &[(&str, &str)]) -> ExternalEntry {
    let mut all = Attributes::new();
    attrs.iter().for_each(|(name, value)| all.set(name, vec![value.to_string()]));
    ExternalEntry { dn: dn.into(), attrs: all }
}

fn with_external(memory: &Memory, fake: Fake) -> (Authenticator, Arc<Fake>, Provisioner) {
    let fake = Arc::new(fake);
    let provisioner = Provisioner::new(Arc::new(memory.clone()), fake.clone(), Arc::new(|| Ok(GroupId(1))));
    (node(memory).with_external(fake.clone(), provisioner.clone()), fake, provisioner)
}

fn domain(memory: &Memory) -> Domain {
    match memory.directory(DirectoryQuery::Domain("example.com".into())).unwrap() {
        DirectoryReply::Domain(domain) => domain,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_directory_has_the_passwords() {
    let memory = Memory::new();
    let id = memory.add_account(NAME, &hash_password_with(HashParams::cheap(), "local"));
    set_domain(&memory, "zimbraAuthMech", &["ldap"]);
    let fake = Fake { passwords: vec![("uid=alice,dc=example,dc=com", "there"), ("cn=A", "there")], ..Fake::default() };
    let (node, fake, _) = with_external(&memory, fake);
    assert_eq!(sign_in(&node, "there").await, Err(AuthError::TryLater), "nothing says where it is");
    set_domain(&memory, "zimbraAuthLdapURL", &["ldap://one ldap://two", "ldap://three"]);
    set_domain(&memory, "zimbraAuthLdapStartTlsEnabled", &["TRUE"]);
    set_domain(&memory, "zimbraAuthLdapBindDn", &["uid=%u,%D"]);
    assert_eq!(sign_in(&node, "there").await, Ok(id));
    assert_eq!(fake.asked(), ["bind uid=alice,dc=example,dc=com at ldap://one ldap://two ldap://three TLS"]);
    assert_eq!(sign_in(&node, "there").await, Ok(id));
    assert_eq!(fake.asked(), [""; 0], "remembered for a moment");
    assert_eq!(sign_in(&node, "local").await, Err(AuthError::Invalid));
    assert_eq!(sign_in(&node, "").await, Err(AuthError::Invalid), "never asked for");
    assert_eq!(fake.asked().len(), 1);
    // A name of its own; a search.
    set(&memory, id, "zimbraAuthLdapExternalDn", &["cn=A"]);
    let (node, fake, _) = with_external(&memory, Fake { passwords: vec![("cn=A", "there")], ..Fake::default() });
    assert_eq!(sign_in(&node, "there").await, Ok(id));
    set(&memory, id, "zimbraAuthLdapExternalDn", &[]);
    set_domain(&memory, "zimbraAuthLdapSearchFilter", &["(uid=%u)"]);
    set_domain(&memory, "zimbraAuthLdapSearchBase", &["ou=people,%D"]);
    set_domain(&memory, "zimbraAuthLdapSearchBindDn", &["cn=reader"]);
    set_domain(&memory, "zimbraAuthLdapSearchBindPassword", &["r"]);
    fake.asked();
    assert_eq!(sign_in(&node, "x").await, Err(AuthError::Invalid), "not found");
    assert_eq!(fake.asked(), [r#"search ou=people,dc=example,dc=com (uid=alice) as Some(("cn=reader", "r"))"#]);
    fake.entries.lock().unwrap().push(entry("cn=A", &[("uid", "alice")]));
    let elsewhere = IpAddr::from([198, 51, 100, 1]);
    assert_eq!(node.verify(NAME, b"there", elsewhere, Service::Imap).await.map(|a| a.id), Ok(id));
    fake.entries.lock().unwrap().push(entry("cn=B", &[("uid", "alice")]));
    assert_eq!(sign_in(&node, "y").await, Err(AuthError::TryLater), "two of them");
}

#[tokio::test]
async fn falling_back_and_other_mechanisms() {
    let memory = Memory::new();
    let id = memory.add_account(NAME, &hash_password_with(HashParams::cheap(), "local"));
    set_domain(&memory, "zimbraAuthMech", &["ad"]);
    set_domain(&memory, "zimbraAuthLdapURL", &["ldap://one"]);
    set_domain(&memory, "zimbraAuthLdapBindDn", &["%u@%d"]);
    let (node, fake, _) = with_external(&memory, Fake { passwords: vec![(NAME, "there")], ..Fake::default() });
    assert_eq!(sign_in(&node, "there").await, Ok(id));
    *fake.down.lock().unwrap() = true;
    assert_eq!(sign_in(&node, "other").await, Err(AuthError::TryLater), "cannot be known");
    assert_eq!(sign_in(&node, "local").await, Err(AuthError::TryLater));
    set_domain(&memory, "zimbraAuthFallbackToLocal", &["TRUE"]);
    assert_eq!(sign_in(&node, "local").await, Ok(id));
    assert_eq!(sign_in(&node, "other").await, Err(AuthError::TryLater));
    *fake.down.lock().unwrap() = false;
    assert_eq!(sign_in(&node, "local").await, Ok(id));
    assert_eq!(sign_in(&node, "other").await, Err(AuthError::Invalid));
    set_domain(&memory, "zimbraAuthFallbackToLocal", &["FALSE"]);
    assert_eq!(sign_in(&node, "local").await, Err(AuthError::Invalid));
    set(&memory, id, "zimbraIsAdminAccount", &["TRUE"]);
    assert_eq!(sign_in(&node, "local").await, Ok(id), "administrators lock nobody out, not even themselves");
    set(&memory, id, "zimbraIsAdminAccount", &["FALSE"]);
    for (mech, want) in
        [("kerberos5", Err(AuthError::TryLater)), ("custom:x", Err(AuthError::TryLater)), ("zimbra", Ok(id))]
    {
        set_domain(&memory, "zimbraAuthMech", &[mech]);
        assert_eq!(sign_in(&node, "local").await, want, "{mech}");
    }
    set_domain(&memory, "zimbraAuthMechAdmin", &["ldap"]);
    let admin = async |password: &[u8]| node.verify(NAME, password, PEER, Service::Admin).await.map(|a| a.id);
    assert_eq!((admin(b"there").await, sign_in(&node, "there").await), (Ok(id), Err(AuthError::Invalid)));
}

#[tokio::test]
async fn accounts_come_at_their_first_sign_in() {
    let memory = Memory::new();
    memory.add_account(NAME, "x");
    for (name, values) in [
        ("zimbraAuthMech", &["ldap"][..]),
        ("zimbraAuthLdapURL", &["ldap://one"]),
        ("zimbraAuthLdapBindDn", &["uid=%u,dc=x"]),
        ("zimbraAutoProvLdapURL", &["ldap://one"]),
        ("zimbraAutoProvLdapSearchFilter", &["(uid=%u)"]),
        ("zimbraAutoProvAccountNameMap", &["uid"]),
        ("zimbraAutoProvAttrMap", &["cn=displayName", "sn=sn", "title=description", "none=givenName"]),
    ] {
        set_domain(&memory, name, values);
    }
    let fake = Fake { passwords: vec![("uid=bob,dc=x", "there"), ("uid=eve,dc=x", "there")], ..Fake::default() };
    fake.entries
        .lock()
        .unwrap()
        .push(entry("uid=bob,dc=x", &[("uid", "bob"), ("cn", "Bob B."), ("sn", "B."), ("title", "")]));
    let (node, _, _) = with_external(&memory, fake);
    let bob =
        async |password: &[u8]| node.verify("bob@example.com", password, PEER, Service::Imap).await.map(|a| a.name);
    assert_eq!(bob(b"there").await, Err(AuthError::Invalid), "the domain does not want that");
    set_domain(&memory, "zimbraAutoProvMode", &["LAZY"]);
    set_domain(&memory, "zimbraAutoProvAuthMech", &["LDAP"]);
    assert_eq!(bob(b"wrong").await, Err(AuthError::Invalid));
    assert!(matches!(
        memory.directory(DirectoryQuery::Account(AccountBy::Address("bob@example.com".into()))),
        Err(Error::NotFound(_))
    ));
    let both = futures::future::join(bob(b"there"), bob(b"there")).await;
    assert_eq!(both, (Ok("bob@example.com".into()), Ok("bob@example.com".into())));
    let made = account(&memory, "bob@example.com");
    assert_eq!((made.attrs.get("displayName"), made.attrs.get("sn")), (Some("Bob B."), Some("B.")));
    assert!(!made.attrs.has("description") && !made.attrs.has("givenName") && made.status() == "active");
    let eve = node.verify("eve@example.com", b"there", PEER, Service::Imap).await;
    assert_eq!(eve.err(), Some(AuthError::Invalid), "a password, but no entry");
    // What a map must not do: secrets, names that are kept, values that the schema does not allow.
    memory.command(DirectoryCommand::DeleteAccount(made.id)).unwrap();
    for line in ["cn=userPassword", "cn=mail", "cn=zimbraMailQuota", "cn=noSuchAttribute"] {
        set_domain(&memory, "zimbraAutoProvAttrMap", &[line]);
        assert_eq!(bob(b"there").await, Err(AuthError::TryLater), "{line}");
    }
    set_domain(&memory, "zimbraAutoProvAttrMap", &["cn=displayName"]);
    assert!(bob(b"there").await.is_ok());
}

#[tokio::test]
async fn accounts_come_by_themselves_in_batches() {
    let memory = Memory::new();
    memory.add_account(NAME, "x");
    for (name, values) in [
        ("zimbraAutoProvMode", &["EAGER"][..]),
        ("zimbraAutoProvLdapURL", &["ldap://one"]),
        ("zimbraAutoProvLdapSearchBase", &["%D"]),
        ("zimbraAutoProvLdapSearchFilter", &["(uid=%u)"]),
        ("zimbraAutoProvAccountNameMap", &["uid"]),
        ("zimbraAutoProvBatchSize", &["2"]),
    ] {
        set_domain(&memory, name, values);
    }
    let (_, fake, provisioner) = with_external(&memory, Fake::default());
    for uid in ["alice", "u1", "u2", "not good", "u3"] {
        fake.entries.lock().unwrap().push(entry(&format!("uid={uid}"), &[("uid", uid)]));
    }
    let now = 1_767_225_600_000;
    let poll = async || provisioner.poll(&domain(&memory), now).await.unwrap();
    let first = poll().await;
    assert_eq!((first.seen, first.made, first.failed, first.more), (5, 2, 0, true), "alice is there already");
    assert_eq!(fake.asked(), ["search dc=example,dc=com (uid=*) as None"]);
    let second = poll().await;
    assert_eq!((second.made, second.failed, second.more), (1, 1, false));
    assert_eq!(domain(&memory).attrs.get("zimbraAutoProvLastPolledTimestamp"), Some("20260101000000Z"));
    fake.asked();
    assert_eq!(poll().await.made, 0);
    assert_eq!(fake.asked(), ["search dc=example,dc=com (&(uid=*)(createTimestamp>=20251231235500Z)) as None"]);
    for name in ["u1", "u2", "u3"] {
        assert_eq!(account(&memory, &format!("{name}@example.com")).status(), "active");
    }
}
