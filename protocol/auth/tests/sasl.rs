//! Whole SASL exchanges against a directory in memory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::{BoxFuture, FutureExt};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use zcluster_api::directory::Modification;
use zcluster_api::{AccountId, DirectoryCommand};
use zcluster_auth::*;
use zcluster_state::memory::Memory;

const ALICE: &str = "alice@example.com";

struct Site {
    memory: Memory,
    alice: AccountId,
    auth: Arc<Authenticator>,
}

/// Whom each of these tokens belongs to.
struct Tokens(TokenHints);

impl TokenVerifier for Tokens {
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<TokenUser, TokenError>> {
        let result = match token {
            "alices" => Ok(TokenUser { user: ALICE.into() }),
            "nobodys" => Ok(TokenUser { user: "nobody@example.com".into() }),
            "roots" => Ok(TokenUser { user: "root@example.com".into() }),
            "narrow" => Err(TokenError::Scope),
            "offline" => Err(TokenError::Unavailable),
            _ => Err(TokenError::Invalid),
        };
        futures::future::ready(result).boxed()
    }
    fn hints(&self) -> &TokenHints {
        &self.0
    }
}

fn site() -> Site {
    let memory = Memory::new();
    let alice = memory.add_account(ALICE, "");
    let values = password_values(HashParams::cheap(), "s\u{e9}cret");
    let changes = vec![Modification { values, ..Modification::set("userPassword", "") }];
    memory.command(DirectoryCommand::ModifyAccount { id: alice, changes }).unwrap();
    // Hashes from elsewhere: no keys for SCRAM.
    memory.add_account("old@example.com", &hash_password_with(HashParams::cheap(), "old"));
    let tokens = Tokens(TokenHints { scope: Some("mail".into()), discovery: Some("https://id.example/c".into()) });
    let auth = Authenticator::new(Arc::new(memory.clone()), AuthConfig::cheap()).with_tokens(Arc::new(tokens));
    Site { memory, alice, auth: Arc::new(auth) }
}

fn set(site: &Site, name: &str, value: &str) {
    let changes = vec![Modification::set(name, value)];
    site.memory.command(DirectoryCommand::ModifyAccount { id: site.alice, changes }).unwrap();
}

fn plain_text() -> Channel {
    Channel {
        service: Service::Imap,
        peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        tls: false,
        plaintext: false,
        success_data: false,
        bindings: Bindings::default(),
    }
}

fn tls() -> Channel {
    let bindings = Bindings { exporter: Some([7; 32]), end_point: Some(vec![9; 32]) };
    Channel { tls: true, plaintext: true, bindings, ..plain_text() }
}

/// The account that a SCRAM exchange ends in.
async fn scram(site: &Site, channel: Channel, client: &mut ScramClient, plus: bool) -> Result<AccountId, SaslError> {
    let mechanism = if plus { "SCRAM-SHA-256-PLUS" } else { "scram-sha-256" };
    let success_data = channel.success_data;
    let (mut exchange, step) = site.auth.start(channel, mechanism, Some(client.first().as_bytes())).await?;
    let Step::Challenge(challenge) = step else { panic!("too early") };
    let last = client.last(&challenge).expect("a challenge that makes sense");
    match exchange.respond(last.as_bytes()).await? {
        Step::Challenge(signature) => {
            assert!(!success_data && client.accepts(&signature));
            match exchange.respond(b"").await? {
                Step::Done { account, data: None } => Ok(account.id),
                _ => panic!("one step too many"),
            }
        }
        Step::Done { account, data } => {
            assert!(success_data && client.accepts(&data.expect("the signature")));
            Ok(account.id)
        }
    }
}

fn client(user: &str, password: &str) -> ScramClient {
    ScramClient::new(user, password, "n,,", b"")
}

