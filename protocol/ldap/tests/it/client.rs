//! A service over a directory in memory, and a client whose codec is another's.

use crate::direct::served;
use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::codec::{Decoder, Encoder};
use zcluster_api::directory::{Modification, ModifyKind};
use zcluster_api::{AccountId, DirectoryCommand};
use zcluster_auth::{AuthConfig, Authenticator, HashParams, password_values};
use zcluster_ldap::{Config, Ldap};
use zcluster_listener::{Connection, Protocol, Shutdown, TlsSettings};
use zcluster_runtime::{JoinHandle, spawn, timeout};
use zcluster_state::memory::Memory;

pub const ADMIN: &str = "uid=admin,ou=people,dc=example,dc=com";
pub const BOB: &str = "uid=bob,ou=people,dc=example,dc=com";
pub const PASSWORD: &str = "two  words";
pub const NEAR: &str = "127.0.0.1:50000";
pub const FAR: &str = "192.0.2.1:4000";

pub struct Cluster {
    pub memory: Memory,
    pub ids: Vec<AccountId>,
}

pub fn set(name: &str, values: &[&str]) -> Modification {
    let values = values.iter().map(|v| (*v).to_string()).collect();
    Modification { name: name.into(), kind: ModifyKind::Replace, values }
}

impl Cluster {
    /// admin, bob and carol in example.com; dave in sub.example.com; zoe in other.org.
    pub fn new() -> Self {
        let memory = Memory::new();
        let hashes = password_values(HashParams::cheap(), PASSWORD);
        let mut ids = Vec::new();
        for name in
            ["admin@example.com", "bob@example.com", "carol@example.com", "dave@sub.example.com", "zoe@other.org"]
        {
            let id = memory.add_account(name, "");
            let password =
                Modification { name: "userPassword".into(), kind: ModifyKind::Replace, values: hashes.clone() };
            let local = name.split('@').next().unwrap();
            let changes = vec![password, set("cn", &[&format!("{local} Example")]), set("sn", &["Example"])];
            memory.command(DirectoryCommand::ModifyAccount { id, changes }).expect("modify");
            ids.push(id);
        }
        let cluster = Cluster { memory, ids };
        cluster.modify(0, vec![set("zimbraIsAdminAccount", &["TRUE"])]);
        cluster
    }

    pub fn modify(&self, who: usize, changes: Vec<Modification>) {
        self.memory.command(DirectoryCommand::ModifyAccount { id: self.ids[who], changes }).expect("modify");
    }

    pub fn connect(&self) -> Client {
        self.connect_as(NEAR, None)
    }

    pub fn connect_as(&self, peer: &str, tls: Option<TlsSettings>) -> Client {
        self.connect_to(served(&self.memory), peer, tls)
    }

    pub fn connect_to(&self, served: zcluster_ldap::Served, peer: &str, tls: Option<TlsSettings>) -> Client {
        let authenticator = Authenticator::new(Arc::new(self.memory.clone()), AuthConfig::cheap());
        let ldap = Ldap::new(Arc::new(served), Arc::new(authenticator), Config::default());
        // Small, so that the service must wait for a slow client.
        let (client, server) = tokio::io::duplex(4 * 1024);
        let peer: SocketAddr = peer.parse().expect("address");
        let conn = Connection::new(server, peer, peer, tls, &Shutdown::new());
        let served = spawn(Arc::new(ldap).serve(conn));
        Client { stream: client, buffer: BytesMut::new(), codec: codec(), next: 1, _served: served }
    }

    pub async fn as_admin(&self) -> Client {
        let mut client = self.connect();
        client.bind(ADMIN, PASSWORD).await;
        client
    }

    pub async fn as_bob(&self) -> Client {
        let mut client = self.connect();
        client.bind(BOB, PASSWORD).await;
        client
    }
}

pub fn codec() -> LdapCodec {
    LdapCodec::new(Some(4 * 1024 * 1024), None)
}

pub struct Client {
    pub stream: DuplexStream,
    pub buffer: BytesMut,
    pub codec: LdapCodec,
    pub next: i32,
    /// Ends with the client.
    _served: JoinHandle<()>,
}

/// What a search brought.
#[derive(Debug)]
pub struct Found {
    pub entries: Vec<LdapSearchResultEntry>,
    pub result: LdapResult,
    pub controls: Vec<LdapControl>,
}

impl Found {
    pub fn dns(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.entries.iter().map(|e| e.dn.as_str()).collect();
        all.sort_unstable();
        all
    }
    /// Values of the only entry's attribute.
    pub fn values(&self, name: &str) -> Vec<String> {
        assert_eq!(self.entries.len(), 1, "{self:?}");
        values(&self.entries[0], name)
    }
}

pub fn values(entry: &LdapSearchResultEntry, name: &str) -> Vec<String> {
    let found = entry.attributes.iter().find(|a| a.atype.eq_ignore_ascii_case(name));
    found.map_or_else(Vec::new, |a| a.vals.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect())
}

