//! sieve-connect, as it is, over TCP and TLS (`deploy/prerequisites test` installs it).

use crate::client::{Cluster, PASSWORD, USER};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;
use zcluster_auth::{AuthConfig, Authenticator};
use zcluster_listener::{Listener, ListenerConfig, Shutdown, TlsMode, TlsSettings};
use zcluster_managesieve::{Config, ManageSieve};

async fn sieve_connect(port: u16, folder: &Path, action: &str) -> (bool, String) {
    let command = format!(
        "cd '{}' && exec sieve-connect --server 127.0.0.1 --port {port} --notlsverify --user {USER} --passwordfd 5 {action} 5<password",
        folder.display()
    );
    let run = Command::new("sh").args(["-c", &command]).env("HOME", folder).kill_on_drop(true).output();
    let output = zcluster_runtime::timeout(Duration::from_secs(30), run).await.expect("in time").expect("a shell");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn sieve_connect_manages_scripts() {
    let cluster = Cluster::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("certificate");
    let tls = TlsSettings::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes());
    let authenticator = Authenticator::new(Arc::new(cluster.memory.clone()), AuthConfig::cheap());
    let service = ManageSieve::new(Arc::new(cluster.memory.clone()), Arc::new(authenticator), Config::default());
    let config = ListenerConfig {
        tls: TlsMode::StartTls(tls.expect("settings")),
        ..ListenerConfig::new("127.0.0.1:0".parse().expect("address"))
    };
    let listener = Listener::bind(config, Arc::new(service), Shutdown::new()).expect("a port");
    let port = listener.local_addr().expect("address").port();
    zcluster_runtime::spawn(listener.run());
    let scratch = tempfile::tempdir().expect("folder");
    let folder = scratch.path();
    let good =
        "require [\"fileinto\"];\r\nif header :contains \"subject\" \"[list]\" {\r\n    fileinto \"Lists\";\r\n}\r\n";
    let large = format!("{}keep;\r\n", "# nothing to see here\r\n".repeat(10_000));
    for (name, text) in [
        ("password", PASSWORD),
        ("good", good),
        ("large", &large),
        ("bad", "require \"fileinto\";\r\nif true {\r\n    fileintoo \"x\";\r\n}\r\n"),
        ("worse", "frob;\r\nfrobnicate;\r\n"),
        ("odd", "if address :is \"subject\" \"x\" { discard; }\r\n"),
    ] {
        std::fs::write(folder.join(name), text).expect("file");
    }
    for (action, success, want) in [
        ("--localsieve good --remotesieve lists --upload", true, ""),
        ("--localsieve large --remotesieve large --upload", true, ""),
        ("--localsieve odd --remotesieve 'with \"quotes\"' --upload", true, ""),
        ("--remotesieve lists --activate", true, ""),
        ("--list", true, "\"lists\" ACTIVE"),
        ("--list", true, "\"large\""),
        ("--localsieve back --remotesieve lists --download", true, ""),
        ("--localsieve good --checkscript", true, ""),
        ("--localsieve bad --checkscript", false, "line 3, column 5: error: "),
        ("--localsieve worse --checkscript", false, "line 2, column 1: error: "),
        ("--localsieve bad --remotesieve lists --upload", false, "line 3, column 5: error: "),
        ("--remotesieve lists --delete", false, "active"),
        ("--deactivate", true, ""),
        ("--remotesieve lists --delete", true, ""),
        ("--authmech LOGIN --list", true, "\"large\""),
    ] {
        let (ok, text) = sieve_connect(port, folder, action).await;
        println!("{action}: {ok}\n{text}");
        assert!(ok == success && text.contains(want), "{action}: {text}");
    }
    let back = std::fs::read_to_string(folder.join("back")).expect("downloaded");
    assert_eq!(back.replace("\r\n", "\n"), good.replace("\r\n", "\n"));
    assert_eq!(cluster.scripts().await.len(), 2);
}
