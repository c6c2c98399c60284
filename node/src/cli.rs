//! The command line. Other programs rely on it: flags are added, never changed.

use crate::admin::dkim::DkimKind;
use crate::config::Overrides;
use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;

/// A clustered mail server.
#[derive(Debug, Parser)]
#[command(name = "zcluster", version, about, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a real cluster on this machine's loopback address, as child processes
    Demo(Demo),
    /// Make a new cluster whose first node is this one
    Init(Init),
    /// Print a token that lets one node join, once
    Token(Token),
    /// Make this machine a member of an existing cluster
    Join(Join),
    /// Run this node
    Serve(Serve),
    /// Show nodes, shards, leaders and what a stop of each node would cost
    Status(Status),
    /// Move everything off a node, and keep it as a member
    Drain(Drain),
    /// Move everything off a node, and take it out of the cluster for good
    Leave(Leave),
    /// Show where mailboxes are
    Mailbox(Mailbox),
    /// Search the mailboxes of a domain, or of all, and export what is found
    Discover(crate::commands::discover::Discover),
    /// Show and manage the messages that wait to leave
    Queue(Queue),
    /// Manage the keys that domains sign with
    Dkim(Dkim),
    /// Manage the buckets and shared folders where bodies lie outside of the shards
    Volume(crate::commands::volume::Volume),
    /// Prove that message bodies are where they should be (Zimbra's zmblobchk), and tell what they cost
    Blob(crate::commands::blob::Blob),
    /// Apply the volumes' policies: bodies go to a volume by age, size and folder (Zimbra's zmhsm)
    Hsm(crate::commands::hsm::Hsm),
    /// Show and send what this node will tell domains about their mail (TLS and DMARC reports)
    Report(Report),
    /// Auth tokens, two-factor authentication, app passwords, and their keys
    Auth(Auth),
    /// Manage domains, accounts and settings with zmprov's commands
    Prov(Prov),
    /// Read and write directory entries as LDIF (RFC 2849)
    Ldif(crate::commands::ldif::Ldif),
    /// Bring the directory of a Zimbra site in from the dump of its LDAP (slapcat)
    ImportZimbra(crate::commands::import_zimbra::ImportZimbra),
    /// Cut this node off from others (tests only)
    #[command(hide = true)]
    Fault(Fault),
}

impl Command {
    /// Whether it prints something and ends, rather than running nodes.
    pub fn is_short(&self) -> bool {
        !matches!(self, Command::Demo(_) | Command::Serve(_) | Command::Join(_))
    }
}

/// Where the node is; `init`, `join` and `serve` take these.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", conflicts_with = "base_port")]
    pub config: Option<PathBuf>,
    /// Move all ports to P and above (P + 43 is IMAP, and so on)
    #[arg(long, value_name = "P")]
    pub base_port: Option<u16>,
    /// Address to bind (with --base-port: 127.0.0.1)
    #[arg(long, value_name = "IP")]
    pub listen: Option<IpAddr>,
    /// Host name or address that peers and clients use
    #[arg(long, value_name = "ADDR")]
    pub advertise: Option<String>,
}

impl Place {
    /// As the node remembers it.
    pub fn overrides(&self) -> Overrides {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Overrides {
            config: self.config.as_ref().map(absolute),
            base_port: self.base_port,
            listen: self.listen,
            advertise: self.advertise.clone(),
        }
    }
}

/// How a command reaches the cluster.
#[derive(Clone, Debug, Default, Args)]
pub struct Reach {
    /// Data directory of a node on this machine
    #[arg(long, value_name = "DIR", env = "ZCLUSTER_DATA")]
    pub data: Option<PathBuf>,
    /// A node's admin service, host or host:port (7071)
    #[arg(long, value_name = "ADDR", conflicts_with = "data")]
    pub server: Option<String>,
    /// Administrator account to sign in with
    #[arg(long, value_name = "ADDRESS", requires = "server")]
    pub admin: Option<String>,
    /// File with the administrator's password
    #[arg(long, value_name = "FILE", requires = "server")]
    pub password_file: Option<PathBuf>,
    /// File with an auth token (`zcluster auth login`) instead of a password
    #[arg(long, value_name = "FILE", requires = "server", conflicts_with = "password_file")]
    pub token_file: Option<PathBuf>,
    /// Certificate (PEM) to trust besides the system's; for self-signed ones
    #[arg(long, value_name = "FILE", requires = "server")]
    pub ca: Option<PathBuf>,
}