#[tokio::test]
async fn what_is_offered_where() {
    let site = site();
    assert_eq!(site.auth.mechanisms(&plain_text()), ["SCRAM-SHA-256"]);
    let local = Channel { plaintext: true, ..plain_text() };
    assert_eq!(site.auth.mechanisms(&local), ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
    let all = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"];
    assert_eq!(site.auth.mechanisms(&tls()), all);
    let unbound = Channel { bindings: Bindings::default(), ..tls() };
    assert_eq!(site.auth.mechanisms(&unbound), all[1..]);
    let start = |channel, name: &'static str| {
        let auth = site.auth.clone();
        async move { auth.start(channel, name, None).await.err() }
    };
    assert_eq!(start(plain_text(), "PLAIN").await, Some(SaslError::PrivacyRequired));
    assert_eq!(start(plain_text(), "xoauth2").await, Some(SaslError::PrivacyRequired));
    assert_eq!(start(plain_text(), "CRAM-MD5").await, Some(SaslError::Unsupported));
    assert_eq!(start(unbound, "SCRAM-SHA-256-PLUS").await, Some(SaslError::Unsupported));
    let bare = AuthConfig { scram: false, ..AuthConfig::cheap() };
    let bare = Arc::new(Authenticator::new(Arc::new(site.memory.clone()), bare));
    assert_eq!(bare.mechanisms(&tls()), ["PLAIN", "LOGIN"]);
    assert_eq!(bare.start(plain_text(), "XOAUTH2", None).await.err(), Some(SaslError::Unsupported));
}

#[tokio::test]
async fn scram_signs_in() {
    let site = site();
    assert_eq!(scram(&site, plain_text(), &mut client(ALICE, "s\u{e9}cret"), false).await, Ok(site.alice));
    let decomposed = &mut client("ALICE@example.com", "se\u{301}cret");
    assert_eq!(scram(&site, plain_text(), decomposed, false).await, Ok(site.alice), "SASLprep");
    let sieve = Channel { success_data: true, ..tls() };
    assert_eq!(scram(&site, sieve, &mut client(ALICE, "s\u{e9}cret"), false).await, Ok(site.alice));
    for (header, data) in [("p=tls-exporter,,", vec![7; 32]), ("p=tls-server-end-point,,", vec![9; 32])] {
        let bound = &mut ScramClient::new(ALICE, "s\u{e9}cret", header, &data);
        assert_eq!(scram(&site, tls(), bound, true).await, Ok(site.alice), "{header}");
    }
    // The client speaks first, here after an empty challenge.
    let (mut exchange, step) = site.auth.start(tls(), "SCRAM-SHA-256", None).await.unwrap();
    assert!(matches!(step, Step::Challenge(c) if c.is_empty()));
    let step = exchange.respond(client(ALICE, "x").first().as_bytes()).await.unwrap();
    assert!(matches!(step, Step::Challenge(_)));
    assert_eq!(exchange.respond(b"*").await.err(), Some(SaslError::Cancelled));
    assert_eq!(exchange.respond(b"").await.err(), Some(SaslError::Malformed), "over");
}

#[tokio::test]
async fn scram_refuses() {
    let site = site();
    let invalid = Err(SaslError::Refused(AuthError::Invalid));
    for (user, password) in [(ALICE, "secret"), ("nobody@example.com", "x"), ("old@example.com", "old"), ("a b", "x")] {
        assert_eq!(scram(&site, tls(), &mut client(user, password), false).await, invalid, "{user}");
    }
    // Another connection's binding: somebody sits in between.
    let between = &mut ScramClient::new(ALICE, "s\u{e9}cret", "p=tls-exporter,,", &[8; 32]);
    assert_eq!(scram(&site, tls(), between, true).await, invalid);
    let unknown = &mut ScramClient::new(ALICE, "s\u{e9}cret", "p=tls-unique,,", &[7; 32]);
    assert_eq!(scram(&site, tls(), unknown, true).await, invalid);
    // "You do not offer -PLUS": we do, so somebody took it out of the list.
    let downgraded = |channel| {
        let site = &site;
        async move { scram(site, channel, &mut ScramClient::new(ALICE, "s\u{e9}cret", "y,,", b""), false).await }
    };
    assert_eq!(downgraded(tls()).await, invalid);
    assert_eq!(downgraded(plain_text()).await, Ok(site.alice));
    // Flag and mechanism must agree.
    let unbound = &mut client(ALICE, "s\u{e9}cret");
    assert_eq!(scram(&site, tls(), unbound, true).await, Err(SaslError::Malformed));
    set(&site, "zimbraAccountStatus", "locked");
    let disabled = Err(SaslError::Refused(AuthError::Disabled("locked".into())));
    assert_eq!(scram(&site, tls(), &mut client(ALICE, "s\u{e9}cret"), false).await, disabled);
    assert_eq!(scram(&site, tls(), &mut client(ALICE, "wrong"), false).await, invalid, "learns nothing");
}