/// A search of a whole tree.
pub fn sub(base: &str, filter: &str, attrs: &[&str]) -> LdapSearchRequest {
    LdapSearchRequest {
        base: base.into(),
        scope: LdapSearchScope::Subtree,
        aliases: LdapDerefAliases::Never,
        sizelimit: 0,
        timelimit: 0,
        typesonly: false,
        filter: ldap3_proto::parse_ldap_filter_str(filter).unwrap_or_else(|e| panic!("{filter}: {e:?}")),
        attrs: attrs.iter().map(|a| (*a).to_string()).collect(),
    }
}

pub fn scoped(scope: LdapSearchScope, base: &str, filter: &str, attrs: &[&str]) -> LdapSearchRequest {
    LdapSearchRequest { scope, ..sub(base, filter, attrs) }
}

pub fn attr(name: &str, values: &[&str]) -> LdapPartialAttribute {
    LdapPartialAttribute { atype: name.into(), vals: values.iter().map(|v| v.as_bytes().to_vec()).collect() }
}

impl Client {
    pub async fn send(&mut self, op: LdapOp, ctrl: Vec<LdapControl>) -> i32 {
        let msgid = self.next;
        self.next += 1;
        let mut out = BytesMut::new();
        self.codec.encode(LdapMsg { msgid, op, ctrl }, &mut out).expect("encode");
        self.raw(&out).await;
        msgid
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the service reads");
    }

    /// The next message; nothing at the end.
    pub async fn try_message(&mut self) -> Option<LdapMsg> {
        loop {
            if let Some(message) = self.codec.decode(&mut self.buffer).expect("a message that another's codec reads") {
                return Some(message);
            }
            let read = timeout(Duration::from_secs(20), self.stream.read_buf(&mut self.buffer));
            if matches!(read.await.expect("an answer in time"), Ok(0) | Err(_)) {
                return None;
            }
        }
    }

    /// The next message; nothing for a new cookie of a synchronisation, which that codec takes for explicitly tagged
    /// (RFC 4533 §2.5 has implicit tags, and so has OpenLDAP).
    pub async fn message_or_cookie(&mut self) -> Option<LdapMsg> {
        loop {
            match self.codec.decode(&mut self.buffer) {
                Ok(Some(message)) => return Some(message),
                Err(_) => return None,
                Ok(None) => {}
            }
            let read = timeout(Duration::from_secs(20), self.stream.read_buf(&mut self.buffer));
            assert!(matches!(read.await.expect("in time"), Ok(1..)));
        }
    }

    pub async fn message(&mut self) -> LdapMsg {
        self.try_message().await.expect("a message")
    }

    /// Sends a request and takes its only reply.
    pub async fn ask(&mut self, op: LdapOp) -> LdapResult {
        self.ask_with(op, Vec::new()).await.0
    }

    pub async fn ask_with(&mut self, op: LdapOp, ctrl: Vec<LdapControl>) -> (LdapResult, LdapMsg) {
        let id = self.send(op, ctrl).await;
        let message = self.message().await;
        assert_eq!(message.msgid, id);
        (result(&message), message)
    }

    pub async fn try_bind(&mut self, dn: &str, password: &str) -> LdapResult {
        let cred = LdapBindCred::Simple(password.into());
        self.ask(LdapOp::BindRequest(LdapBindRequest { version: 3, dn: dn.into(), cred })).await
    }

    pub async fn bind(&mut self, dn: &str, password: &str) {
        let result = self.try_bind(dn, password).await;
        assert_eq!(result.code, LdapResultCode::Success, "{result:?}");
    }

    pub async fn search(&mut self, request: LdapSearchRequest) -> Found {
        self.search_with(request, Vec::new()).await
    }

    pub async fn search_with(&mut self, request: LdapSearchRequest, ctrl: Vec<LdapControl>) -> Found {
        let id = self.send(LdapOp::SearchRequest(request), ctrl).await;
        let mut entries = Vec::new();
        loop {
            let message = self.message().await;
            assert_eq!(message.msgid, id);
            match message.op {
                LdapOp::SearchResultEntry(entry) => entries.push(entry),
                LdapOp::SearchResultDone(result) => return Found { entries, result, controls: message.ctrl },
                other => panic!("{other:?}"),
            }
        }
    }

    /// Names of what a search finds.
    pub async fn find(&mut self, base: &str, filter: &str) -> Vec<String> {
        let found = self.search(sub(base, filter, &["1.1"])).await;
        assert_eq!(found.result.code, LdapResultCode::Success, "{filter}: {:?}", found.result);
        found.dns().into_iter().map(str::to_string).collect()
    }

    /// Nothing is left over from before.
    pub async fn in_step(&mut self) {
        let found = self.search(scoped(LdapSearchScope::Base, "", "(objectClass=*)", &["supportedLDAPVersion"])).await;
        assert_eq!(found.values("supportedLDAPVersion"), ["3"]);
    }
}

pub fn result(message: &LdapMsg) -> LdapResult {
    match &message.op {
        LdapOp::BindResponse(r) => r.res.clone(),
        LdapOp::ExtendedResponse(r) => r.res.clone(),
        LdapOp::SearchResultDone(r)
        | LdapOp::ModifyResponse(r)
        | LdapOp::AddResponse(r)
        | LdapOp::DelResponse(r)
        | LdapOp::ModifyDNResponse(r)
        | LdapOp::CompareResult(r) => r.clone(),
        other => panic!("{other:?}"),
    }
}