/// `zcluster demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Number of nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: u16,
    /// Ports of the first node begin here; node n uses 100 * (n - 1) more
    #[arg(long, default_value_t = 10_000, value_name = "P")]
    pub base_port: u16,
    /// Keep the nodes' data here; default: a temporary directory, removed at the end
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Number of mailbox shards
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub shards: u32,
    /// Write one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// Kill the primary of a mailbox under load, and prove that nothing is lost
    #[arg(long)]
    pub failover: bool,
    /// How long the failover run sends mail, seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(8..=3600))]
    pub seconds: u64,
}

/// `zcluster init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Directory for the node's data
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where the node is.
    #[command(flatten)]
    pub place: Place,
    /// Number of mailbox shards; cannot be changed later
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub shards: u32,
    /// First domain
    #[arg(long, requires = "admin")]
    pub domain: Option<String>,
    /// First administrator: a local part in the domain, or an address
    #[arg(long, requires = "domain", requires = "password_file")]
    pub admin: Option<String>,
    /// File with the administrator's password
    #[arg(long, value_name = "FILE", requires = "admin")]
    pub password_file: Option<PathBuf>,
}

/// `zcluster token`.
#[derive(Debug, Args)]
pub struct Token {
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Hours the token is good for
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8760))]
    pub hours: u64,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
}

/// `zcluster join`.
#[derive(Debug, Args)]
pub struct Join {
    /// Any member's node-to-node address, host or host:port (7007)
    pub address: String,
    /// What `zcluster token` printed
    #[arg(long, env = "ZCLUSTER_TOKEN", hide_env_values = true)]
    pub token: String,
    /// Directory for the node's data
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where the node is.
    #[command(flatten)]
    pub place: Place,
    /// Go on with `zcluster serve`
    #[arg(long)]
    pub serve: bool,
}

/// `zcluster serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The node's data directory
    #[arg(long, value_name = "DIR", env = "ZCLUSTER_DATA")]
    pub data: PathBuf,
    /// Where the node is, if it has changed.
    #[command(flatten)]
    pub place: Place,
    /// Offer the admin call that cuts this node off from others (tests only)
    #[arg(long, hide = true)]
    pub enable_fault_injection: bool,
    /// Stop when the parent process ends
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// `zcluster status`.
#[derive(Debug, Args)]
pub struct Status {
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
    /// Again every second
    #[arg(long)]
    pub watch: bool,
}

/// `zcluster drain`.
#[derive(Debug, Args)]
pub struct Drain {
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Number of the node; default: the one that --data belongs to
    #[arg(long, value_name = "N")]
    pub node: Option<u32>,
    /// Let the node take its share again
    #[arg(long)]
    pub undo: bool,
}

/// `zcluster leave`.
#[derive(Debug, Args)]
pub struct Leave {
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Number of the node; default: the one that --data belongs to
    #[arg(long, value_name = "N")]
    pub node: Option<u32>,
}

/// `zcluster mailbox`.
#[derive(Debug, Args)]
pub struct Mailbox {
    /// What to do.
    #[command(subcommand)]
    pub command: MailboxCommand,
}

/// What to do with mailboxes.
#[derive(Debug, Subcommand)]
pub enum MailboxCommand {
    /// Show which shard an account's mailbox lives in
    Locate(Locate),
    /// Search a mailbox with Zimbra's query language
    Search(crate::commands::search::SearchMailbox),
    /// Have a mailbox's texts indexed anew, on all nodes that have it
    Reindex(crate::commands::search::Reindex),
    /// Show how far the text indexes are
    Texts(crate::commands::search::Texts),
    /// List, bring back and remove for good what was deleted
    #[command(subcommand)]
    Dumpster(crate::commands::dumpster::DumpsterCommand),
}

/// `zcluster mailbox locate`.
#[derive(Debug, Args)]
pub struct Locate {
    /// The account: address, alias or id
    pub account: String,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
}

/// `zcluster queue`.
#[derive(Debug, Args)]
pub struct Queue {
    /// What to do.
    #[command(subcommand)]
    pub command: QueueCommand,
}

