//! Signing in against a directory in memory.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use zcluster_api::directory::Modification;
use zcluster_api::{AccountId, DirectoryCommand};
use zcluster_auth::{AuthConfig, AuthError, Authenticator, Credentials, HashParams, hash_password_with};
use zcluster_state::memory::Memory;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

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
    a.verify(user, password.as_bytes(), PEER, "test").await.map(|account| account.id)
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
    assert_eq!(a.verify("alice@example.com", b"right", elsewhere, "test").await.map(|x| x.id), Ok(id));
}

#[tokio::test]
async fn acting_as_another_is_for_administrators() {
    let (memory, alice, a) = site();
    let admin = memory.add_account("admin@example.com", &hash("root"));
    set(&memory, admin, "zimbraIsAdminAccount", "TRUE");
    let acting = |authzid: &str, user: &str, password: &str| {
        let credentials = Credentials {
            authzid: Some(authzid.into()),
            user: user.into(),
            password: password.as_bytes().to_vec().into(),
        };
        let a = &a;
        async move { a.verify_credentials(&credentials, PEER, "test").await.map(|account| account.id) }
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
