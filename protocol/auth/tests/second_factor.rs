//! Codes, app passwords and tokens on several nodes that share one directory.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use zcluster_api::directory::{Account, AccountBy, Modification, ModifyKind};
use zcluster_api::{AccountId, DirectoryCommand, DirectoryQuery};
use zcluster_auth::{
    AuthConfig, AuthError, Authenticator, Channel, HashParams, PreAuth, SaslError, ScramClient, SecondFactorError,
    Service, Step, app_passwords, new_preauth_key, password_values,
};
use zcluster_state::memory::Memory;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const NAME: &str = "alice@example.com";

struct Site {
    memory: Memory,
    id: AccountId,
    nodes: [Arc<Authenticator>; 2],
}

fn site() -> Site {
    let memory = Memory::new();
    let id = memory.add_account(NAME, "x");
    let change = |name: &str, values| Modification { name: name.into(), kind: ModifyKind::Replace, values };
    let changes = vec![
        change("userPassword", password_values(HashParams::cheap(), "right")),
        change("zimbraIsAdminAccount", vec!["TRUE".into()]),
        change("zimbraFeatureTwoFactorAuthAvailable", vec!["TRUE".into()]),
    ];
    memory.command(DirectoryCommand::ModifyAccount { id, changes }).unwrap();
    let node = || Arc::new(Authenticator::new(Arc::new(memory.clone()), AuthConfig::cheap()));
    let nodes = [node(), node()];
    Site { memory, id, nodes }
}

impl Site {
    fn set(&self, name: &str, value: &str) {
        let changes = vec![Modification::set(name, value)];
        self.memory.command(DirectoryCommand::ModifyAccount { id: self.id, changes }).unwrap();
    }
    fn account(&self) -> Account {
        self.memory.directory(DirectoryQuery::Account(AccountBy::Id(self.id))).unwrap().into_account().unwrap()
    }
    async fn admin(&self, node: usize, password: &str, code: Option<&str>) -> Result<AccountId, AuthError> {
        let login = self.nodes[node].verify_with_code(NAME, password.as_bytes(), code, PEER, Service::Admin);
        login.await.map(|a| a.id)
    }
    async fn imap(&self, password: &str) -> Result<AccountId, AuthError> {
        self.nodes[0].verify(NAME, password.as_bytes(), PEER, Service::Imap).await.map(|a| a.id)
    }
    /// Switches the second factor on; secret and paper codes.
    async fn enable(&self) -> (Vec<u8>, Vec<String>) {
        let enrolment = self.nodes[0].begin_second_factor(&self.account()).await.unwrap();
        let secret = BASE32_NOPAD.decode(enrolment.secret.as_bytes()).unwrap();
        assert!(secret.len() >= 16 && enrolment.uri.contains(&enrolment.secret));
        let wrong = self.nodes[0].enable_second_factor(&self.account(), &enrolment.secret, "x").await;
        assert_eq!(wrong, Err(SecondFactorError::WrongCode));
        let code = code(&secret, -1);
        let codes = self.nodes[0].enable_second_factor(&self.account(), &enrolment.secret, &code).await.unwrap();
        (secret, codes)
    }
}

/// RFC 6238 once more, `windows` from now.
fn code(secret: &[u8], windows: i64) -> String {
    let window = (zcluster_runtime::wall_ms() / 30_000).cast_signed() + windows;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), &window.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let bits = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", bits % 1_000_000)
}

