//! Who may import whom: the map in ARCHITECTURE.md, enforced.
#![allow(missing_docs)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const PROTOCOLS: [&str; 6] =
    ["zcluster-imap", "zcluster-ldap", "zcluster-managesieve", "zcluster-pop3", "zcluster-prov", "zcluster-smtp"];
/// What a protocol may import of ours.
const BELOW_PROTOCOLS: &[&str] = &[
    "zcluster-schema",
    "zcluster-api",
    "zcluster-directory",
    "zcluster-mail",
    "zcluster-sieve",
    "zcluster-query",
    "zcluster-runtime",
    "zcluster-listener",
    "zcluster-auth",
    "zcluster-delivery",
    "zcluster-screen",
];

/// Crate -> the crates of ours that it may import.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut map = BTreeMap::from([
        ("zcluster-schema", &[][..]),
        ("zcluster-api", &["zcluster-schema"]),
        ("zcluster-runtime", &[]),
        ("zcluster-mail", &["zcluster-api"]),
        ("zcluster-sieve", &["zcluster-api", "zcluster-mail"]),
        ("zcluster-query", &["zcluster-api"]),
        ("zcluster-rpc", &["zcluster-runtime"]),
        ("zcluster-raft", &["zcluster-runtime", "zcluster-rpc"]),
        ("zcluster-state", &["zcluster-api"]),
        ("zcluster-replica", &["zcluster-api", "zcluster-mail", "zcluster-raft", "zcluster-state", "zcluster-runtime"]),
        (
            "zcluster-router",
            &[
                "zcluster-api",
                "zcluster-mail",
                "zcluster-replica",
                "zcluster-state",
                "zcluster-raft",
                "zcluster-rpc",
                "zcluster-runtime",
                // Packs only: without the feature `stores`.
                "zcluster-volume",
            ],
        ),
        ("zcluster-volume", &["zcluster-api", "zcluster-runtime"]),
        ("zcluster-search", &["zcluster-api"]),
        ("zcluster-extract", &["zcluster-runtime"]),
        ("zcluster-directory", &["zcluster-schema", "zcluster-api", "zcluster-runtime"]),
        (
            "zcluster-delivery",
            &["zcluster-api", "zcluster-directory", "zcluster-mail", "zcluster-sieve", "zcluster-runtime"],
        ),
        ("zcluster-relay", &["zcluster-api", "zcluster-mail", "zcluster-delivery", "zcluster-runtime"]),
        ("zcluster-screen", &["zcluster-api", "zcluster-mail", "zcluster-runtime"]),
        ("zcluster-listener", &["zcluster-api", "zcluster-runtime"]),
        ("zcluster-auth", &["zcluster-api", "zcluster-runtime", "zcluster-schema"]),
        ("zcluster-external", &["zcluster-api", "zcluster-auth", "zcluster-directory", "zcluster-runtime"]),
        ("zcluster-bench", &[]),
        (
            "zcluster-simulation",
            &[
                "zcluster-api",
                "zcluster-mail",
                "zcluster-runtime",
                "zcluster-rpc",
                "zcluster-raft",
                "zcluster-state",
                "zcluster-replica",
                "zcluster-router",
                "zcluster-listener",
                "zcluster-auth",
                "zcluster-delivery",
                "zcluster-screen",
                "zcluster-smtp",
                "zcluster-imap",
                "zcluster-pop3",
            ],
        ),
    ]);
    map.extend(PROTOCOLS.map(|p| (p, BELOW_PROTOCOLS)));
    map.into_iter().map(|(name, list)| (name, list.iter().copied().collect())).collect()
}

/// Crates of others that only these of ours may name.
const KEPT: [(&str, &[&str]); 10] = [
    ("openraft", &["zcluster-raft"]),
    ("openraft-rt", &["zcluster-raft"]),
    ("openraft-rt-tokio", &["zcluster-raft"]),
    ("rocksdb", &["zcluster-raft", "zcluster-replica"]),
    ("tonic", &["zcluster-rpc"]),
    ("object_store", &["zcluster-volume"]),
    ("tantivy", &["zcluster-search"]),
    // Readers of hostile files belong in the cage (docs/decisions/0028).
    ("calamine", &["zcluster-extract"]),
    ("cfb", &["zcluster-extract"]),
    ("pdf-extract", &["zcluster-extract"]),
];

