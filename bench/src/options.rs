//! What a load is pointed at: shared by all loads.

use std::net::SocketAddr;

use clap::Args;

/// The server and its accounts.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// Where the server listens; given several times, connections are spread over them.
    #[arg(long, required = true, num_args = 1..)]
    pub address: Vec<SocketAddr>,
    /// Mail addresses of the accounts, spread over the connections.
    #[arg(long, required = true, num_args = 1.., value_delimiter = ',')]
    pub accounts: Vec<String>,
    /// Process ids of the server; their children count too. Without one, no CPU figure is printed.
    #[arg(long = "pid", num_args = 1..)]
    pub pids: Vec<u32>,
    /// Connections that work at the same time.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
}

impl Target {
    /// The server that connection number `index` talks to.
    pub fn address_of(&self, index: usize) -> SocketAddr {
        self.address[index % self.address.len()]
    }

    /// The account that connection number `index` works for.
    pub fn account_of(&self, index: usize) -> &str {
        &self.accounts[index % self.accounts.len()]
    }
}

/// Options of the IMAP loads.
#[derive(Args, Clone, Debug)]
pub struct ImapOptions {
    /// The server and its accounts.
    #[command(flatten)]
    pub target: Target,
    /// The password of every account.
    #[arg(long, default_value = "demo")]
    pub password: String,
    /// The folder to work in.
    #[arg(long, default_value = "INBOX")]
    pub folder: String,
    /// Operations in all (for `fetch`: listings of the whole folder).
    #[arg(long, default_value_t = 2_000)]
    pub count: usize,
    /// Bytes of one message (`append`).
    #[arg(long, default_value_t = 6 * 1024)]
    pub size: usize,
}

/// Options of the IDLE latency load.
#[derive(Args, Clone, Debug)]
pub struct IdleLatency {
    /// The IMAP side: the first account is used, on the first address.
    #[command(flatten)]
    pub imap: ImapOptions,
    /// Where messages are delivered over LMTP.
    #[arg(long)]
    pub lmtp: SocketAddr,
    /// Pause between two deliveries, in milliseconds.
    #[arg(long, default_value_t = 20)]
    pub pause_ms: u64,
}

/// Options of the idle memory load.
#[derive(Args, Clone, Debug)]
pub struct IdleMemory {
    /// The IMAP side; `--count` is the number of idle connections.
    #[command(flatten)]
    pub imap: ImapOptions,
}