#[tokio::test]
async fn a_code_is_good_once_in_the_whole_cluster() {
    let site = site();
    assert_eq!(site.admin(0, "right", None).await, Ok(site.id));
    let (secret, _) = site.enable().await;
    let stored = site.account().attrs.get("zimbraTwoFactorAuthSecret").unwrap().to_string();
    assert!(!stored.contains(&BASE32_NOPAD.encode(&secret)), "sealed");
    assert_eq!(site.admin(0, "right", None).await, Err(AuthError::CodeRequired));
    assert_eq!(site.admin(0, "wrong", None).await, Err(AuthError::Invalid), "the password first");
    assert_eq!(site.admin(0, "right", Some("000")).await, Err(AuthError::Invalid));
    assert_eq!(
        site.admin(0, "right", Some(&code(&secret, -1))).await,
        Err(AuthError::Invalid),
        "switched it on already"
    );
    let now = code(&secret, 0);
    // Two nodes at once: each has read the account before the other writes.
    let both = futures::future::join(site.admin(0, "right", Some(&now)), site.admin(1, "right", Some(&now))).await;
    assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1, "{both:?}");
    assert_eq!(site.admin(1, "right", Some(&now)).await, Err(AuthError::Invalid), "replayed");
    assert_eq!(site.admin(1, "right", Some(&code(&secret, 1))).await, Ok(site.id));
    // What does not open cannot be used.
    site.set("zimbraTwoFactorAuthSecret", "from another server");
    assert_eq!(site.admin(1, "right", Some("123456")).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn paper_codes() {
    let site = site();
    let (_, codes) = site.enable().await;
    assert_eq!(codes.len(), 10);
    let [first, second] = [codes[0].as_str(), codes[1].as_str()];
    assert!(!site.account().attrs.get("zimbraTwoFactorAuthScratchCodes").unwrap().contains(first));
    let both = futures::future::join(site.admin(0, "right", Some(first)), site.admin(1, "right", Some(first))).await;
    assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1, "{both:?}");
    assert_eq!(site.admin(0, "right", Some(first)).await, Err(AuthError::Invalid));
    let spaced = format!("{} {}", &second[..4], second[4..].to_lowercase());
    assert_eq!(site.admin(0, "right", Some(&spaced)).await, Ok(site.id));
    let new = site.nodes[0].new_scratch_codes(&site.account()).await.unwrap();
    assert_eq!(site.admin(1, "right", Some(&codes[2])).await, Err(AuthError::Invalid), "void");
    for code in &new {
        assert_eq!(site.admin(1, "right", Some(code)).await, Ok(site.id));
    }
    assert!(!site.account().attrs.has("zimbraTwoFactorAuthScratchCodes"), "all used up");
}

#[tokio::test]
async fn programs_have_their_own_passwords() {
    let site = site();
    assert_eq!(site.imap("right").await, Ok(site.id));
    let refused = site.nodes[0].new_app_password(&site.account(), "phone").await;
    assert_eq!(refused, Err(SecondFactorError::NotEnabled));
    site.enable().await;
    assert_eq!(site.imap("right").await, Err(AuthError::Invalid));
    let phone = site.nodes[0].new_app_password(&site.account(), "phone").await.unwrap();
    let tablet = site.nodes[0].new_app_password(&site.account(), "tablet: Ünal's").await.unwrap();
    assert!(site.nodes[0].new_app_password(&site.account(), "phone").await.is_err(), "the name is taken");
    let names: Vec<String> = app_passwords(&site.account()).into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["phone", "tablet: Ünal's"]);
    assert_eq!(site.imap(&phone).await, Ok(site.id));
    assert_eq!(site.imap(&format!("{} {}", &tablet[..4], &tablet[4..])).await, Ok(site.id));
    assert_eq!(site.admin(0, &phone, None).await, Err(AuthError::Invalid), "where a code can be asked for");
    let change = site.nodes[0].change_password(NAME, phone.as_bytes(), "Another-1", PEER, Service::Imap).await;
    assert_eq!(change.err().map(|e| e.to_string()).as_deref(), Some("password is locked and can't be changed"));
    site.nodes[1].revoke_app_password(&site.account(), "phone").await.unwrap();
    assert_eq!(site.imap(&phone).await, Err(AuthError::Invalid));
    assert!(site.nodes[1].revoke_app_password(&site.account(), "phone").await.is_err());
    // SCRAM's keys are of the password that no longer counts.
    assert_eq!(scram(&site.nodes[0], "right").await, Err(SaslError::Refused(AuthError::Invalid)));
    site.set("zimbraFeatureAppSpecificPasswordsEnabled", "FALSE");
    assert_eq!(site.imap(&tablet).await, Err(AuthError::Invalid));
    site.set("zimbraFeatureAppSpecificPasswordsEnabled", "");
    site.nodes[0].disable_second_factor(&site.account(), true).await.unwrap();
    assert_eq!(site.imap(&tablet).await, Err(AuthError::Invalid));
    assert_eq!((site.imap("right").await, site.admin(0, "right", None).await), (Ok(site.id), Ok(site.id)));
    assert_eq!(scram(&site.nodes[0], "right").await, Ok(site.id));
    let left = site.account();
    for name in ["zimbraTwoFactorAuthSecret", "zimbraTwoFactorAuthScratchCodes", "zimbraAppSpecificPassword"] {
        assert!(!left.attrs.has(name), "{name}");
    }
}