#[tokio::test]
async fn scram_does_not_tell_who_exists() {
    let site = site();
    let salt = |user: &'static str, auth: Arc<Authenticator>| async move {
        let first = client(user, "").first();
        match auth.start(tls(), "SCRAM-SHA-256", Some(first.as_bytes())).await {
            Ok((_, Step::Challenge(challenge))) => {
                let text = String::from_utf8(STANDARD.decode(challenge).unwrap()).unwrap();
                text[text.find(",s=").unwrap()..].to_string()
            }
            _ => panic!("no challenge"),
        }
    };
    let mut seen = Vec::new();
    for user in [ALICE, "old@example.com", "nobody@example.com", "no address at all"] {
        let first = salt(user, site.auth.clone()).await;
        assert_eq!(first, salt(user, site.auth.clone()).await, "{user}");
        assert!(first.ends_with(",i=4096") && first.len() == ",s=".len() + 24 + ",i=4096".len(), "{first}");
        assert!(!seen.contains(&first));
        seen.push(first);
    }
    assert_eq!(salt("NOBODY@example.com", site.auth.clone()).await, seen[2], "however it is written");
}

#[tokio::test]
async fn scram_is_throttled_like_passwords() {
    let site = site();
    let begun = site.auth.start(tls(), "SCRAM-SHA-256", Some(client(ALICE, "x").first().as_bytes())).await;
    for _ in 0..10 {
        let refused = scram(&site, tls(), &mut client(ALICE, "guess"), false).await;
        assert_eq!(refused, Err(SaslError::Refused(AuthError::Invalid)));
    }
    let later = SaslError::Refused(AuthError::TryLater);
    assert_eq!(scram(&site, tls(), &mut client(ALICE, "s\u{e9}cret"), false).await, Err(later.clone()));
    let peer = tls().peer;
    assert_eq!(site.auth.verify(ALICE, b"x", peer, Service::Pop3).await.err(), Some(AuthError::TryLater));
    // One that was begun before does not slip through.
    let Ok((mut exchange, Step::Challenge(challenge))) = begun else { panic!("begun") };
    let nonce = String::from_utf8(STANDARD.decode(challenge).unwrap()).unwrap();
    let nonce = nonce.split(',').next().unwrap();
    let last = STANDARD.encode(format!("c=biws,{nonce},p={}", STANDARD.encode([0; 32])));
    assert_eq!(exchange.respond(last.as_bytes()).await.err(), Some(later));
}

async fn bearer(site: &Site, mechanism: &str, message: &str) -> Result<AccountId, (Option<String>, SaslError)> {
    let bare = |e| (None, e);
    let initial = STANDARD.encode(message);
    let (mut exchange, step) = site.auth.start(tls(), mechanism, Some(initial.as_bytes())).await.map_err(bare)?;
    match step {
        Step::Done { account, .. } => Ok(account.id),
        Step::Challenge(json) => {
            let json = String::from_utf8(STANDARD.decode(json).unwrap()).unwrap();
            // What RFC 7628 §3.2.3 has a client say.
            Err((Some(json), exchange.respond(b"AQ==").await.err().expect("refused")))
        }
    }
}

