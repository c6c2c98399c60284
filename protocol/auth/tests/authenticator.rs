//! Signing in against a directory in memory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use zcluster_api::directory::Modification;
use zcluster_api::{AccountId, DirectoryCommand};
use zcluster_auth::{
    AuthConfig, AuthError, Authenticator, Bindings, Channel, HashParams, SaslError, Service, Step, hash_password_with,
};
use zcluster_state::memory::Memory;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn channel() -> Channel {
    Channel {
        service: Service::Imap,
        peer: PEER,
        tls: true,
        plaintext: true,
        success_data: false,
        bindings: Bindings::default(),
    }
}

fn hash(password: &str) -> String {
    hash_password_with(HashParams::cheap(), password)
}

fn site() -> (Memory, AccountId, Authenticator) {
    let memory = Memory::new();
    let id = memory.add_account("alice@example.com", &hash("right"));
    let authenticator = Authenticator::new(Arc::new(memory.clone()), AuthConfig::cheap());
    (memory, id, authenticator)
}

fn set(memory: &Memory, id: AccountId, name: &str, value: &str) {
    let changes = vec![Modification::set(name, value)];
    memory.command(DirectoryCommand::ModifyAccount { id, changes }).unwrap();
}

async fn try_in(a: &Authenticator, user: &str, password: &str) -> Result<AccountId, AuthError> {
    a.verify(user, password.as_bytes(), PEER, Service::Imap).await.map(|account| account.id)
}

#[tokio::test]
async fn addresses_aliases_and_bare_names() {
    let (memory, id, a) = site();
    memory.command(DirectoryCommand::AddAlias { id, alias: "ally@example.com".into() }).unwrap();
    for user in ["alice@example.com", "ALICE@Example.COM", "ally@example.com", " alice@example.com "] {
        assert_eq!(try_in(&a, user, "right").await, Ok(id), "{user}");
    }
    for user in
        ["alice", "", "@", "alice@", "bob@example.com", "alice@example.org", "a b@example.com", "alice\0@example.com"]
    {
        assert_eq!(try_in(&a, user, "right").await, Err(AuthError::Invalid), "{user}");
    }
    memory
        .command(DirectoryCommand::ModifyConfig(vec![Modification::set("zimbraDefaultDomainName", "example.com")]))
        .unwrap();
    let a = Authenticator::new(Arc::new(memory), AuthConfig::cheap());
    assert_eq!(try_in(&a, "Alice", "right").await, Ok(id));
}

#[tokio::test]
async fn a_changed_password_counts_at_once() {
    let (memory, id, a) = site();
    for _ in 0..2 {
        assert_eq!(try_in(&a, "alice@example.com", "right").await, Ok(id));
        assert_eq!(try_in(&a, "alice@example.com", "wrong").await, Err(AuthError::Invalid));
        assert_eq!(try_in(&a, "alice@example.com", "").await, Err(AuthError::Invalid));
    }
    set(&memory, id, "userPassword", &hash("new"));
    assert_eq!(try_in(&a, "alice@example.com", "right").await, Err(AuthError::Invalid));
    assert_eq!(try_in(&a, "alice@example.com", "new").await, Ok(id));
    set(&memory, id, "userPassword", "");
    assert_eq!(try_in(&a, "alice@example.com", "new").await, Err(AuthError::Invalid));
    assert_eq!(try_in(&a, "alice@example.com", "").await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn only_active_accounts_and_only_the_right_password_learns_why() {
    let (memory, id, a) = site();
    for status in ["locked", "closed", "maintenance", "lockout", "pending"] {
        set(&memory, id, "zimbraAccountStatus", status);
        assert_eq!(try_in(&a, "alice@example.com", "right").await, Err(AuthError::Disabled(status.into())));
        assert_eq!(try_in(&a, "alice@example.com", "wrong").await, Err(AuthError::Invalid));
    }
    set(&memory, id, "zimbraAccountStatus", "active");
    assert_eq!(try_in(&a, "alice@example.com", "right").await, Ok(id));
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let (_memory, id, a) = site();
    for _ in 0..10 {
        assert_eq!(try_in(&a, "alice@example.com", "wrong").await, Err(AuthError::Invalid));
    }
    assert_eq!(try_in(&a, "alice@example.com", "right").await, Err(AuthError::TryLater));
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8));
    assert_eq!(a.verify("alice@example.com", b"right", elsewhere, Service::Imap).await.map(|x| x.id), Ok(id));
}