#[tokio::test]
async fn where_it_is_required() {
    let site = site();
    site.set("zimbraFeatureTwoFactorAuthRequired", "TRUE");
    assert_eq!(site.admin(0, "right", None).await, Err(AuthError::SetupRequired));
    assert_eq!(site.imap("right").await, Err(AuthError::Invalid));
    site.enable().await;
    let refused = site.nodes[0].disable_second_factor(&site.account(), false).await;
    assert_eq!(refused.unwrap_err().code(), "account.CANNOT_DISABLE_TWO_FACTOR_AUTH");
    site.nodes[0].disable_second_factor(&site.account(), true).await.unwrap();
    site.set("zimbraFeatureTwoFactorAuthAvailable", "FALSE");
    let refused = site.nodes[0].begin_second_factor(&site.account()).await.unwrap_err();
    assert_eq!(refused.code(), "account.CANNOT_ENABLE_TWO_FACTOR_AUTH");
    assert_eq!(site.imap("right").await, Ok(site.id), "what is not available cannot be required");
}

async fn scram(node: &Arc<Authenticator>, password: &str) -> Result<AccountId, SaslError> {
    let channel = Channel {
        service: Service::Imap,
        peer: PEER,
        tls: true,
        plaintext: true,
        success_data: true,
        bindings: Default::default(),
    };
    let mut client = ScramClient::new(NAME, password, "n,,", b"");
    let (mut exchange, step) = node.start(channel, "SCRAM-SHA-256", Some(client.first().as_bytes())).await?;
    let Step::Challenge(challenge) = step else { panic!("SCRAM has a challenge") };
    match exchange.respond(client.last(&challenge).unwrap().as_bytes()).await? {
        Step::Done { account, .. } => Ok(account.id),
        Step::Challenge(_) => panic!("the success carries data"),
    }
}

#[tokio::test]
async fn tokens_count_on_all_nodes_until_they_are_revoked() {
    let site = site();
    let [a, b] = &site.nodes;
    let token = a.issue_token(&site.account(), true).await.unwrap();
    let user = b.issue_token(&site.account(), false).await.unwrap();
    assert_eq!((token.lifetime_ms, user.lifetime_ms), (43_200_000, 172_800_000), "12 hours, two days");
    let (account, what) = b.redeem_token(&token.text).await.unwrap();
    assert_eq!((account.id, what.admin), (site.id, true));
    assert!(!a.redeem_token(&user.text).await.unwrap().1.admin);
    assert_eq!(site.account().attrs.all("zimbraAuthTokens").len(), 2);
    b.revoke_token(&user.text).await.unwrap();
    assert_eq!(a.redeem_token(&user.text).await.err(), Some(AuthError::Invalid), "signed out");
    // A new key: old tokens stay good, and the other node learns of it with the first token that it sees.
    assert_eq!(a.rotate_token_key().await, Ok(1));
    let newer = a.issue_token(&site.account(), true).await.unwrap();
    assert!(newer.text.starts_with("1_") && token.text.starts_with("0_"));
    assert!(b.redeem_token(&newer.text).await.is_ok() && b.redeem_token(&token.text).await.is_ok());
    for _ in 0..2 {
        a.rotate_token_key().await.unwrap();
    }
    let fresh = zcluster_auth::Authenticator::new(Arc::new(site.memory.clone()), AuthConfig::cheap());
    assert_eq!(fresh.redeem_token(&token.text).await.err(), Some(AuthError::Invalid), "its key is gone");
    assert!(fresh.redeem_token(&newer.text).await.is_ok());
    // The account's status, rights and password have their say.
    site.set("zimbraAccountStatus", "locked");
    assert_eq!(a.redeem_token(&newer.text).await.err(), Some(AuthError::Disabled("locked".into())));
    site.set("zimbraAccountStatus", "active");
    site.set("zimbraIsAdminAccount", "FALSE");
    assert_eq!(a.redeem_token(&newer.text).await.err(), Some(AuthError::Invalid), "no administrator any more");
    assert_eq!(a.issue_token(&site.account(), true).await.err(), Some(AuthError::Invalid));
    site.set("zimbraIsAdminAccount", "TRUE");
    assert!(a.redeem_token(&newer.text).await.is_ok());
    b.change_password(NAME, b"right", "Another-1", PEER, Service::Imap).await.unwrap();
    assert_eq!(a.redeem_token(&newer.text).await.err(), Some(AuthError::Invalid), "a new password ends them");
    let last = a.issue_token(&site.account(), true).await.unwrap();
    b.revoke_all_tokens(&site.account()).await.unwrap();
    assert_eq!(a.redeem_token(&last.text).await.err(), Some(AuthError::Invalid));
    assert!(!site.account().attrs.has("zimbraAuthTokens"));
    for bad in ["", "1_2_3", "99_00_00", &last.text[1..], &format!("{}0", last.text)] {
        assert_eq!(a.redeem_token(bad).await.err(), Some(AuthError::Invalid), "{bad}");
        assert_eq!(a.revoke_token(bad).await.err(), Some(AuthError::Invalid), "{bad}");
    }
}

