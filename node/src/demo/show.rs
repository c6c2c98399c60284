//! What the demo says of itself.

use super::cluster::{Cluster, Member};
use super::{ACCOUNTS, DOMAIN, PASSWORD};
use crate::admin::status::StatusReply;
use comfy_table::Table;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The JSON object: other programs rely on it.
#[derive(Serialize)]
pub struct Description {
    cluster: String,
    nodes: Vec<NodeDescription>,
    accounts: Vec<AccountDescription>,
    data: PathBuf,
}

#[derive(Serialize)]
struct NodeDescription {
    id: u16,
    address: &'static str,
    ports: BTreeMap<String, u16>,
    pid: u32,
    data: PathBuf,
    leads: usize,
}

#[derive(Serialize)]
struct AccountDescription {
    name: String,
    password: &'static str,
}

fn leads(status: &StatusReply, member: &Member) -> usize {
    status.shards.iter().filter(|s| s.leader == Some(u32::from(member.number))).count()
}

/// As JSON.
pub fn describe(cluster: &Cluster, status: &StatusReply) -> Description {
    let node = |m: &Member| NodeDescription {
        id: m.number,
        address: "127.0.0.1",
        ports: m.ports.to_map(),
        pid: m.pid(),
        data: m.data.clone(),
        leads: leads(status, m),
    };
    let account = |name: &&str| AccountDescription { name: format!("{name}@{DOMAIN}"), password: PASSWORD };
    Description {
        cluster: status.cluster.clone(),
        nodes: cluster.members.iter().map(node).collect(),
        accounts: ACCOUNTS.iter().map(account).collect(),
        data: cluster.home().to_path_buf(),
    }
}

/// For people: a table, and commands to copy.
pub fn table(cluster: &Cluster, status: &StatusReply) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header([
        "node",
        "pid",
        "smtp",
        "lmtp",
        "submission",
        "submissions",
        "imap",
        "imaps",
        "pop3",
        "pop3s",
        "managesieve",
        "ldap",
        "ldaps",
        "admin",
        "metrics",
        "shards led",
    ]);
    for m in &cluster.members {
        let p = &m.ports;
        let numbers = [
            u32::from(m.number),
            m.pid(),
            p.smtp.into(),
            p.lmtp.into(),
            p.submission.into(),
            p.submissions.into(),
            p.imap.into(),
            p.imaps.into(),
            p.pop3.into(),
            p.pop3s.into(),
            p.managesieve.into(),
            p.ldap.into(),
            p.ldaps.into(),
            p.admin.into(),
            p.metrics.into(),
        ];
        let led = leads(status, m).to_string();
        table.add_row(numbers.iter().map(u32::to_string).chain([led]));
    }
    let accounts: Vec<String> = ACCOUNTS.iter().map(|a| format!("{a}@{DOMAIN}")).collect();
    format!("{table}\n\naccounts: {} (password: {PASSWORD})\n\n{}", accounts.join(", "), commands(cluster))
}

fn commands(cluster: &Cluster) -> String {
    let member = |index: usize| &cluster.members[index.min(cluster.members.len() - 1)];
    let (first, second, third) = (member(0), member(1), member(2));
    let exe = std::env::current_exe().map_or("zcluster".into(), |p| p.display().to_string());
    let data = first.data.display();
    let mut out = String::new();
    let mut add = |what: &str, command: String| out += &format!("# {what}\n{command}\n\n");
    add(
        "send to Bob through node 1",
        format!(
            "swaks --server 127.0.0.1:{} --from alice@{DOMAIN} --to bob@{DOMAIN} --header 'Subject: hello'",
            first.ports.smtp
        ),
    );
    add(
        "list and read Bob's mail on node 2",
        format!(
            "curl -s --user bob@{DOMAIN}:{PASSWORD} 'imap://127.0.0.1:{port}/INBOX' --request 'FETCH 1:* (FLAGS ENVELOPE)'\n\
             curl -sk --user bob@{DOMAIN}:{PASSWORD} 'imaps://127.0.0.1:{tls}/INBOX;MAILINDEX=1'",
            port = second.ports.imap,
            tls = second.ports.imaps
        ),
    );
    add(
        "submit with sign-in through node 3",
        format!(
            "swaks --server 127.0.0.1:{} --tls --auth PLAIN --auth-user bob@{DOMAIN} --auth-password {PASSWORD} \
             --from bob@{DOMAIN} --to alice@{DOMAIN}",
            third.ports.submission
        ),
    );
    add("who leads what, and what a stop would cost", format!("{exe} status --data {data}"));
    add("one more account", format!("{exe} prov --data {data} createAccount carol@{DOMAIN} {PASSWORD}"));
    if cluster.members.len() > 2 {
        add("a power cut on node 3: the others go on", format!("kill -9 {}", third.pid()));
    }
    out + "Ctrl-C stops everything."
}
