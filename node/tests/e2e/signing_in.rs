//! Auth tokens, two factors and app passwords on three nodes, with curl and oathtool; guesses that are counted together.

use crate::support::cluster::{ACCOUNTS, Cluster, PASSWORD, Port, path, run, run_refused};
use crate::support::imap::Imap;
use serde_json::{Value, json};
use std::process::Command;

const ADMIN: &str = ACCOUNTS[0];
const BOB: &str = ACCOUNTS[2];

/// A call of a node's admin service with curl: HTTP status and answer.
fn call(cluster: &Cluster, node: usize, what: &str, authorization: Option<&str>, body: &Value) -> (u16, Value) {
    let url = format!("https://127.0.0.1:{}/v1/{what}", cluster.node(node).base + 71);
    let mut curl = Command::new("curl");
    curl.args(["-sk", "-w", "\n%{http_code}", "-H", "Content-Type: application/json", "-d", &body.to_string(), &url]);
    if let Some(authorization) = authorization {
        curl.args(["-H", &format!("Authorization: {authorization}")]);
    }
    let output = curl.output().expect("curl");
    let text = String::from_utf8(output.stdout).unwrap();
    let (answer, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(answer).unwrap_or(Value::Null))
}

fn login(cluster: &Cluster, node: usize, password: &str, code: Option<&str>) -> Result<String, String> {
    let body = json!({ "account": ADMIN, "password": password, "code": code });
    match call(cluster, node, "auth", None, &body) {
        (200, answer) => Ok(answer["token"].as_str().unwrap().to_string()),
        (_, problem) => Err(problem["code"].as_str().unwrap_or_default().to_string()),
    }
}

/// Whether a node takes the token for a command of prov.
fn takes(cluster: &Cluster, node: usize, token: &str) -> Result<(), String> {
    let body = json!({ "args": ["getAllDomains"] });
    match call(cluster, node, "prov", Some(&format!("Bearer {token}")), &body) {
        (200, _) => Ok(()),
        (_, problem) => Err(problem["code"].as_str().unwrap_or_default().to_string()),
    }
}

fn auth(cluster: &Cluster, arguments: &[&str]) -> String {
    run(&[&["auth"], arguments, &["--data", path(&cluster.node(1).data)]].concat())
}

#[test]
fn tokens_second_factors_and_guesses_on_three_nodes() {
    let cluster = Cluster::start(3);
    tokens(&cluster);
    second_factor(&cluster);
    guesses(&cluster);
}

fn tokens(cluster: &Cluster) {
    assert_eq!(login(cluster, 2, "wrong", None), Err("account.AUTH_FAILED".into()));
    let token = login(cluster, 2, PASSWORD, None).unwrap();
    let mut parts = token.split('_');
    assert_eq!((parts.next(), parts.next().map(str::len), parts.count()), (Some("0"), Some(64), 1), "{token}");
    for node in 1..=3 {
        assert_eq!(takes(cluster, node, &token), Ok(()));
    }
    assert_eq!(auth(cluster, &["rotate-key"]).trim(), "1");
    let newer = login(cluster, 1, PASSWORD, None).unwrap();
    assert!(newer.starts_with("1_"), "{newer}");
    assert_eq!((takes(cluster, 3, &token), takes(cluster, 3, &newer)), (Ok(()), Ok(())));
    assert_eq!(call(cluster, 1, "logout", None, &json!({ "token": token })).0, 200);
    assert_eq!(takes(cluster, 3, &token), Err("service.AUTH_EXPIRED".into()));
    auth(cluster, &["sign-out", ADMIN]);
    assert_eq!(takes(cluster, 2, &newer), Err("service.AUTH_EXPIRED".into()));
    let forged = format!("{}0", &newer[..newer.len() - 1]);
    assert_eq!(takes(cluster, 2, &forged), Err("service.AUTH_EXPIRED".into()));
    let key = auth(cluster, &["preauth-key", "example.com"]);
    assert_eq!(key.trim().len(), 64);
}

fn second_factor(cluster: &Cluster) {
    let data = path(&cluster.node(1).data);
    assert!(run_refused(&["auth", "enable", ADMIN, "--data", data]).contains("zimbraFeatureTwoFactorAuthAvailable"));
    cluster.prov(&["modifyAccount", ADMIN, "zimbraFeatureTwoFactorAuthAvailable", "TRUE"]);
    // Without a terminal it shows the secret and asks for nothing.
    let begun = auth(cluster, &["enable", ADMIN]);
    let secret = begun.lines().next().unwrap();
    assert!(begun.contains("otpauth://totp/example.com:admin@example.com?secret="), "{begun}");
    let code = Command::new("oathtool").args(["--totp", "-b", secret]).output().expect("oathtool").stdout;
    let code = String::from_utf8(code).unwrap().trim().to_string();
    let codes = auth(cluster, &["enable", ADMIN, "--secret", secret, "--code", &code]);
    let codes: Vec<&str> = codes.lines().collect();
    assert_eq!(codes.len(), 10);
    assert_eq!(login(cluster, 1, PASSWORD, None), Err("account.TWO_FACTOR_AUTH_REQUIRED".into()));
    assert_eq!(login(cluster, 1, PASSWORD, Some(&code)), Err("account.AUTH_FAILED".into()), "used already");
    let token = login(cluster, 2, PASSWORD, Some(codes[0])).unwrap();
    assert_eq!(takes(cluster, 3, &token), Ok(()));
    assert_eq!(login(cluster, 3, PASSWORD, Some(codes[0])), Err("account.AUTH_FAILED".into()), "once in the cluster");

    let imap = |node, password: &str| Imap::try_login(cluster.port(node, Port::Imap), ADMIN, password).map(drop);
    assert!(imap(1, PASSWORD).is_err());
    let app = auth(cluster, &["add-app-password", ADMIN, "my phone"]);
    for node in 1..=3 {
        imap(node, app.trim()).unwrap();
    }
    assert!(auth(cluster, &["list-app-passwords", ADMIN]).starts_with("my phone since 20"));
    let shown = cluster.prov(&["getAccount", ADMIN]);
    assert!(!shown.contains(secret) && !shown.contains(codes[1]) && !shown.contains(app.trim()), "{shown}");
    auth(cluster, &["remove-app-password", ADMIN, "my phone"]);
    assert!(imap(2, app.trim()).is_err());
    auth(cluster, &["disable", ADMIN]);
    assert!(imap(2, PASSWORD).is_ok() && login(cluster, 1, PASSWORD, None).is_ok());
}

fn guesses(cluster: &Cluster) {
    cluster.prov(&[
        "modifyCos",
        "default",
        "zimbraPasswordLockoutEnabled",
        "TRUE",
        "zimbraPasswordLockoutMaxFailures",
        "6",
    ]);
    let status = || cluster.prov(&["getAccount", BOB, "zimbraAccountStatus"]);
    let mut tried = 0;
    while !status().contains("lockout") {
        let refused = Imap::try_login(cluster.port(tried % 3 + 1, Port::Imap), BOB, &format!("guess {tried}"));
        assert!(refused.is_err());
        tried += 1;
        // Each node by itself would take 16 in turn.
        assert!(tried < 16, "nodes do not tell each other");
    }
    for node in 1..=3 {
        assert!(Imap::try_login(cluster.port(node, Port::Imap), BOB, PASSWORD).is_err(), "locked on node {node}");
        let log = cluster.node(node).log();
        assert!(log.lines().any(|l| l.contains("audit") && l.contains(BOB) && l.contains("wrong password")), "{log}");
    }
}