#[tokio::test]
async fn lifetimes_are_attributes_and_lists_are_bounded() {
    let site = site();
    site.set("zimbraAdminAuthTokenLifetime", "1s");
    let short = site.nodes[0].issue_token(&site.account(), true).await.unwrap();
    assert_eq!(short.lifetime_ms, 1_000);
    site.set("zimbraAdminAuthTokenLifetime", "1h");
    let mut texts = Vec::new();
    for _ in 0..110 {
        texts.push(site.nodes[0].issue_token(&site.account(), true).await.unwrap().text);
    }
    assert_eq!(site.account().attrs.all("zimbraAuthTokens").len(), 100);
    assert!(
        site.nodes[1].redeem_token(&texts[0]).await.is_err() && site.nodes[1].redeem_token(&texts[109]).await.is_ok()
    );
}

#[tokio::test]
async fn portals_sign() {
    let site = site();
    let key = new_preauth_key();
    let request = |by: &str, account: &str| PreAuth {
        account: account.into(),
        by: by.into(),
        timestamp_ms: zcluster_runtime::wall_ms(),
        expires_ms: 0,
        admin: false,
    };
    let verify = async |request: &PreAuth, key: &str| {
        site.nodes[0].verify_preauth(request, &request.sign(key), PEER, Service::Imap).await.map(|a| a.id)
    };
    let by_name = request("name", NAME);
    assert_eq!(verify(&by_name, &key).await, Err(AuthError::Invalid), "the domain has no key");
    let changes = vec![Modification::set("zimbraPreAuthKey", key.clone())];
    site.memory.command(DirectoryCommand::ModifyDomain { name: "example.com".into(), changes }).unwrap();
    assert_eq!(verify(&by_name, &key).await, Ok(site.id));
    assert_eq!(verify(&request("id", &site.id.to_string()), &key).await, Ok(site.id));
    assert_eq!(verify(&by_name, &new_preauth_key()).await, Err(AuthError::Invalid));
    let foreign = request("foreignPrincipal", "portal:4711");
    assert_eq!(verify(&foreign, &key).await, Err(AuthError::Invalid));
    site.set("zimbraForeignPrincipal", "portal:4711");
    assert_eq!(verify(&foreign, &key).await, Ok(site.id));
    assert_eq!(verify(&request("other", NAME), &key).await, Err(AuthError::Invalid));
    let old = PreAuth { timestamp_ms: by_name.timestamp_ms - 301_000, ..by_name.clone() };
    assert_eq!(verify(&old, &key).await, Err(AuthError::Invalid));
    let ended = PreAuth { expires_ms: 1, ..by_name };
    assert_eq!(verify(&ended, &key).await, Err(AuthError::Invalid));
}