/// What to do with the queue.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List waiting messages
    List(QueueList),
    /// Show a message with its header
    Show {
        /// Its id: SHARD.NUMBER
        id: String,
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
        /// Write a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Try messages now
    Retry(QueueAct),
    /// Let messages wait until they are released
    Hold(QueueAct),
    /// Let held messages go
    Release(QueueAct),
    /// Remove messages; nobody is told
    Delete(QueueAct),
    /// Count messages by destination
    Summary {
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
        /// Write a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Which messages; all that is given must hold.
#[derive(Clone, Debug, Default, Args)]
pub struct QueueFilterArgs {
    /// Only from this envelope sender; <> is the null one
    #[arg(long, value_name = "ADDRESS")]
    pub sender: Option<String>,
    /// Only to this recipient
    #[arg(long, value_name = "ADDRESS")]
    pub recipient: Option<String>,
    /// Only to recipients in this domain
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// Only held ones
    #[arg(long)]
    pub held: bool,
}

/// `zcluster queue list`.
#[derive(Debug, Args)]
pub struct QueueList {
    /// Which.
    #[command(flatten)]
    pub filter: QueueFilterArgs,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// At most so many
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..).map(|n| n as usize))]
    pub limit: usize,
    /// Write a JSON array
    #[arg(long)]
    pub json: bool,
}

/// `zcluster queue retry`, `hold`, `release`, `delete`.
#[derive(Debug, Args)]
pub struct QueueAct {
    /// Ids: SHARD.NUMBER
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Which.
    #[command(flatten)]
    pub filter: QueueFilterArgs,
    /// All messages of the cluster
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Write a JSON array of ids
    #[arg(long)]
    pub json: bool,
}

/// `zcluster dkim`.
#[derive(Debug, Args)]
pub struct Dkim {
    /// What to do.
    #[command(subcommand)]
    pub command: DkimCommand,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum DkimCommand {
    /// Make a key that waits until it is activated
    Generate {
        /// Where.
        #[command(flatten)]
        place: DkimPlace,
        /// Kind of key
        #[arg(long = "type", value_enum, default_value = "rsa")]
        kind: DkimKind,
        /// Name of the key in DNS; default: the day's date and a letter
        #[arg(long)]
        selector: Option<String>,
    },
    /// Show a domain's keys and what DNS must say of them
    Show(DkimPlace),
    /// Sign with the waiting keys from now on, and no others
    Activate(DkimPlace),
    /// Forget a key
    Remove {
        /// Where.
        #[command(flatten)]
        place: DkimPlace,
        /// Its selector
        selector: String,
    },
}

/// A domain.
#[derive(Debug, Args)]
pub struct DkimPlace {
    /// The domain
    pub domain: String,
    /// How to reach the cluster.
    #[command(flatten)]
    pub reach: Reach,
    /// Write a JSON object
    #[arg(long)]
    pub json: bool,
}

/// `zcluster report`.
#[derive(Debug, Args)]
pub struct Report {
    /// What to do.
    #[command(subcommand)]
    pub command: ReportCommand,
}

/// What to do with reports. Each node sends its own.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Show what is counted for the next reports
    List(ReportPlace),
    /// Send all that is counted now, without waiting for the day's end
    SendNow(ReportPlace),
}

/// A node.
#[derive(Debug, Args)]
pub struct ReportPlace {
    /// Which node.
    #[command(flatten)]
    pub reach: Reach,
    /// Write a JSON array
    #[arg(long)]
    pub json: bool,
}

/// `zcluster auth`.
#[derive(Debug, Args)]
pub struct Auth {
    /// What to do.
    #[command(subcommand)]
    pub command: AuthCommand,
}