#[tokio::test]
async fn tokens() {
    let site = site();
    let root = site.memory.add_account("root@example.com", "");
    let changes = vec![Modification::set("zimbraIsAdminAccount", "TRUE")];
    site.memory.command(DirectoryCommand::ModifyAccount { id: root, changes }).unwrap();
    let rfc = |authzid: &str, token: &str| format!("n,{authzid},\u{1}host=x\u{1}port=143\u{1}auth={token}\u{1}\u{1}");
    let google = |user: &str, token: &str| format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}");
    let invalid = |json: &str| Err((Some(json.to_string()), SaslError::Refused(AuthError::Invalid)));
    let bad = "{\"openid-configuration\":\"https://id.example/c\",\"scope\":\"mail\",\"status\":\"invalid_token\"}";
    for (message, want) in [
        (rfc("a=alice@example.com", "Bearer alices"), Ok(site.alice)),
        (rfc("", "bearer alices"), Ok(site.alice)),
        (rfc("a=alice@example.com", "Bearer roots"), Ok(site.alice)),
        (rfc("a=root@example.com", "Bearer alices"), Err((None, SaslError::Refused(AuthError::Invalid)))),
        (rfc("", "Bearer forged"), invalid(bad)),
        (rfc("", "Bearer nobodys"), invalid(bad)),
        (rfc("", ""), invalid(bad)),
        (rfc("", "Bearer narrow"), invalid(&bad.replace("invalid_token", "insufficient_scope"))),
        (rfc("", "Bearer offline"), Err((None, SaslError::Refused(AuthError::TryLater)))),
        (rfc("", "Basic alices"), Err((None, SaslError::Malformed))),
    ] {
        assert_eq!(bearer(&site, "OAUTHBEARER", &message).await, want, "{message}");
    }
    assert_eq!(bearer(&site, "XOAUTH2", &google(ALICE, "alices")).await, Ok(site.alice));
    let bad = "{\"schemes\":\"bearer\",\"scope\":\"mail\",\"status\":\"401\"}";
    assert_eq!(bearer(&site, "XOAUTH2", &google(ALICE, "forged")).await, invalid(bad));
    set(&site, "zimbraAccountStatus", "maintenance");
    let disabled = SaslError::Refused(AuthError::Disabled("maintenance".into()));
    assert_eq!(bearer(&site, "XOAUTH2", &google(ALICE, "alices")).await, Err((None, disabled)));
}

#[tokio::test]
async fn passwords() {
    let site = site();
    let b64 = |text: &str| STANDARD.encode(text);
    let message = b64("\0alice@example.com\0s\u{e9}cret");
    let (_, step) = site.auth.start(tls(), "plain", Some(message.as_bytes())).await.unwrap();
    assert!(matches!(step, Step::Done { account, data: None } if account.id == site.alice));
    let (mut exchange, step) = site.auth.start(tls(), "LOGIN", None).await.unwrap();
    assert!(matches!(step, Step::Challenge(c) if c == b64("Username:")));
    assert!(matches!(exchange.respond(b64(ALICE).as_bytes()).await, Ok(Step::Challenge(c)) if c == b64("Password:")));
    let step = exchange.respond(b64("s\u{e9}cret").as_bytes()).await;
    assert!(matches!(step, Ok(Step::Done { account, .. }) if account.id == site.alice));
    for bad in ["!", "AA", "=", "AAA=", "dGlt", "AGEAYgBj*"] {
        let got = site.auth.start(tls(), "PLAIN", Some(bad.as_bytes())).await.err();
        assert_eq!(got, Some(SaslError::Malformed), "{bad}");
    }
    let long = vec![b'A'; RESPONSE_BYTES_MAX + 4];
    assert_eq!(site.auth.start(tls(), "PLAIN", Some(&long)).await.err(), Some(SaslError::Malformed));
    assert_eq!(site.auth.start(tls(), "PLAIN", Some(b"*")).await.err(), Some(SaslError::Cancelled));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever a client sends, in whatever order: an answer or an error, and nobody gets in.
    #[test]
    fn arbitrary_messages_never_panic(
        which in 0_usize..6,
        lines in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..60),
                "[npyacr=,*\u{1}\u{0} a-z]{0,40}".prop_map(String::into_bytes),
                "(n|y|p=tls-exporter),(a=x)?,n=alice@example.com,r=[a-z]{1,9}(,z=1)?".prop_map(String::into_bytes),
                "c=(biws)?,r=[a-z]{0,9},p=[A-Za-z0-9+/]{0,44}".prop_map(String::into_bytes),
                "(n,,|user=)\u{1}auth=Bearer [a-z]{0,9}\u{1}\u{1}".prop_map(String::into_bytes),
            ],
            0..4,
        ),
        raw in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let site = site();
            let name = site.auth.mechanisms(&tls())[which];
            let line = |bytes: &[u8]| if raw { bytes.to_vec() } else { STANDARD.encode(bytes).into_bytes() };
            let mut lines = lines.iter().map(|l| line(l));
            let begun = site.auth.start(tls(), name, lines.next().as_deref()).await;
            let Ok((mut exchange, mut step)) = begun else { return };
            loop {
                assert!(!matches!(&step, Step::Done { account, .. } if account.id == site.alice), "{name}");
                let Some(next) = lines.next() else { return };
                match exchange.respond(&next).await {
                    Ok(next) => step = next,
                    Err(_) => return,
                }
            }
        });
    }
}