/// What the pure crates must do without, outside their tests.
const PURE: [(&str, &[&str]); 5] = [
    ("zcluster-api", &["tokio", "rocksdb", "rand"]),
    ("zcluster-mail", &["tokio", "rocksdb", "rand", "reqwest"]),
    ("zcluster-sieve", &["tokio", "rocksdb", "rand", "reqwest", "zcluster-runtime", "parking_lot"]),
    ("zcluster-query", &["tokio", "rocksdb", "rand", "zcluster-runtime", "zcluster-mail", "parking_lot"]),
    ("zcluster-state", &["tokio", "rocksdb", "rand", "zcluster-runtime", "parking_lot"]),
];

struct Package {
    name: String,
    normal: BTreeSet<String>,
    dev: BTreeSet<String>,
}

fn cargo(args: &[&str]) -> String {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output =
        Command::new(env!("CARGO")).args(args).args(["--offline", "--manifest-path", manifest]).output().unwrap();
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn manifests() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn packages() -> Vec<Package> {
    manifests().iter().map(package).collect()
}

fn package(value: &Value) -> Package {
    let names = |dev: bool| {
        let all = value["dependencies"].as_array().unwrap().iter();
        let kind = |d: &Value| d["kind"].as_str() == Some("dev");
        all.filter(|d| kind(d) == dev).map(|d| d["name"].as_str().unwrap().to_string()).collect()
    };
    Package { name: value["name"].as_str().unwrap().to_string(), normal: names(false), dev: names(true) }
}

fn is_ours(name: &str) -> bool {
    name == "zcluster" || name.starts_with("zcluster-")
}

#[test]
fn every_crate_imports_only_from_floors_below() {
    let allowed = allowed();
    for package in packages().iter().filter(|p| p.name != "zcluster") {
        let Some(may) = allowed.get(package.name.as_str()) else {
            panic!("{} has no place on the map: give it one here and in ARCHITECTURE.md", package.name);
        };
        for import in package.normal.iter().filter(|n| is_ours(n)) {
            assert!(may.contains(import.as_str()), "{} must not import {import}", package.name);
        }
    }
}

#[test]
fn protocols_never_import_each_other_even_in_tests() {
    for package in packages().iter().filter(|p| PROTOCOLS.contains(&p.name.as_str())) {
        let sibling = package.normal.union(&package.dev).find(|n| PROTOCOLS.contains(&n.as_str()));
        assert_eq!(sibling, None, "{} must not import it", package.name);
    }
}

#[test]
fn consensus_storage_and_transport_are_named_in_one_place() {
    for package in packages() {
        for (kept, by) in KEPT {
            let names = package.normal.contains(kept) || package.dev.contains(kept);
            assert!(!names || by.contains(&package.name.as_str()), "{} must not name {kept}", package.name);
        }
    }
}

#[test]
fn pure_crates_have_no_time_chance_or_io() {
    for package in packages() {
        let without = PURE.iter().find(|(name, _)| *name == package.name).map_or(&[][..], |(_, list)| list);
        for absent in without {
            assert!(!package.normal.contains(*absent), "{} must do without {absent}", package.name);
        }
    }
}

#[test]
fn nobody_imports_the_top_floor() {
    for package in packages() {
        for top in ["zcluster", "zcluster-bench", "zcluster-simulation"] {
            assert!(!package.normal.contains(top) && !package.dev.contains(top), "{} imports {top}", package.name);
        }
    }
}

#[test]
fn planted_bugs_grow_in_the_simulator_only() {
    const FEATURE: &str = "planted-bugs";
    for manifest in manifests() {
        let name = manifest["name"].as_str().unwrap();
        for dependency in manifest["dependencies"].as_array().unwrap() {
            let asks = dependency["features"].as_array().unwrap().iter().any(|f| f == FEATURE);
            assert!(!asks || name == "zcluster-simulation", "{name} asks for {FEATURE}");
        }
        let passes_on = manifest["features"].to_string().contains(FEATURE);
        assert!(!passes_on || name == "zcluster-runtime", "{name} has a feature that leads to {FEATURE}");
    }
    // What a build of the one binary switches on, seen from the crate that would be concerned.
    let tree = cargo(&["tree", "--package", "zcluster", "--edges", "normal,features", "--invert", "zcluster-runtime"]);
    assert!(tree.contains("zcluster-runtime") && !tree.contains(FEATURE), "{tree}");
}