/// What to do with accounts' ways to sign in.
#[derive(Debug, Subcommand)]
pub enum AuthCommand {
    /// Print an auth token for --token-file
    Login {
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
        /// What the phone shows, or a scratch code
        #[arg(long)]
        code: Option<String>,
    },
    /// End the token of --token-file
    Logout {
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
    },
    /// Switch two-factor authentication on: shows a secret, asks for a code, prints scratch codes
    Enable {
        /// Whose
        account: String,
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
        /// The secret that was shown before
        #[arg(long, requires = "code")]
        secret: Option<String>,
        /// What the phone shows
        #[arg(long, requires = "secret")]
        code: Option<String>,
    },
    /// Switch two-factor authentication off, and forget app passwords
    Disable {
        /// Whose
        account: String,
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
    },
    /// Print new scratch codes; the old ones are void
    ScratchCodes {
        /// Whose
        account: String,
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
    },
    /// Print a new password for one program
    AddAppPassword {
        /// Whose
        account: String,
        /// What it is for
        name: String,
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
    },
    /// Show the names of app passwords
    ListAppPasswords {
        /// Whose
        account: String,
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
    },
    /// Make an app password void
    RemoveAppPassword {
        /// Whose
        account: String,
        /// What it is for
        name: String,
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
    },
    /// End all auth tokens of an account
    SignOut {
        /// Whose
        account: String,
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a new key for auth tokens, and print its version; tokens of the two before stay good
    RotateKey {
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a new key for a domain's portal (zimbraPreAuthKey), and print it
    PreauthKey {
        /// The domain
        domain: String,
        /// How to reach the cluster.
        #[command(flatten)]
        reach: Reach,
    },
}

/// `zcluster prov`: zmprov's options, and those of the other commands.
#[derive(Debug, Args)]
pub struct Prov {
    /// Data directory of a node on this machine (default: /var/lib/zcluster, if it is one)
    #[arg(long, value_name = "DIR", env = "ZCLUSTER_DATA")]
    pub data: Option<PathBuf>,
    /// A node's admin service, host or host:port (7071); several with commas: the next one is asked when one is gone
    #[arg(short, long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub server: Vec<String>,
    /// Administrator to sign in as; without --server at the node on this machine
    #[arg(short, long, value_name = "ADDRESS", alias = "admin")]
    pub account: Option<String>,
    /// The administrator's password; others can see it in the list of processes: better -P
    #[arg(short, long, value_name = "PASSWORD", requires = "account")]
    pub password: Option<String>,
    /// File with the administrator's password
    #[arg(short = 'P', long, value_name = "FILE", alias = "password-file", requires = "account")]
    pub passfile: Option<PathBuf>,
    /// File with an auth token (`zcluster auth login`) to sign in with
    #[arg(short = 'Y', long, value_name = "FILE", alias = "token-file")]
    pub authtokenfile: Option<PathBuf>,
    /// Certificate (PEM) to trust besides the system's; for self-signed ones
    #[arg(long, value_name = "FILE", requires = "server")]
    pub ca: Option<PathBuf>,
    /// Ask this machine's node, as itself, whatever --server and --account say (what is done without them)
    #[arg(short, long)]
    pub zadmin: bool,
    /// Straight to the directory: every command goes there, with it or without
    #[arg(short, long)]
    pub ldap: bool,
    /// Read what was written last: always done
    #[arg(short, long)]
    pub master: bool,
    /// Read commands from a file, a line each
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print each line before its answer
    #[arg(short, long)]
    pub verbose: bool,
    /// Tell on stderr which calls are made, and how long they take
    #[arg(short, long)]
    pub debug: bool,
    /// The same, with the answers
    #[arg(short = 'D', long)]
    pub debughigh: bool,
    /// Zimbra's configuration file for logging: taken and not read
    #[arg(short = 'L', long, value_name = "FILE")]
    pub logpropertyfile: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Command and arguments; `help` lists the commands. None: lines are read from stdin
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub args: Vec<String>,
}

/// `zcluster fault`.
#[derive(Debug, Args)]
pub struct Fault {
    /// How to reach the node.
    #[command(flatten)]
    pub reach: Reach,
    /// Numbers of the nodes to cut off, with commas; empty: none
    #[arg(long, default_value = "")]
    pub block: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn prov_takes_arguments_with_signs() {
        let cli =
            Cli::parse_from(["zcluster", "prov", "--data", "d", "ma", "a@b.c", "+zimbraMailAlias", "x", "-y", "--z"]);
        let Command::Prov(prov) = cli.command else { panic!("another command") };
        assert_eq!(prov.args, ["ma", "a@b.c", "+zimbraMailAlias", "x", "-y", "--z"]);
    }

    #[test]
    fn prov_takes_zmprovs_options() {
        let cli = Cli::parse_from(["zcluster", "prov", "-l", "-m", "-v", "gaa", "-v", "-e"]);
        let Command::Prov(prov) = cli.command else { panic!("another command") };
        assert!(prov.ldap && prov.master && prov.verbose);
        assert_eq!(prov.args, ["gaa", "-v", "-e"]);
        let cli = Cli::parse_from(["zcluster", "prov", "-s", "a,b:7", "-a", "admin@x", "-p", "secret", "-f", "batch"]);
        let Command::Prov(prov) = cli.command else { panic!("another command") };
        assert_eq!((prov.server, prov.account), (vec!["a".to_string(), "b:7".into()], Some("admin@x".into())));
        assert_eq!((prov.password, prov.file), (Some("secret".into()), Some(PathBuf::from("batch"))));
    }
}
