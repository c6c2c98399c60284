//! `zcluster volume`: a shared folder, and a bucket of an S3 server that we did not write.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::Value;

use crate::support::cluster::{Cluster, Port, path, run, run_refused};
use crate::support::eventually;

pub const SECRET: &str = "a-secret-that-is-never-shown";

fn arguments<'a>(cluster: &'a Cluster, words: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["volume"];
    all.extend_from_slice(words);
    all.extend(["--data", path(&cluster.node(1).data)]);
    all
}

fn volume(cluster: &Cluster, words: &[&str]) -> String {
    run(&arguments(cluster, words))
}

fn refused(cluster: &Cluster, words: &[&str]) -> String {
    run_refused(&arguments(cluster, words))
}

fn list(cluster: &Cluster) -> Value {
    serde_json::from_str(&volume(cluster, &["list", "--json"])).unwrap()
}

/// Nodes on which all volumes are well.
fn well(cluster: &Cluster) -> usize {
    let volumes = list(cluster)["volumes"].as_array().unwrap().clone();
    let of = |v: &Value| v["nodes"].as_array().unwrap().iter().filter(|n| n["trouble"].is_null()).count();
    volumes.iter().map(of).min().unwrap_or(0)
}

#[test]
fn a_shared_folder_is_added_seen_measured_and_removed() {
    let mut cluster = Cluster::start(3);
    assert!(volume(&cluster, &["list"]).contains("no volumes"));
    let folder = cluster.folder.join("shared");
    let url = format!("file://{}", folder.display());
    let error = refused(&cluster, &["add", "nas", &url]);
    assert!(error.contains("No such file"), "{error}");
    assert!(!folder.exists(), "a folder that is not mounted is not made");
    fs::create_dir(&folder).unwrap();

    assert!(volume(&cluster, &["add", "nas", &url]).contains("volume nas added"));
    eventually("every node has opened it", Duration::from_secs(20), || well(&cluster) == 3);
    let error = refused(&cluster, &["add", "nas2", &url]);
    assert!(error.contains("is the volume nas already"), "{error}");
    for (words, part) in [
        (&["add", "NAS", url.as_str()][..], "small letters"),
        (&["add", "x", "ftp://x"], "unknown kind"),
        (&["add", "x", url.as_str(), "--option", "region=x"], "unknown option"),
        (&["default", "no"], "no volume no"),
        (&["remove", "no"], "no volume no"),
        (&["test", "no"], "no volume no"),
    ] {
        let error = refused(&cluster, words);
        assert!(error.contains(part), "{words:?}: {error}");
    }

    volume(&cluster, &["default", "nas"]);
    assert_eq!(list(&cluster)["volumes"][0]["default"], true);
    assert!(refused(&cluster, &["remove", "nas"]).contains("choose another"));
    volume(&cluster, &["default", "--none"]);
    fs::write(folder.join("body"), "x").unwrap();
    assert!(refused(&cluster, &["remove", "nas"]).contains("objects lie on nas"));
    fs::remove_file(folder.join("body")).unwrap();

    let measured = volume(&cluster, &["test", "nas", "--small", "5", "--large", "1", "--json"]);
    let measured: Value = serde_json::from_str(&measured).unwrap();
    let nodes = measured["nodes"].as_array().unwrap();
    assert_eq!(nodes.iter().map(|n| n["node"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    for node in nodes {
        assert_eq!(node["measured"]["rows"].as_array().unwrap().len(), 8, "{node}");
        assert!(node["measured"]["durability"].as_str().unwrap().contains("fsync"), "{node}");
        assert_eq!(node["measured"]["refuses_to_overwrite"], true, "{node}");
    }
    let metrics = crate::admin::http_get(cluster.port(2, Port::Metrics), "/metrics");
    for line in
        ["zcluster_volume_requests_total{", "zcluster_volume_bytes_total{", "zcluster_volume_up{volume=\"nas\"} 1"]
    {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }

    // The folder of one that is not mounted is away on every node, not empty.
    fs::rename(&folder, cluster.folder.join("elsewhere")).unwrap();
    fs::create_dir(&folder).unwrap();
    assert!(volume(&cluster, &["list"]).contains("is it mounted?"));
    fs::remove_dir(&folder).unwrap();
    fs::rename(cluster.folder.join("elsewhere"), &folder).unwrap();

    // A node that cannot be asked might see another folder.
    cluster.kill9(3);
    let second = cluster.folder.join("second");
    fs::create_dir(&second).unwrap();
    let url = format!("file://{}", second.display());
    let error = refused(&cluster, &["add", "second", &url]);
    assert!(error.contains("node 3") && error.contains("--force"), "{error}");
    assert_eq!(fs::read_dir(&second).unwrap().count(), 1, "only the folder of trials is left, and it is empty");
    assert!(volume(&cluster, &["add", "second", &url, "--force", "--default"]).contains("volume second added"));
    cluster.serve(3);
    eventually("a node that comes back opens what was added", Duration::from_secs(30), || well(&cluster) == 3);

    let removed = volume(&cluster, &["remove", "nas"]);
    assert!(removed.contains("volume nas removed"), "{removed}");
    assert!(!folder.join(".zcluster-volume").exists());
    assert_eq!(list(&cluster)["volumes"].as_array().unwrap().len(), 1);
}

#[test]
fn a_bucket_is_a_volume_of_one_cluster_and_its_key_is_not_shown() {
    let cluster = Cluster::start(3);
    let bucket = cluster.folder.join("s3/mail");
    fs::create_dir_all(bucket.join("used")).unwrap();
    fs::write(bucket.join("used/somebody's"), "x").unwrap();
    fs::create_dir_all(bucket.join("theirs")).unwrap();
    fs::write(bucket.join("theirs/.zcluster-volume"), "zcluster volume 1\ncluster=another\nname=cold\n").unwrap();
    let endpoint = format!("endpoint=http://127.0.0.1:{}", serve_s3(&cluster.folder.join("s3")));
    let (good, wrong) = (cluster.folder.join("good"), cluster.folder.join("wrong"));
    fs::write(&good, SECRET).unwrap();
    fs::write(&wrong, "wrong").unwrap();
    let add = |prefix: &str, secret: &Path| {
        let url = format!("s3://mail{prefix}");
        let file = format!("secret_access_key={}", secret.display());
        let mut all = vec!["add", "cold", url.as_str(), "-o", endpoint.as_str(), "-o", "region=us-east-1"];
        all.extend(["--credential", "access_key_id=key", "--credential-file", file.as_str(), "--default"]);
        let output = crate::support::cluster::command(&arguments(&cluster, &all)).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    for (prefix, secret, part) in [
        ("/zc", &wrong, "SignatureDoesNotMatch"),
        ("/used", &good, "something lies at"),
        ("/theirs", &good, "of another cluster"),
    ] {
        let (ok, text) = add(prefix, secret);
        assert!(!ok && text.contains(part), "{prefix}: {text}");
        assert!(!text.contains(SECRET));
    }
    let (ok, text) = add("/zc", &good);
    assert!(ok, "{text}");
    assert!(bucket.join("zc/.zcluster-volume").exists());
    eventually("every node has opened it", Duration::from_secs(20), || well(&cluster) == 3);

    // Another key: a wrong one is not taken, and the right one stays.
    let file = |secret: &Path| format!("secret_access_key={}", secret.display());
    let (right, other) = (file(&good), file(&wrong));
    let replace = ["credentials", "cold", "--credential", "access_key_id=key", "--credential-file"];
    let error = refused(&cluster, &[&replace[..], &[other.as_str()]].concat());
    assert!(error.contains("SignatureDoesNotMatch"), "{error}");
    let text = volume(&cluster, &[&replace[..], &[right.as_str()]].concat());
    assert!(text.contains("new credentials"), "{text}");

    let measured = volume(&cluster, &["test", "cold", "--small", "4", "--large", "1"]);
    assert!(measured.contains("If-None-Match") && measured.contains("is refused"), "{measured}");
    // What is shown of it, and where its key must not be.
    let shown = [list(&cluster).to_string(), cluster.prov(&["gacf"]), cluster.prov(&["gcf", "zclusterVolume"])];
    assert!(shown[0].contains("secret_access_key") && shown[1].contains("zclusterVolume: name=cold"), "{shown:?}");
    let logs: String = cluster.nodes.iter().map(|n| n.log()).collect();
    assert!(shown.iter().chain([&logs, &measured, &text]).all(|t| !t.contains(SECRET)));
    volume(&cluster, &["default", "--none"]);
    volume(&cluster, &["remove", "cold"]);
    assert!(!bucket.join("zc/.zcluster-volume").exists());
}

/// An S3 server over a folder, for as long as the test runs; its port.
pub fn serve_s3(folder: &Path) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
    service.set_auth(SimpleAuth::from_single("key", SECRET));
    let service = service.build();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let Ok((socket, _)) = listener.accept().await else { return };
                let service = service.clone();
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
    });
    port
}