#[tokio::test]
async fn acting_as_another_is_for_administrators() {
    let (memory, alice, a) = site();
    let admin = memory.add_account("admin@example.com", &hash("root"));
    set(&memory, admin, "zimbraIsAdminAccount", "TRUE");
    let a = Arc::new(a);
    let acting = |authzid: &str, user: &str, password: &str| {
        let message = STANDARD.encode(format!("{authzid}\0{user}\0{password}"));
        let a = &a;
        async move {
            match a.start(channel(), "PLAIN", Some(message.as_bytes())).await {
                Ok((_, Step::Done { account, .. })) => Ok(account.id),
                Ok(_) => panic!("PLAIN has one message"),
                Err(SaslError::Refused(error)) => Err(error),
                Err(error) => panic!("{error}"),
            }
        }
    };
    assert_eq!(acting("alice@example.com", "alice@example.com", "right").await, Ok(alice));
    assert_eq!(acting("", "alice@example.com", "right").await, Ok(alice));
    assert_eq!(acting("alice@example.com", "admin@example.com", "root").await, Ok(alice));
    assert_eq!(acting("admin@example.com", "alice@example.com", "right").await, Err(AuthError::Invalid));
    assert_eq!(acting("nobody@example.com", "admin@example.com", "root").await, Err(AuthError::Invalid));
    assert_eq!(acting("alice@example.com", "admin@example.com", "wrong").await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn a_full_queue_says_later() {
    let memory = Memory::new();
    let id = memory.add_account("alice@example.com", &hash("right"));
    let config = AuthConfig { concurrency: 1, queue: 1, cache_entries: 0, ..AuthConfig::cheap() };
    let a = Authenticator::new(Arc::new(memory), config);
    let tries = (0..8).map(|_| try_in(&a, "alice@example.com", "right"));
    let results = futures::future::join_all(tries).await;
    assert!(results.contains(&Ok(id)));
    assert!(results.contains(&Err(AuthError::TryLater)), "{results:?}");
    assert_eq!(try_in(&a, "alice@example.com", "right").await, Ok(id), "places are given back");
}

#[tokio::test]
async fn domains_stand_above_their_accounts() {
    let (memory, id, a) = site();
    let admin = memory.add_account("admin@example.com", &hash("root"));
    set(&memory, admin, "zimbraIsAdminAccount", "TRUE");
    let domain = |status: &str| {
        let changes = vec![Modification::set("zimbraDomainStatus", status)];
        memory.command(DirectoryCommand::ModifyDomain { name: "example.com".into(), changes }).unwrap();
    };
    for (of_domain, of_account, want) in [
        ("locked", "active", Some("locked")),
        ("locked", "lockout", Some("locked")),
        ("locked", "maintenance", Some("maintenance")),
        ("maintenance", "active", Some("maintenance")),
        ("suspended", "locked", Some("maintenance")),
        ("shutdown", "active", Some("maintenance")),
        ("shutdown", "pending", Some("pending")),
        ("maintenance", "closed", Some("closed")),
        ("closed", "active", Some("closed")),
        ("closed", "pending", Some("closed")),
        ("active", "active", None),
        ("", "locked", Some("locked")),
    ] {
        domain(of_domain);
        set(&memory, id, "zimbraAccountStatus", of_account);
        let want = want.map_or(Ok(id), |status| Err(AuthError::Disabled(status.into())));
        assert_eq!(try_in(&a, "alice@example.com", "right").await, want, "{of_domain} {of_account}");
        assert_eq!(try_in(&a, "admin@example.com", "root").await, Ok(admin), "{of_domain}");
    }
}

#[tokio::test]
async fn protocols_are_switched_by_account_and_cos() {
    let (memory, id, a) = site();
    let tries = async |service| a.verify("alice@example.com", b"right", PEER, service).await.map(|a| a.id);
    let off = Err(AuthError::SwitchedOff);
    set(&memory, id, "zimbraImapEnabled", "FALSE");
    assert_eq!(tries(Service::Imap).await, off);
    assert_eq!(tries(Service::Pop3).await, Ok(id));
    set(&memory, id, "zimbraImapEnabled", "");
    set(&memory, id, "zimbraPrefPop3Enabled", "FALSE");
    assert_eq!(tries(Service::Imap).await, Ok(id));
    assert_eq!(tries(Service::Pop3).await, off);
    assert_eq!(tries(Service::Submission).await, Ok(id));
    set(&memory, id, "zimbraPrefPop3Enabled", "TRUE");
    let changes = vec![Modification::set("zimbraPop3Enabled", "FALSE")];
    memory.command(DirectoryCommand::ModifyCos { name: "default".into(), changes }).unwrap();
    assert_eq!(tries(Service::Pop3).await, off);
    set(&memory, id, "zimbraPop3Enabled", "TRUE");
    assert_eq!(tries(Service::Pop3).await, Ok(id));
}

#[tokio::test]
async fn several_passwords_may_be_stored() {
    let (memory, id, a) = site();
    let changes =
        vec![Modification { values: vec![hash("one"), hash("two")], ..Modification::set("userPassword", "") }];
    memory.command(DirectoryCommand::ModifyAccount { id, changes }).unwrap();
    for _ in 0..2 {
        assert_eq!(try_in(&a, "alice@example.com", "one").await, Ok(id));
        assert_eq!(try_in(&a, "alice@example.com", "two").await, Ok(id));
        assert_eq!(try_in(&a, "alice@example.com", "right").await, Err(AuthError::Invalid));
    }
    let keys = zcluster_auth::password_values(HashParams::cheap(), "three").remove(1);
    set(&memory, id, "userPassword", &keys);
    assert_eq!(try_in(&a, "alice@example.com", "three").await, Ok(id), "keys alone will do");
    assert_eq!(try_in(&a, "alice@example.com", &keys).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn too_many_failures_lock_an_account_for_a_while() {
    let (memory, id, a) = site();
    set(&memory, id, "zimbraPasswordLockoutEnabled", "TRUE");
    set(&memory, id, "zimbraPasswordLockoutMaxFailures", "3");
    let guess = async |n: u8| {
        let peer = IpAddr::V4(Ipv4Addr::new(192, 0, 2, n));
        assert_eq!(a.verify("alice@example.com", b"x", peer, Service::Imap).await.err(), Some(AuthError::Invalid));
    };
    guess(1).await;
    guess(2).await;
    assert_eq!(try_in(&a, "alice@example.com", "right").await, Ok(id), "forgets what was before");
    for n in 1..=3 {
        guess(n).await;
    }
    let lockout = Err(AuthError::Disabled("lockout".into()));
    assert_eq!(try_in(&a, "alice@example.com", "right").await, lockout);
    // An hour has passed.
    set(&memory, id, "zimbraPasswordLockoutLockedTime", "20200101000000Z");
    assert_eq!(try_in(&a, "alice@example.com", "right").await, Ok(id));
    set(&memory, id, "zimbraPasswordLockoutEnabled", "FALSE");
    assert_eq!(try_in(&a, "alice@example.com", "right").await, Ok(id), "active again");
}
